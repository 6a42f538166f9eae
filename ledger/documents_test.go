package ledger_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// What is shown as not invoiced is, line by line, what the invoice then says; and after
// it what was left to the next one.
func TestNotInvoicedIsWhatTheInvoiceSays(t *testing.T) {
	t.Parallel()
	b := open(t)
	w := b.writer(t)
	account := b.customer(t)
	b.credited(t, account, 500)
	b.grant(t, account, dollars(2))
	for day := range 5 {
		b.useAt(t, w, account, 3_111_111, october.AddDate(0, 0, day))
	}
	shown, lines, err := b.NotInvoiced(t.Context(), account, 100)
	done(t, err)
	same(t, "sum", shown.UsageMicros+shown.CarriedInMicros, shown.FreeMicros+shown.PurchasedMicros+shown.TotalMicros)
	same(t, "accrued", shown.TotalMicros, b.balance(t, account).AccruedMicros)
	b.closeMonth(t, october, 10, false)
	i := b.invoiceOf(t, account, october)
	same(t, "used", shown.UsageMicros, i.UsageMicros)
	same(t, "free", shown.FreeMicros, i.FreeMicros)
	same(t, "purchased", shown.PurchasedMicros, i.PurchasedMicros)
	same(t, "owed", shown.TotalMicros, i.TotalMicros+i.CarriedOutMicros)
	if !reflect.DeepEqual(shown.BillTo, i.BillTo) {
		t.Errorf("billed to %+v, want %+v", shown.BillTo, i.BillTo)
	}
	invoiced, err := b.InvoiceLines(t.Context(), i.ID, 0, 100)
	done(t, err)
	if len(lines) == 0 || !reflect.DeepEqual(lines, invoiced) {
		t.Errorf("shown %+v, invoiced %+v", lines, invoiced)
	}
	var sum int64
	for _, l := range lines {
		sum += l.AmountMicros
	}
	same(t, "lines", sum, shown.UsageMicros)

	shown, lines, err = b.NotInvoiced(t.Context(), account, 100)
	done(t, err)
	same(t, "lines left", len(lines), 0)
	same(t, "used since", shown.UsageMicros, 0)
	same(t, "carried", shown.CarriedInMicros, i.CarriedOutMicros)
	same(t, "accrued", shown.TotalMicros, i.CarriedOutMicros)
	b.useAt(t, w, account, 1_000_000, november)
	_, lines, err = b.NotInvoiced(t.Context(), account, 100)
	done(t, err)
	same(t, "new lines", len(lines), 1)
	_, _, err = b.NotInvoiced(t.Context(), uuid.NewString(), 100)
	if !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
}

// R45: a document of the past names who sold then.
func TestSellersHoldFromWhenTheyWereNoted(t *testing.T) {
	t.Parallel()
	b := open(t)
	_, err := b.Seller(t.Context(), noon)
	if !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("nobody was noted: %v", err)
	}
	older := models.Seller{Name: "Acme", Details: []string{"1 Main Street", "EIN 1"}}
	newer := models.Seller{Name: "Acme"}
	for range 2 {
		done(t, b.NoteSeller(t.Context(), older))
	}
	past, err := b.Seller(t.Context(), noon.AddDate(-10, 0, 0))
	done(t, err)
	same(t, "before", fmt.Sprint(past), fmt.Sprint(older))
	done(t, b.NoteSeller(t.Context(), newer))
	past, err = b.Seller(t.Context(), noon.AddDate(-10, 0, 0))
	done(t, err)
	same(t, "still", fmt.Sprint(past), fmt.Sprint(older))
	now, err := b.Seller(t.Context(), time.Now().Add(time.Hour))
	done(t, err)
	same(t, "now", fmt.Sprint(now), fmt.Sprint(newer))
	same(t, "rows", ask[int64](t, b, `select count(*) from sellers`), 2)
}

// manyInvoices stores invoices of n purchases that there are not, of n micro-dollars
// each and issued at the times that an expression over n gives.
func (b *books) manyInvoices(t *testing.T, account string, n int, at string) {
	t.Helper()
	b.do(t, fmt.Sprintf(`
		begin;
		set local session_replication_role = replica;
		insert into invoices (id, number, account_id, kind, purchase_id, description, total_micros, status, issued_at)
		select gen_random_uuid(), '2026-9' || lpad(n::text, 5, '0'), '%s', 'purchase', gen_random_uuid(), 'Credit purchase', n, 'paid', %s
		  from generate_series(1, %d) n;
		commit`, account, at, n))
}

// An export has each invoice of its month once, over more than a page, and stops with
// whoever takes it.
func TestExportOfAMonth(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.manyInvoices(t, account, 2010, `case when n <= 5 then timestamptz '2026-09-30 23:59:59.999999Z' when n > 2005 then '2026-11-01Z'
		else timestamptz '2026-10-01Z' + (n - 6) * interval '1 second' end`)
	var got []int64
	done(t, b.ExportInvoices(t.Context(), october, func(i ledger.ExportedInvoice) error {
		got = append(got, i.TotalMicros)
		return nil
	}))
	if len(got) != 2000 || got[0] != 6 || got[1999] != 2005 || !slices.IsSorted(got) {
		t.Errorf("%d invoices, from %v", len(got), got[:min(3, len(got))])
	}
	enough := errors.New("enough")
	if err := b.ExportInvoices(t.Context(), october, func(ledger.ExportedInvoice) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

// All of an account's invoices are listed by pages, each once.
func TestInvoicesByPages(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.manyInvoices(t, account, 450, `timestamptz '2026-11-03Z' + n / 3 * interval '1 second'`)
	page, err := b.Invoices(t.Context(), account)
	done(t, err)
	all := page
	for len(page) == ledger.MaxInvoices {
		page, err = b.InvoicesBefore(t.Context(), account, page[len(page)-1].ID)
		done(t, err)
		all = append(all, page...)
	}
	seen := map[string]bool{}
	for n, i := range all {
		seen[i.ID] = true
		if n > 0 && i.IssuedAt.After(all[n-1].IssuedAt) {
			t.Fatalf("%d comes after one that is older", n)
		}
	}
	same(t, "invoices", len(all), 450)
	same(t, "of them other", len(seen), 450)
	foreign, err := b.InvoicesBefore(t.Context(), b.customer(t), all[0].ID)
	done(t, err)
	same(t, "behind somebody else's", len(foreign), 0)
}
