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

const day = 24 * time.Hour

// dunning is the schedule of these tests: the usual days, no pace.
func dunning() ledger.Dunning {
	return ledger.Dunning{Days: billing.DefaultDunningDays(), Tiers: billing.TierRules()}
}

// owing makes an account of tier 1 with no credits left that owes so many cents for
// October, and answers it with its invoice, with nothing in the outbox.
func (b *books) owing(t tb, cents int64) (account, invoice string) {
	t.Helper()
	account = b.customer(t)
	b.completed(t, account, 500)
	return account, b.owes(t, account, october, 500+cents, cents)
}

// owes has an account use so many cents in a month and invoices it, to have so many
// demanded.
func (b *books) owes(t tb, account string, month time.Time, uses, due int64) (invoice string) {
	t.Helper()
	rules := billing.TierRules()
	b.do(t, `insert into usage_totals (account_id, invoice_period, period, price_id, resource, events, quantity, picos) values ($1, $2, $2, 1, '', 1, 1, $3::bigint * 10000000000)`,
		account, month, uses)
	b.do(t, `select usage_charge('usage', $1, array[$2::uuid], array[$3::bigint * 10000000000::numeric], $4, $5, $6) from balances where account_id = $2 for update`,
		uuid.NewString(), account, uses, rules.Thresholds, rules.Limits, noon)
	made, err := b.CloseAccountMonth(t.Context(), account, month, 50, rules, noon)
	done(t, err)
	same(t, "invoices", made, 1)
	invoice = ask[string](t, b, `select id::text from invoices where account_id = $1 and period = $2`, account, month)
	same(t, "due", b.invoice(t, invoice).DueCents, due)
	b.do(t, `delete from outbox`)
	return invoice
}

func (b *books) invoice(t tb, id string) models.Invoice {
	t.Helper()
	invoice, err := b.Invoice(t.Context(), id)
	done(t, err)
	return invoice
}

// collects takes a step of an invoice's collection.
func (b *books) collects(t tb, invoice string, at time.Time) ledger.CollectionAdvance {
	t.Helper()
	advance, err := b.AdvanceCollection(t.Context(), invoice, dunning(), at)
	done(t, err)
	return advance
}

// charges has the next try made and answers it.
func (b *books) charges(t tb, invoice string, at time.Time) models.InvoicePayment {
	t.Helper()
	advance := b.collects(t, invoice, at)
	if advance.Payment == nil {
		t.Fatalf("nothing is charged: %+v", advance)
	}
	return *advance.Payment
}

func answerOf(p models.InvoicePayment, state models.BankState, at time.Time) ledger.InvoiceAnswer {
	a := ledger.InvoiceAnswer{InvoiceID: p.InvoiceID, Attempt: p.Attempt, BankAnswer: ledger.BankAnswer{
		State: state, PaymentIntentID: "pi_" + p.InvoiceID + string(rune('0'+p.Attempt)), At: at,
	}}
	switch state {
	case models.BankApproved:
		a.CapturedCents = p.AmountCents
	case models.BankDeclined:
		a.DeclineCode, a.DeclineKnown = "insufficient_funds", true
	}
	return a
}

func (b *books) answers(t tb, p models.InvoicePayment, state models.BankState, at time.Time) {
	t.Helper()
	done(t, b.RecordInvoicePayment(t.Context(), answerOf(p, state, at), dunning()))
	if state == models.BankDeclined {
		advance := b.collects(t, p.InvoiceID, at)
		if advance.Close == nil || advance.Close.Attempt != p.Attempt {
			t.Fatalf("a declined payment is left open: %+v", advance)
		}
		done(t, b.ClosedInvoicePayment(t.Context(), p.InvoiceID, *advance.Close.PaymentIntentID))
	}
}

// events are what was told of an invoice, in its order.
func (b *books) events(t tb, invoice string) []string {
	t.Helper()
	return ask[[]string](t, b, `select coalesce(array_agg(kind order by id), '{}') from invoice_events where invoice_id = $1`, invoice)
}

func sameList(t tb, what string, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: got %v, want %v", what, got, want)
			return
		}
	}
}

// R32, R13: what is due is charged at once; a payment posts once, counts to lifetime
// spend and moves the tier, and frees what the debt took of the limit.
func TestR32PaidInvoiceCountsToTheTier(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, invoice := b.owing(t, 9_900)
	same(t, "tier before", b.entitlement(t, account).Tier, 1)
	p := b.charges(t, invoice, noon)
	same(t, "attempt", p.Attempt, 1)
	same(t, "origin", p.Origin, models.PaidAutomatically)
	same(t, "amount", p.AmountCents, 9_900)
	again := b.charges(t, invoice, noon.Add(time.Hour))
	same(t, "the same try when asked again", again.Attempt, 1)
	if !again.BankStartedAt.Equal(noon) {
		t.Errorf("begun at %s", again.BankStartedAt)
	}
	b.answers(t, p, models.BankApproved, noon)
	b.answers(t, p, models.BankApproved, noon.Add(time.Minute))
	paid := b.invoice(t, invoice)
	same(t, "status", models.InvoiceStatus(paid.Status), models.InvoicePaid)
	same(t, "lifetime spend", b.balance(t, account).LifetimeSpendMicros, 104_000_000)
	same(t, "tier", b.entitlement(t, account).Tier, 3)
	same(t, "pushes", b.asked(t, ledger.MessagePropagate, account), 1)
	sameList(t, "events", b.events(t, invoice), "paid")
	same(t, "steps left", b.collects(t, invoice, noon.Add(30*day)).Payment == nil, true)
	b.sound(t)
}

