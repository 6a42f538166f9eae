package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// What no code of ours sends, as the superuser: one try at a time, one that succeeds,
// and money that is captured is posted (I2, I3).
func TestTheDatabaseRefusesOfInvoicePayments(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, invoice := b.owing(t, 1_500)
	declined := b.charges(t, invoice, noon)
	b.answers(t, declined, models.BankDeclined, noon)
	_, err := b.PayInvoice(t.Context(), invoice, "k", noon)
	done(t, err)
	paidAccount, paid := b.owing(t, 1_500)
	b.answers(t, b.charges(t, paid, noon), models.BankApproved, noon)
	names := named{"account": account, "invoice": invoice, "paid": paid, "payer": paidAccount, "fresh": uuid.NewString()}
	const try = `insert into invoice_payments (invoice_id, attempt, account_id, origin, amount_cents, stripe_customer_id, payment_method_id, card_fingerprint, created_at`
	for _, c := range []refusal{
		{"TwoInFlight", try + `) values (@invoice, 9, @account, 'manual', 1500, 'c', 'p', 'f', now())`, "invoice_payments_one_in_flight"},
		{"PaidTwice", try + `, bank, payment_intent_id, captured_cents, bank_ended_at) values (@paid, 9, @payer, 'manual', 1500, 'c', 'p', 'f', now(), 'approved', 'pi_x', 1500, now())`, "invoice_payments_paid_once"},
		{"CapturedAndNotPosted", `update invoice_payments set bank = 'approved', payment_intent_id = 'pi_x', captured_cents = 1500, bank_ended_at = now() where invoice_id = @invoice and attempt = 2`, "invoice_payments_capture_is_posted"},
		{"CapturedInPart", `update invoice_payments set bank = 'approved', payment_intent_id = 'pi_x', captured_cents = 1000, bank_ended_at = now() where invoice_id = @invoice and attempt = 2`, "invoice_payments_whole_capture"},
		{"PostedAndNotCaptured", `select invoice_settle(@invoice, 'paid', null, '{}', '{0,0,0,0,0,0}', now())`, "ledger_invoice_payment_is_captured"},
		{"Again", `update invoice_payments set bank = 'approved' where invoice_id = @invoice and attempt = 1`, "invoice_payments_end_once"},
		{"AnotherAmount", `update invoice_payments set amount_cents = 1 where invoice_id = @invoice and attempt = 2`, "invoice_payments_settled_stays"},
		{"Deleted", `delete from invoice_payments where invoice_id = @invoice`, restrictViolation},
		{"Emptied", `truncate invoice_payments cascade`, restrictViolation},
		{"EndWithoutTime", `update invoice_payments set bank = 'canceled' where invoice_id = @invoice and attempt = 2`, "invoice_payments_end_has_time"},
		{"DeclineWithoutCode", `update invoice_payments set bank = 'declined', bank_ended_at = now() where invoice_id = @invoice and attempt = 2`, "invoice_payments_decline_has_code"},
		{"LinkWithoutQuestion", `update invoice_payments set authorization_url = 'x' where invoice_id = @invoice and attempt = 2`, "invoice_payments_link_only_while_asked"},
		{"EventChanged", `update invoice_events set kind = 'void'`, restrictViolation},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, b.try(t, names.in(c.statement)), c.by) })
	}
}

