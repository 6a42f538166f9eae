package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/paystage/paystage/ledger"
)

// R45: numbers have no gaps and no repeats, whoever issues at once and whichever
// issue is taken back.
func TestR45NumbersAreGaplessUnderConcurrency(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	kept, takenBack := make([]string, 20), make([]string, 10)
	for i := range kept {
		kept[i] = b.approved(t, account, 500)
	}
	for i := range takenBack {
		takenBack[i] = b.approved(t, account, 500)
	}
	together(len(kept)+len(takenBack), func(i int) {
		if i < len(kept) {
			if _, err := b.IssueInvoice(t.Context(), kept[i], uuid.NewString(), noon); err != nil {
				t.Error(err)
			}
			return
		}
		if err := issueAndTakeBack(t.Context(), b, takenBack[i-len(kept)]); err != nil {
			t.Error(err)
		}
	})
	numbersRun(t, b, 2026, len(kept))
	for _, id := range takenBack {
		_, err := b.IssueInvoice(t.Context(), id, uuid.NewString(), noon)
		done(t, err)
	}
	numbersRun(t, b, 2026, len(kept)+len(takenBack))
}

var errTakenBack = errors.New("taken back")

func issueAndTakeBack(ctx context.Context, b *books, id string) error {
	err := pgx.BeginFunc(ctx, b.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select purchase_issue_invoice($1, $2, $3)`, id, uuid.NewString(), noon); err != nil {
			return err
		}
		return errTakenBack
	})
	if errors.Is(err, errTakenBack) {
		return nil
	}
	return err
}

// numbersRun fails unless the invoices of a year are numbered from 1 to count.
func numbersRun(t *testing.T, b *books, year, count int) {
	t.Helper()
	rows, _ := b.db.Query(t.Context(), `select number from invoices where number like $1 order by number`, fmt.Sprintf("%d-%%", year))
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[string])
	done(t, err)
	same(t, "invoices of the year", len(numbers), count)
	for i, number := range numbers {
		same(t, "number", number, fmt.Sprintf("%d-%06d", year, i+1))
	}
}

// The year is the one in UTC, wherever the caller and the server are.
func TestR45NumbersBeginAgainWithTheYearInUTC(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	newYear := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	auckland, honolulu := time.FixedZone("NZDT", 13*3600), time.FixedZone("HST", -10*3600)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{newYear.Add(-time.Microsecond), "2026-000001"},
		{newYear, "2027-000001"},
		{newYear.Add(-time.Microsecond).In(auckland), "2026-000002"},
		{newYear.In(honolulu), "2027-000002"},
	} {
		id := b.approved(t, account, 500)
		invoice, err := b.IssueInvoice(t.Context(), id, uuid.NewString(), c.at)
		done(t, err)
		held, err := b.Invoice(t.Context(), invoice)
		done(t, err)
		same(t, "number at "+c.at.String(), held.Number, c.want)
	}

	id := b.approved(t, account, 500)
	done(t, pgx.BeginFunc(t.Context(), b.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `set local timezone = 'Pacific/Auckland'`); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), `select purchase_issue_invoice($1, $2, $3)`, id, uuid.NewString(), newYear.Add(-time.Microsecond))
		return err
	}))
	same(t, "number by a session in Auckland", ask[string](t, b, `select number from invoices where purchase_id = $1`, id), "2026-000003")
}

func TestR45NumbersGoOnPastSixDigits(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.do(t, `insert into invoice_numbers (year, last) values (2026, 999998)`)
	for _, want := range []string{"2026-999999", "2026-1000000", "2026-1000001"} {
		id := b.invoiced(t, account, 500)
		same(t, "number", ask[string](t, b, `select number from invoices where purchase_id = $1`, id), want)
	}
}

func TestInvoicesAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	var want []string
	for i := range 3 {
		id := b.approved(t, account, 500)
		invoice, err := b.IssueInvoice(t.Context(), id, uuid.NewString(), noon.Add(time.Duration(i)*time.Hour))
		done(t, err)
		want = append([]string{invoice}, want...)
	}
	b.invoiced(t, b.customer(t), 500)
	listed, err := b.Invoices(t.Context(), account)
	done(t, err)
	same(t, "how many", len(listed), len(want))
	for i, invoice := range listed {
		same(t, "invoice", invoice.ID, want[i])
	}
	due, err := b.PastDue(t.Context(), account)
	done(t, err)
	same(t, "past due", due, 0)
	if _, err := b.Invoice(t.Context(), account); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