// R33: declined, tried on the days, told each time; then past due and suspended, and
// restored by the payment.
func TestR33DunnedThenPastDueThenRestored(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, invoice := b.owing(t, 1_500)
	for i, after := range []time.Duration{0, day, 3 * day, 5 * day} {
		at := noon.Add(after)
		if i > 0 {
			same(t, "charged before its day", b.collects(t, invoice, at.Add(-time.Second)).Payment == nil, true)
		}
		b.answers(t, b.charges(t, invoice, at), models.BankDeclined, at)
		same(t, "status", b.invoice(t, invoice).Status, "open")
		same(t, "suspended", b.entitlement(t, account).Suspended, false)
	}
	last := b.charges(t, invoice, noon.Add(7*day))
	same(t, "attempts", last.Attempt, 5)
	b.answers(t, last, models.BankDeclined, noon.Add(7*day))
	same(t, "status", b.invoice(t, invoice).Status, "past_due")
	suspended := b.entitlement(t, account)
	same(t, "suspended", suspended.Suspended, true)
	same(t, "pushes", b.asked(t, ledger.MessagePropagate, account), 1)
	same(t, "tried by itself", b.collects(t, invoice, noon.Add(60*day)).Payment == nil, true)

	// F46, R34: credits don't pay it, and don't restore.
	b.completed(t, account, 10_000)
	b.grant(t, account, dollars(50))
	same(t, "suspended", b.entitlement(t, account).Suspended, true)
	same(t, "owed", b.invoice(t, invoice).Status, "past_due")

	attempt, err := b.PayInvoice(t.Context(), invoice, "by hand", noon.Add(61*day))
	done(t, err)
	same(t, "attempt", attempt, 6)
	b.do(t, `delete from outbox`)
	b.answers(t, b.charges(t, invoice, noon.Add(61*day)), models.BankApproved, noon.Add(61*day))
	restored := b.entitlement(t, account)
	same(t, "suspended", restored.Suspended, false)
	same(t, "blocked", restored.Blocked, false)
	same(t, "pushes", b.asked(t, ledger.MessagePropagate, account), 1)
	sameList(t, "events", b.events(t, invoice), "payment_failed", "payment_failed", "payment_failed", "payment_failed", "past_due", "paid", "restored")
	same(t, "mails", ask[int64](t, b, `select count(*) from outbox where kind = 'mail_invoice_event'`), 2)
	b.sound(t)
}

// An account that is at its limit already, and so blocked, is suspended all the same: the
// gateways must tell the two apart.
func TestR33BlockedAccountIsSuspendedToo(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, invoice := b.owing(t, 11_000)
	same(t, "blocked", b.entitlement(t, account).Blocked, true)
	before := b.entitlement(t, account).Version
	a := answerOf(b.charges(t, invoice, noon), models.BankExpired, noon)
	a.Unanswered = true
	done(t, b.RecordInvoicePayment(t.Context(), a, dunning()))
	is := b.entitlement(t, account)
	same(t, "suspended", is.Suspended, true)
	same(t, "version", is.Version, before+1)
	same(t, "pushes", b.asked(t, ledger.MessagePropagate, account), 1)
}

// The account goes on when the last of its past due invoices is paid, and not before.
func TestR33RestoredWhenNothingElseIsPastDue(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.completed(t, account, 500)
	invoices := []string{b.owes(t, account, october.AddDate(0, -1, 0), 1_500, 1_000), b.owes(t, account, october, 1_500, 1_500)}
	for _, invoice := range invoices {
		p := b.charges(t, invoice, noon)
		a := answerOf(p, models.BankExpired, noon)
		a.Unanswered = true
		done(t, b.RecordInvoicePayment(t.Context(), a, dunning()))
		same(t, "R38: unanswered is past due", b.invoice(t, invoice).Status, "past_due")
	}
	for i, invoice := range invoices {
		same(t, "suspended", b.entitlement(t, account).Suspended, true)
		_, err := b.PayInvoice(t.Context(), invoice, invoice, noon)
		done(t, err)
		b.answers(t, b.charges(t, invoice, noon), models.BankApproved, noon)
		same(t, "suspended", b.entitlement(t, account).Suspended, i == 0)
	}
	b.sound(t)
}