// I3: money that does not fit goes before a person, and nothing is charged until that
// is settled; then the schedule goes on.
func TestI3CaptureThatDoesNotFitIsReviewed(t *testing.T) {
	t.Parallel()
	b := open(t)
	_, invoice := b.owing(t, 1_500)
	a := answerOf(b.charges(t, invoice, noon), models.BankApproved, noon)
	a.CapturedCents = 1_000
	if err := b.RecordInvoicePayment(t.Context(), a, dunning()); !errors.Is(err, ledger.ErrNotAsRecorded) {
		t.Fatalf("got %v", err)
	}
	for range 2 {
		done(t, b.ReviewInvoicePayment(t.Context(), a, dunning()))
	}
	open := ask[int64](t, b, `select count(*) from alerts where kind = 'capture_in_review' and subject = 'invoice/' || $1::text and resolved_at is null`, invoice)
	same(t, "alerts", open, 1)
	same(t, "status", b.invoice(t, invoice).Status, "open")
	same(t, "charged meanwhile", b.collects(t, invoice, noon.Add(10*day)).Payment == nil, true)
	woken, err := b.WakeCollections(t.Context(), noon.Add(10*day), 10)
	done(t, err)
	same(t, "woken meanwhile", woken, 0)
	b.do(t, `update alerts set resolved_at = now()`)
	_, err = b.WakeCollections(t.Context(), noon.Add(10*day), 10)
	done(t, err)
	same(t, "attempt", b.charges(t, invoice, noon.Add(10*day)).Attempt, 2)

	// A second capture for an invoice that is paid.
	_, paid := b.owing(t, 1_500)
	p := b.charges(t, paid, noon)
	b.answers(t, p, models.BankApproved, noon)
	twice := answerOf(p, models.BankApproved, noon)
	twice.PaymentIntentID = "pi_twice"
	if err := b.RecordInvoicePayment(t.Context(), twice, dunning()); !errors.Is(err, ledger.ErrNotAsRecorded) {
		t.Fatalf("got %v", err)
	}
	done(t, b.ReviewInvoicePayment(t.Context(), twice, dunning()))
	same(t, "alerts", ask[int64](t, b, `select count(*) from alerts where subject = 'invoice/' || $1::text`, paid), 1)
	b.sound(t)
}

// Support ends what is owed and what nobody is paying, once, with an entry of who and why.
func TestWriteOffs(t *testing.T) {
	t.Parallel()
	b := open(t)
	off := func(account, invoice string, status models.InvoiceStatus, restore bool) error {
		return b.WriteOffInvoice(t.Context(), ledger.WriteOff{InvoiceID: invoice, Status: status, Restore: restore, Audit: audit(account, "why")}, billing.TierRules())
	}
	account, invoice := b.owing(t, 1_500)
	p := b.charges(t, invoice, noon)
	if err := off(account, invoice, models.InvoiceVoid, false); !errors.Is(err, ledger.ErrPaymentInFlight) {
		t.Errorf("in flight: %v", err)
	}
	a := answerOf(p, models.BankExpired, noon)
	a.Unanswered = true
	done(t, b.RecordInvoicePayment(t.Context(), a, dunning()))
	same(t, "suspended", b.entitlement(t, account).Suspended, true)
	done(t, off(account, invoice, models.InvoiceUncollectible, false))
	same(t, "suspended", b.entitlement(t, account).Suspended, true)
	for range 2 {
		done(t, off(account, invoice, models.InvoiceUncollectible, true))
	}
	same(t, "suspended", b.entitlement(t, account).Suspended, false)
	if err := off(account, invoice, models.InvoiceVoid, false); !errors.Is(err, ledger.ErrInvoiceNotOwed) {
		t.Errorf("written off already: %v", err)
	}
	if _, err := b.PayInvoice(t.Context(), invoice, "k", noon); !errors.Is(err, ledger.ErrInvoiceNotOwed) {
		t.Errorf("paid: %v", err)
	}
	entries, err := b.AuditLog(t.Context(), account)
	done(t, err)
	same(t, "entries", len(entries), 2)
	sameList(t, "events", b.events(t, invoice), "past_due", "uncollectible", "restored")
	same(t, "collected", b.collects(t, invoice, noon.Add(30*day)).Payment == nil, true)

	// Of a write-off and a payment by hand at once one comes first, and the other is told.
	for i := range 4 {
		account, invoice := b.owing(t, 1_500)
		errs := make([]error, 2)
		together(2, func(n int) {
			if n == 0 {
				errs[0] = off(account, invoice, models.InvoiceVoid, false)
			} else {
				_, errs[1] = b.PayInvoice(t.Context(), invoice, fmt.Sprint(i), noon)
			}
		})
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("both or none: %v, %v", errs[0], errs[1])
		}
	}
	b.sound(t)
}

