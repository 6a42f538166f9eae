package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

func event(kind, purchase string) ledger.StripeEvent {
	return ledger.StripeEvent{
		ID: "evt_" + uuid.NewString(), Type: kind, ObjectID: "pi_" + purchase, PurchaseID: purchase, CreatedAt: noon, ReceivedAt: noon,
	}
}

// F11: Stripe repeats.
func TestF11EventRepeatedAHundredTimesIsOne(t *testing.T) {
	t.Parallel()
	b := open(t)
	id := b.charging(t, b.customer(t), 2500)
	done(t, b.RecordBank(t.Context(), id, ledger.BankAnswer{State: models.BankProcessing, PaymentIntentID: "pi_" + id, At: noon}))
	e := event("payment_intent.succeeded", id)
	var fresh atomic.Int64
	together(100, func(int) {
		isNew, err := b.RecordStripeEvent(t.Context(), e)
		if err != nil {
			t.Error(err)
		}
		if isNew {
			fresh.Add(1)
		}
	})
	same(t, "new events", fresh.Load(), 1)
	same(t, "stored", ask[int64](t, b, `select count(*) from stripe_events`), 1)
	same(t, "times the purchase is told", ask[int64](t, b, `select revision from outbox where kind = 'payment_changed' and subject = $1`, id), 1)
}

// What an event asks for depends on what its purchase waits for.
func TestStripeEventTellsItsPurchase(t *testing.T) {
	t.Parallel()
	b := open(t)
	bank := func(state models.BankState) func(context.Context, string) error {
		return func(ctx context.Context, id string) error {
			answer := ledger.BankAnswer{State: state, PaymentIntentID: "pi_" + id, At: noon}
			switch state {
			case models.BankApproved:
				answer.CapturedCents = 2500
			case models.BankDeclined:
				answer.DeclineCode = "lost_card"
			}
			return b.RecordBank(ctx, id, answer)
		}
	}
	begin := func(ctx context.Context, id string) error { return steps["BeginPurchase"].do(ctx, b, id) }
	const now, soon, never, review = "now", "soon", "never", "review"
	for name, c := range map[string]struct {
		event string
		to    func(context.Context, string) error
		want  string
	}{
		"Waiting":                {"payment_intent.succeeded", nil, soon},
		"Charging":               {"payment_intent.succeeded", begin, soon},
		"Processing":             {"payment_intent.succeeded", bank(models.BankProcessing), now},
		"RequiresAction":         {"payment_intent.payment_failed", bank(models.BankRequiresAction), now},
		"Unknown":                {"payment_intent.created", bank(models.BankUnknown), now},
		"Approved":               {"payment_intent.succeeded", bank(models.BankApproved), never},
		"I3/Declined":            {"payment_intent.succeeded", bank(models.BankDeclined), review},
		"I3/Canceled":            {"payment_intent.succeeded", bank(models.BankCanceled), review},
		"I3/Expired":             {"payment_intent.succeeded", bank(models.BankExpired), review},
		"F12/FailedAfterItsEnd":  {"payment_intent.payment_failed", bank(models.BankDeclined), never},
		"F12/CreatedAfterItsEnd": {"payment_intent.created", bank(models.BankApproved), never},
		"OfAnotherObject":        {"charge.succeeded", bank(models.BankProcessing), never},
		"UnderscoreIsNoWildcard": {"paymentXintent.succeeded", bank(models.BankProcessing), never},
	} {
		t.Run(name, func(t *testing.T) {
			account := b.customer(t)
			id := b.created(t, account, 2500)
			if c.to != nil {
				done(t, c.to(t.Context(), id))
			}
			fresh, err := b.RecordStripeEvent(t.Context(), event(c.event, id))
			done(t, err)
			same(t, "fresh", fresh, true)
			got := ask[string](t, b, `
				select coalesce((select case when due_at <= clock_timestamp() then 'now'
				                             when due_at <= clock_timestamp() + '2 seconds'::interval then 'soon' else 'late' end
				                   from outbox where kind = 'payment_changed' and subject = $1),
				       (select 'review' from alerts where kind = 'capture_in_review' and subject = 'purchase/' || $1), 'never')`, id)
			same(t, "told", got, c.want)
		})
	}
}

func TestI3CaptureForAnEndedPurchaseIsInReviewOnce(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	id := b.charging(t, account, 2500)
	done(t, b.RecordBank(t.Context(), id, ledger.BankAnswer{State: models.BankExpired, At: noon}))
	for range 2 {
		_, err := b.RecordStripeEvent(t.Context(), event("payment_intent.succeeded", id))
		done(t, err)
	}
	alerts, err := b.OpenAlerts(t.Context())
	done(t, err)
	same(t, "alerts", len(alerts), 1)
	same(t, "kind", alerts[0].Kind, models.AlertCaptureInReview)
	same(t, "account", *alerts[0].AccountID, account)
	for _, word := range []string{"pi_" + id, "expired"} {
		if !strings.Contains(alerts[0].Detail, word) {
			t.Errorf("the alert does not say %q: %s", word, alerts[0].Detail)
		}
	}
}

func TestStripeEventOfNoPurchase(t *testing.T) {
	t.Parallel()
	b := open(t)
	for name, purchase := range map[string]string{"Unknown": uuid.NewString(), "None": ""} {
		e := event("payment_intent.succeeded", purchase)
		fresh, err := b.RecordStripeEvent(t.Context(), e)
		done(t, err)
		same(t, name+": fresh", fresh, true)
		same(t, name+": stored without a purchase", ask[bool](t, b, `select purchase_id is null from stripe_events where id = $1`, e.ID), true)
	}
	same(t, "messages", ask[int64](t, b, `select count(*) from outbox`), 0)
}