// R33: a new card triggers a try at once, past due or not; F29: during a charge that
// ends first, and the next one has a number and a card of its own.
func TestR33NewCardIsTriedAtOnce(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, invoice := b.owing(t, 1_500)
	p := b.charges(t, invoice, noon)
	another := card(account, "pm_other")
	another.Fingerprint = "fp_other"
	done(t, b.PutCard(t.Context(), another))
	same(t, "wake-ups", b.asked(t, ledger.MessageInvoicePaymentNow, invoice), 1)
	same(t, "in flight", b.charges(t, invoice, noon).Attempt, 1)
	b.answers(t, p, models.BankDeclined, noon)
	p = b.charges(t, invoice, noon.Add(time.Minute))
	same(t, "attempt", p.Attempt, 2)
	same(t, "origin", p.Origin, models.PaidByNewCard)
	same(t, "card", p.PaymentMethodID, "pm_other")
	b.answers(t, p, models.BankDeclined, noon.Add(time.Minute))

	same(t, "again before its day", b.collects(t, invoice, noon.Add(time.Hour)).Payment == nil, true)
	done(t, b.PutCard(t.Context(), another))
	same(t, "the same card entered again", b.collects(t, invoice, noon.Add(time.Hour)).Payment == nil, true)
}

// A card that is dead is charged no more: each day is told, and then it is past due.
func TestR33DeadCardIsNotHammered(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, invoice := b.owing(t, 1_500)
	dead := answerOf(b.charges(t, invoice, noon), models.BankDeclined, noon)
	dead.DeclineCode = "lost_card"
	done(t, b.RecordInvoicePayment(t.Context(), dead, dunning()))
	done(t, b.ClosedInvoicePayment(t.Context(), invoice, dead.PaymentIntentID))
	var refusal *billing.Refusal
	if _, err := b.PayInvoice(t.Context(), invoice, "k", noon); !errors.As(err, &refusal) || refusal.Code != billing.CodeNewCardRequired {
		t.Errorf("by hand: %v", err)
	}
	for _, after := range []time.Duration{day, 3 * day, 5 * day, 7 * day} {
		same(t, "charged", b.collects(t, invoice, noon.Add(after)).Payment == nil, true)
	}
	sameList(t, "events", b.events(t, invoice), "payment_failed", "payment_failed", "payment_failed", "payment_failed", "past_due")
	same(t, "suspended", b.entitlement(t, account).Suspended, true)
	same(t, "tries", len(ask[[]string](t, b, `select array_agg(bank) from invoice_payments where invoice_id = $1`, invoice)), 1)
}

// R27: the networks' bound counts declines of invoices and of purchases together.
func TestR27NetworkBoundCountsInvoices(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, invoice := b.owing(t, 1_500)
	b.answers(t, b.charges(t, invoice, noon), models.BankDeclined, noon)
	for range billing.NetworkDeclines - 1 {
		id := b.charging(t, account, 500)
		done(t, b.RecordBank(t.Context(), id, ledger.BankAnswer{State: models.BankDeclined, PaymentIntentID: "pi_" + id, DeclineCode: "do_not_honor", At: noon.Add(time.Hour)}))
	}
	same(t, "charged", b.collects(t, invoice, noon.Add(day)).Payment == nil, true)
	r, err := b.Recharge(t.Context(), account, noon.Add(day))
	done(t, err)
	same(t, "declines that auto-recharge counts", r.CardDeclines, billing.NetworkDeclines)
	same(t, "until", r.CardDeclinesUntil.Equal(noon.Add(billing.NetworkWindow)), true)
}

// F25: payments by hand and by the schedule at once are one, each key has its answer
// for ever, and a key is for one invoice.
func TestF25TwoPaymentsAtOnceAreOne(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.completed(t, account, 500)
	other, invoice := b.owes(t, account, october.AddDate(0, -1, 0), 1_500, 1_000), b.owes(t, account, october, 1_500, 1_500)
	attempts := make([]int, 8)
	together(8, func(i int) {
		var err error
		if i%2 == 0 {
			attempts[i] = b.charges(t, invoice, noon).Attempt
		} else if attempts[i], err = b.PayInvoice(t.Context(), invoice, string(rune('a'+i)), noon); err != nil {
			t.Error(err)
		}
	})
	for _, attempt := range attempts {
		same(t, "attempt", attempt, 1)
	}
	p := b.charges(t, invoice, noon)
	b.answers(t, p, models.BankApproved, noon)
	for key, want := range map[string]int{"b": 1, "fresh": 0} {
		attempt, err := b.PayInvoice(t.Context(), invoice, key, noon)
		done(t, err)
		same(t, "attempt of key "+key, attempt, want)
	}
	if _, err := b.PayInvoice(t.Context(), other, "b", noon); !errors.Is(err, ledger.ErrIdempotencyMismatch) {
		t.Errorf("the key for another invoice: %v", err)
	}
}