// I6: invoices that are due are woken, the oldest first, each account's first before
// anybody's second, and are given time to look; tries in flight are gone on with.
func TestI6DueInvoicesAreWokenFairly(t *testing.T) {
	t.Parallel()
	b := open(t)
	many := b.customer(t)
	b.completed(t, many, 500)
	first, second := b.owes(t, many, october.AddDate(0, -2, 0), 1_500, 1_000), b.owes(t, many, october.AddDate(0, -1, 0), 1_000, 1_000)
	_, other := b.owing(t, 1_500)
	for i, id := range []string{first, second, other} {
		b.do(t, `update invoice_collections set due_at = $2, wake_at = $2 where invoice_id = $1`, id, noon.Add(time.Duration(i)*time.Second))
	}
	woken, err := b.WakeCollections(t.Context(), noon, 10)
	done(t, err)
	same(t, "woken before their time", woken, 1)
	b.do(t, `update invoice_collections set wake_at = due_at; delete from outbox`)
	woken, err = b.WakeCollections(t.Context(), noon.Add(time.Minute), 10)
	done(t, err)
	same(t, "woken", woken, 3)
	sameList(t, "order", ask[[]string](t, b, `select array_agg(subject order by due_at, id) from outbox where kind = 'invoice_payment'`), first, other, second)
	claimed, err := b.ClaimMessages(t.Context(), 10, time.Minute, ledger.LaneInvoices)
	done(t, err)
	same(t, "in their lane", len(claimed), 3)
	woken, err = b.WakeCollections(t.Context(), noon.Add(2*time.Minute), 10)
	done(t, err)
	same(t, "woken again at once", woken, 0)

	b.charges(t, other, noon.Add(time.Minute))
	last, err := b.RestartInvoicePayments(t.Context(), noon.Add(time.Hour), "", 10)
	done(t, err)
	same(t, "gone on with", last, other)
	same(t, "started", b.asked(t, ledger.MessageStartInvoicePayment, other), 1)

	raised, err := b.SweepStuckInvoices(t.Context(), noon.Add(time.Hour), 15*time.Minute, 15*time.Minute, 5*time.Minute)
	done(t, err)
	same(t, "alerts: one that is stuck, and those that nobody charges", raised, 2)
	raised, err = b.SweepStuckInvoices(t.Context(), noon.Add(time.Hour), 15*time.Minute, 15*time.Minute, 5*time.Minute)
	done(t, err)
	same(t, "alerts again", raised, 0)
}

// Charges that nobody waits for keep a pace over all workers; a customer's doesn't.
func TestInvoiceChargesTakeTurns(t *testing.T) {
	t.Parallel()
	b := open(t)
	paced := dunning()
	paced.Pace = time.Hour
	_, first := b.owing(t, 1_500)
	_, second := b.owing(t, 1_500)
	advance, err := b.AdvanceCollection(t.Context(), first, paced, noon)
	done(t, err)
	same(t, "the first has its turn", advance.Payment != nil, true)
	advance, err = b.AdvanceCollection(t.Context(), second, paced, noon)
	done(t, err)
	if advance.Payment != nil || advance.Wait < 59*time.Minute {
		t.Errorf("the second does not wait: %+v", advance)
	}
	_, err = b.PayInvoice(t.Context(), second, "k", noon)
	done(t, err)
	advance, err = b.AdvanceCollection(t.Context(), second, paced, noon)
	done(t, err)
	same(t, "by hand", advance.Payment != nil, true)
	same(t, "turns of recharges", ask[bool](t, b, `select next_at = '-infinity' from charge_turns where kind = 'recharges'`), true)
}
