package ledger_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

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
