package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// october is a month that is over.
var october = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

// the3rd is when a month is closed.
func the3rd(period time.Time) time.Time { return period.AddDate(0, 1, 2) }

// writer counts usage until the test ends.
func (b *books) writer(t *testing.T) *ledger.UsageWriter {
	t.Helper()
	w := ledger.NewUsageWriter(b.Ledger, billing.TierRules(), func() time.Time { return noon })
	t.Cleanup(w.Close)
	return w
}

// useAt counts one event of that many micro-dollars at a time.
func (b *books) useAt(t *testing.T, w *ledger.UsageWriter, account string, micros int64, at time.Time) {
	t.Helper()
	refused, err := w.Record(t.Context(), []models.UsageEvent{b.usage(account, b.aMicroADollar(t), micros, at)}, known(t, b.Ledger))
	done(t, err)
	if len(refused) > 0 {
		t.Fatalf("refused: %v", refused)
	}
}

// closeMonth closes a month as the workflow does, in pages of so many accounts.
func (b *books) closeMonth(t tb, period time.Time, page int64, again bool) models.MonthlyClose {
	t.Helper()
	at := the3rd(period)
	c, err := b.BeginMonthlyClose(t.Context(), period, again, page, at)
	done(t, err)
	for n := range c.Pages {
		_, err := b.CloseMonthlyPage(t.Context(), period, c.Round, n, billing.LeastChargeCents, billing.TierRules(), at)
		done(t, err)
	}
	ended, err := b.FinishMonthlyClose(t.Context(), period, at)
	done(t, err)
	if !ended {
		t.Fatalf("%s is not closed", period)
	}
	c, err = b.MonthlyClose(t.Context(), period)
	done(t, err)
	return c
}

// invoiceOf is an account's invoice of a month.
func (b *books) invoiceOf(t tb, account string, period time.Time) models.Invoice {
	t.Helper()
	invoices, err := b.Invoices(t.Context(), account)
	done(t, err)
	for _, i := range invoices {
		if i.Period != nil && i.Period.Equal(period) {
			return i
		}
	}
	t.Fatalf("account %s has no invoice of %s", account, period)
	return models.Invoice{}
}

// R3, R9, R30, R32, I8: a month's invoice demands what credits have not paid of its
// use; credits bought later pay what is still accrued, and never the invoice.
func TestR30InvoiceOfAMonth(t *testing.T) {
	t.Parallel()
	b := open(t)
	w := b.writer(t)
	account := b.customer(t)
	b.credited(t, account, 500)
	b.grant(t, account, dollars(2))
	b.useAt(t, w, account, 10_000_000, october.AddDate(0, 0, 4))
	b.useAt(t, w, account, 504_321, october.AddDate(0, 1, 0).Add(-time.Microsecond))
	b.useAt(t, w, account, 1_000_000, november)
	c := b.closeMonth(t, october, 2, false)
	same(t, "accounts", c.AccountsDone, 1)
	same(t, "invoices", c.Invoices, 1)
	same(t, "owing", c.Owing, 1)

	i := b.invoiceOf(t, account, october)
	same(t, "number", i.Number, "2026-000002") // the purchase's is the first
	same(t, "usage", i.UsageMicros, 10_504_321)
	same(t, "free", i.FreeMicros, dollars(2))
	same(t, "purchased", i.PurchasedMicros, dollars(5))
	same(t, "due", i.DueCents, 350)
	same(t, "carried", i.CarriedOutMicros, 4321)
	same(t, "status", i.Status, "open")
	same(t, "billed to", i.BillTo.Name+" "+i.BillTo.Address.City, "Ada Springfield")
	lines, err := b.InvoiceLines(t.Context(), i.ID, 0, ledger.MaxInvoiceLines)
	done(t, err)
	same(t, "lines", len(lines), 1)
	same(t, "line", lines[0].AmountMicros, i.UsageMicros)
	same(t, "tokens", lines[0].Quantity, "10504321")
	same(t, "model", lines[0].Model, "test")
	owed := func(accrued, due int64) {
		t.Helper()
		same(t, "accrued", b.balance(t, account).AccruedMicros, accrued)
		pastDue, err := b.PastDue(t.Context(), account)
		done(t, err)
		same(t, "past due", pastDue, due)
	}
	owed(1_004_321, 3_500_000)

	b.credited(t, account, 2000) // F46
	owed(0, 3_500_000)
	same(t, "credits", b.balance(t, account).TotalMicros(), 20_000_000-1_004_321)
	same(t, "the invoice", b.invoiceOf(t, account, october).Status, "open")
	b.answers(t, b.charges(t, i.ID, noon), models.BankApproved, noon)
	owed(0, 0)
	same(t, "lifetime spend", b.balance(t, account).LifetimeSpendMicros, dollars(25)+3_500_000)
	err = b.writeOff(t, i.ID, account, models.InvoiceVoid)
	if !errors.Is(err, ledger.ErrInvoicePaid) {
		t.Errorf("a paid invoice was voided: %v", err)
	}
	b.sound(t)
}