func TestStripeEventIsStoredWhole(t *testing.T) {
	t.Parallel()
	b := open(t)
	id := b.created(t, b.customer(t), 500)
	e := event("payment_intent.succeeded", id)
	e.ReceivedAt = noon.Add(72 * time.Hour) // F13
	_, err := b.RecordStripeEvent(t.Context(), e)
	done(t, err)
	same(t, "row", ask[string](t, b, `select concat_ws(' ', id, type, object_id, purchase_id, received_at - created_at) from stripe_events`),
		strings.Join([]string{e.ID, e.Type, e.ObjectID, id, "3 days"}, " "))
}

// ended is each end of a purchase without money, as the bank's answer.
func ended(id string) map[string]ledger.BankAnswer {
	return map[string]ledger.BankAnswer{
		"Declined": declined(id),
		"Canceled": {State: models.BankCanceled, PaymentIntentID: "pi_" + id, At: noon},
		"Expired":  {State: models.BankExpired, At: noon},
	}
}

// I3: money that Stripe reports for a purchase that ends without it is in review
// once, whichever of the two comes first.
func TestI3CaptureReportedJustBeforeTheEndIsInReview(t *testing.T) {
	t.Parallel()
	b := open(t)
	for name := range ended("") {
		t.Run(name, func(t *testing.T) {
			id := b.charging(t, b.customer(t), 2500)
			for range 2 {
				_, err := b.RecordStripeEvent(t.Context(), event("payment_intent.succeeded", id))
				done(t, err)
			}
			same(t, "in review while it goes on", b.inReview(t, id), 0)
			for range 2 {
				done(t, b.RecordBank(t.Context(), id, ended(id)[name]))
			}
			same(t, "in review", b.inReview(t, id), 1)
		})
	}
}

// I3: the event and the end are written at the same time, and neither sees the
// other's row: the second waits for the first.
func TestI3CaptureReportedWhileThePurchaseEndsIsInReview(t *testing.T) {
	t.Parallel()
	b := open(t)
	type step func(ctx context.Context, db querier, id string) error
	record := func(ctx context.Context, db querier, id string) error {
		e := event("payment_intent.succeeded", id)
		_, err := db.Exec(ctx, `select stripe_event_record($1, $2, $3, $4, $5, $6)`, e.ID, e.Type, e.ObjectID, id, noon, noon)
		return err
	}
	byAnswer := func(ctx context.Context, db querier, id string) error {
		_, err := db.Exec(ctx, `select purchase_record_bank($1, 'declined', $2, 0, 'lost_card', true, null, $3)`, id, "pi_"+id, noon)
		return err
	}
	// A writer that names no payment locks the row less than the foreign key of an
	// event would wait for.
	byHand := func(ctx context.Context, db querier, id string) error {
		_, err := db.Exec(ctx, `update purchases set bank = 'expired', status = 'expired', bank_ended_at = $2 where id = $1`, id, noon)
		return err
	}
	for name, c := range map[string]struct{ first, second step }{
		"EventThenAnswer": {record, byAnswer}, "AnswerThenEvent": {byAnswer, record},
		"EventThenEnd": {record, byHand}, "EndThenEvent": {byHand, record},
	} {
		t.Run(name, func(t *testing.T) {
			id := b.charging(t, b.customer(t), 2500)
			tx, err := b.db.Begin(t.Context())
			done(t, err)
			defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
			done(t, c.first(t.Context(), tx, id))
			second := make(chan error, 1)
			go func() { second <- c.second(t.Context(), b.db, id) }()
			b.await(t, 1)
			done(t, tx.Commit(t.Context()))
			done(t, <-second)
			same(t, "in review", b.inReview(t, id), 1)
		})
	}
}

// I3: what the purchase was paid with needs no review, whatever the order, and
// another payment does.
func TestI3OnlyAnotherPaymentOfAnApprovedPurchaseIsInReview(t *testing.T) {
	t.Parallel()
	b := open(t)
	for name, c := range map[string]struct {
		paid string
		want int64
	}{"ItsOwn": {"", 0}, "Another": {"_2", 1}} {
		for _, eventFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/EventFirst=%t", name, eventFirst), func(t *testing.T) {
				id := b.charging(t, b.customer(t), 2500)
				e := event("payment_intent.succeeded", id)
				e.ObjectID += c.paid
				report := func() error { _, err := b.RecordStripeEvent(t.Context(), e); return err }
				approve := func() error { return b.RecordBank(t.Context(), id, approval(id, 2500)) }
				both := []func() error{approve, report}
				if eventFirst {
					slices.Reverse(both)
				}
				for _, do := range both {
					done(t, do())
				}
				same(t, "in review", b.inReview(t, id), c.want)
			})
		}
	}
}

// Other events than of money say nothing about an end.
func TestOtherEventsBeforeTheEndRaiseNothing(t *testing.T) {
	t.Parallel()
	b := open(t)
	id, other := b.charging(t, b.customer(t), 2500), b.charging(t, b.customer(t), 2500)
	for _, e := range []ledger.StripeEvent{
		event("payment_intent.payment_failed", id), event("charge.succeeded", id), event("payment_intent.succeeded", other),
	} {
		_, err := b.RecordStripeEvent(t.Context(), e)
		done(t, err)
	}
	done(t, b.RecordBank(t.Context(), id, declined(id)))
	same(t, "in review", b.inReview(t, id), 0)
}

// querier is a pool or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// inReview is how many alerts put money of a purchase before a person.
func (b *books) inReview(t tb, id string) int64 {
	t.Helper()
	return ask[int64](t, b, `select count(*) from alerts where kind = 'capture_in_review' and subject = 'purchase/' || $1`, id)
}