// R31: who owes nothing gets an invoice too; who used nothing gets none.
func TestR31InvoicesOfNothing(t *testing.T) {
	t.Parallel()
	b := open(t)
	w := b.writer(t)
	paid, little, idle := b.customer(t), b.customer(t), b.customer(t)
	b.credited(t, paid, 500)
	b.useAt(t, w, paid, 1_000_000, october)
	b.credited(t, little, 500)
	b.useAt(t, w, little, 5_499_999, october)
	b.credited(t, idle, 500)
	b.useAt(t, w, idle, 1, november)
	same(t, "invoices", b.closeMonth(t, october, 2000, false).Invoices, 2)
	i := b.invoiceOf(t, paid, october)
	same(t, "status", i.Status, "paid")
	same(t, "total", i.TotalMicros, 0)
	same(t, "purchased", i.PurchasedMicros, dollars(1))
	i = b.invoiceOf(t, little, october)
	same(t, "R3: under 50 cents is carried", i.CarriedOutMicros, 499_999)
	same(t, "status", i.Status, "paid")

	b.useAt(t, w, little, 1, november)
	b.do(t, `insert into monthly_closes values ('2026-09-01', 1, 0, 0, now(), now())`)
	same(t, "again", b.closeMonth(t, october, 2000, true).Invoices, 2)
	b.sound(t)
}

// R11, F40: what is reported for a month that was invoiced goes on the next invoice,
// where it says which month it is of.
func TestF40LateUsageGoesOnTheNextInvoice(t *testing.T) {
	t.Parallel()
	b := open(t)
	w := b.writer(t)
	account, other := b.customer(t), b.customer(t)
	b.credited(t, account, 500)
	b.credited(t, other, 500)
	september := october.AddDate(0, -1, 0)
	b.do(t, `update accounts set created_at = $1`, september)
	b.useAt(t, w, account, 6_000_000, september)
	b.closeMonth(t, september, 2000, false)
	same(t, "due", b.invoiceOf(t, account, september).DueCents, 100)
	b.useAt(t, w, account, 2_000_000, september)
	b.useAt(t, w, other, 7_000_000, september) // used nothing in time, so no invoice yet
	b.closeMonth(t, october, 2000, false)
	for id, want := range map[string]int64{account: 200, other: 200} {
		i := b.invoiceOf(t, id, october)
		same(t, "due", i.DueCents, want)
		lines, err := b.InvoiceLines(t.Context(), i.ID, 0, 10)
		done(t, err)
		same(t, "month of the line", lines[0].Period, september)
	}
	b.sound(t)
}

// F36, F24: a month is closed when it is over in UTC, by both clocks, and after the
// months before it.
func TestMonthsAreClosedInOrderWhenTheyAreOver(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.account(t)
	b.do(t, `update accounts set created_at = '2026-08-31 23:59:59.999999Z'`)
	begin := func(period, at time.Time) error {
		_, err := b.BeginMonthlyClose(t.Context(), period, false, 10, at)
		return err
	}
	august := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	if err := begin(october, noon); !errors.Is(err, ledger.ErrMonthsInOrder) {
		t.Errorf("October before August: %v", err)
	}
	if err := begin(august, august.AddDate(0, 1, 0).Add(-time.Microsecond)); !errors.Is(err, ledger.ErrMonthNotOver) {
		t.Errorf("August in August: %v", err)
	}
	next := billing.PeriodOf(time.Now()).AddDate(0, 1, 0)
	if err := begin(next, next.AddDate(1, 0, 0)); !errors.Is(err, ledger.ErrMonthNotOver) {
		t.Errorf("a month ahead by a clock that is ahead: %v", err)
	}
	for month := august; !month.After(october); month = month.AddDate(0, 1, 0) {
		left, err := b.OpenMonths(t.Context(), october)
		done(t, err)
		same(t, "oldest open month", left[0], month)
		b.closeMonth(t, month, 10, false)
	}
	left, err := b.OpenMonths(t.Context(), october)
	done(t, err)
	same(t, "open months", len(left), 0)
}

// R45: whoever writes, the database refuses what is not as an invoice must be.
func TestTheDatabaseRefusesWrongInvoices(t *testing.T) {
	t.Parallel()
	b := open(t)
	w := b.writer(t)
	account := b.customer(t)
	b.credited(t, account, 500)
	b.useAt(t, w, account, 7_000_000, october)
	b.closeMonth(t, october, 10, false)
	i := b.invoiceOf(t, account, october)
	names := named{"account": account, "invoice": i.ID, "fresh": uuid.NewString()}
	const forged = `insert into invoices (id, number, account_id, kind, description, total_micros, status, issued_at, bill_to, period, usage_micros,
		carried_in_micros, free_micros, purchased_micros, due_cents, carried_out_micros, paid_at)
		values (@fresh, 'x', @account, 'monthly', 'x', `
	line := func(invoice string, n, amount int) string {
		return named{"id": invoice}.in(`insert into invoice_lines values (` + invoice + `, ` + string(rune('0'+n)) + `, 'usage', 's', 'token', '', '', '2026-09-01', 1, 1, ` +
			string(rune('0'+amount)) + `);`)
	}
	for _, c := range []refusal{
		{"Amount", `update invoices set total_micros = 1 where id = @invoice`, "invoices_are_final"},
		{"BillTo", `update invoices set bill_to = '{}' where id = @invoice`, "invoices_are_final"},
		{"Deleted", `delete from invoices where id = @invoice`, "invoices_are_final"},
		{"LineChanged", `update invoice_lines set amount_micros = 1 where invoice_id = @invoice`, restrictViolation},
		{"LineDeleted", `delete from invoice_lines where invoice_id = @invoice`, restrictViolation},
		{"LineAdded", line("@invoice", 2, 5), "invoice_lines_written_whole"},
		{"LinesAdded", line("@invoice", 1, 5), uniqueViolation},
		{"LinesOfNoInvoice", line("@fresh", 1, 5), "invoice_lines_have_invoice"},
		{"LinesDoNotSum", line("@fresh", 1, 4) + forged + `0, 'paid', now(), '{}', '2026-09-01', 5, 0, 5, 0, 0, 0, now())`, "invoices_lines_sum_to_usage"},
		{"DoesNotAddUp", line("@fresh", 1, 5) + forged + `0, 'paid', now(), '{}', '2026-09-01', 5, 0, 4, 0, 0, 0, now())`, "invoices_monthly_adds_up"},
		{"NotInTheLedger", line("@fresh", 1, 5) + forged + `10000, 'open', now(), '{}', '2026-09-01', 5, 9995, 0, 0, 1, 0, null)`, "invoices_are_in_the_ledger"},
		{"TwoOfAMonth", line("@fresh", 1, 5) + forged + `0, 'paid', now(), '{}', '2026-10-01', 5, 0, 5, 0, 0, 0, now())`, "invoices_one_a_month"},
		{"PaidWithoutMoney", `update invoices set status = 'paid', paid_at = now() where id = @invoice`, "invoices_are_in_the_ledger"},
		{"VoidWithoutReason", `update invoices set status = 'void' where id = @invoice`, "invoices_end_says_why"},
		{"VoidWithoutNote", `update invoices set status = 'void', reason = 'x' where id = @invoice;
			select ledger_post('invoice_void/' || @invoice, 'invoice_void', @account, now(), '{revenue,invoiced}', '{-2000000,2000000}')`, "invoices_are_in_the_ledger"},
		{"PaidAnotherAmount", `update invoices set status = 'paid', paid_at = now() where id = @invoice;
			select ledger_post('invoice_payment/' || @invoice, 'invoice_payment', @account, now(), '{payments,invoiced}', '{-1000000,1000000}')`, "ledger_invoices_are_covered"},
		{"PaymentOfNothing", `select ledger_post('invoice_payment/' || @fresh, 'invoice_payment', @account, now(), '{payments,invoiced}', '{-1000000,1000000}')`,
			"ledger_invoices_are_covered"},
		{"BackToOpen", `select invoice_settle(@invoice, 'past_due', null, '{}', '{0,0,0,0,0,0}', now()); update invoices set status = 'open' where id = @invoice`,
			"invoices_only_move_on"},
		{"CreditsBesideAccrued", `select ledger_post('k', 'usage', @account, now(), '{accrued,revenue}', '{-5,5}');
			select ledger_post('l', 'free_credits', @account, now(), '{promotions,free}', '{-5,5}')`, "balances_credits_clear_accrued"},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, b.try(t, names.in(c.statement)), c.by) })
	}
}

// R45: what is voided is taken back by a credit note; what is uncollectible is a
// loss. Neither counts to lifetime spend.
func TestVoidAndUncollectible(t *testing.T) {
	t.Parallel()
	b := open(t)
	w := b.writer(t)
	for status, book := range map[models.InvoiceStatus]string{models.InvoiceVoid: "revenue", models.InvoiceUncollectible: "losses"} {
		account := b.customer(t)
		b.credited(t, account, 500)
		b.useAt(t, w, account, 7_000_000, october)
		_, err := b.CloseAccountMonth(t.Context(), account, october, billing.LeastChargeCents, billing.TierRules(), noon)
		done(t, err)
		i := b.invoiceOf(t, account, october)
		done(t, b.writeOff(t, i.ID, account, status))
		same(t, "past due", b.balance(t, account).InvoicedMicros, 0)
		same(t, "lifetime spend", b.balance(t, account).LifetimeSpendMicros, dollars(5))
		same(t, book, ask[int64](t, b, `select amount_micros from ledger_entries e join ledger_transactions t on t.id = e.transaction_id
			where t.account_id = $1 and t.kind in ('invoice_void', 'invoice_loss') and e.book::text = $2`, account, book), -2_000_000)
		note, err := b.CreditNote(t.Context(), i.ID)
		if status == models.InvoiceVoid {
			done(t, err)
			same(t, "note", note.Number, "CN-2026-000001")
			same(t, "amount", note.AmountMicros, 2_000_000)
		} else if !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("a credit note of what is only given up: %v", err)
		}
	}
	b.sound(t)
}
