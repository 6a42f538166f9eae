package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/testenv"
	"github.com/paystage/paystage/workflows"
)

func TestBackoffDoublesToAMinuteOrAnHour(t *testing.T) {
	t.Parallel()
	for attempts, want := range map[int32]time.Duration{
		1: 250 * time.Millisecond, 2: 500 * time.Millisecond, 8: 32 * time.Second, 9: time.Minute, 100: time.Minute, math.MaxInt32: time.Minute,
	} {
		if got := backoff(attempts, errors.New("down")); got != want {
			t.Errorf("attempt %d: %s, want %s", attempts, got, want)
		}
	}
	refused := fmt.Errorf("mail 1: %w", activities.ErrMailRefused)
	for attempts, want := range map[int32]time.Duration{
		1: 250 * time.Millisecond, 9: 64 * time.Second, 14: 2048 * time.Second, 15: time.Hour, 100: time.Hour, math.MaxInt32: time.Hour,
	} {
		if got := backoff(attempts, refused); got != want {
			t.Errorf("attempt %d of what is refused: %s, want %s", attempts, got, want)
		}
	}
	if delivery+noteWithin >= lease {
		t.Error("a delivery may last longer than its lease")
	}
	if rechargesEvery+rechargesAfter >= time.Minute {
		t.Error("an account below its threshold may wait over a minute (R28)")
	}
}

// I6: what Temporal may have forgotten is started again, when it is old enough.
func TestI6PendingPurchasesAreStartedAgain(t *testing.T) {
	t.Parallel()
	store, err := ledger.Open(t.Context(), testenv.Database(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	old, young := pending(t, store, noon.Add(-restartAfter-time.Microsecond)), pending(t, store, noon.Add(-restartAfter))
	r := New(store, nil, workflows.Queues{}, nil, slog.New(slog.NewTextHandler(io.Discard, nil)))
	r.restartPending(t.Context(), noon)
	messages, err := store.ClaimMessages(t.Context(), 10, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if len(messages) != 1 || messages[0].Subject != old || messages[0].Kind != ledger.MessageStartPurchase {
		t.Errorf("got %+v, want %s and not %s", messages, old, young)
	}
}

// I6: so is the push of what a gateway lacks.
func TestI6LaggingEntitlementsArePushedAgain(t *testing.T) {
	t.Parallel()
	store, err := ledger.Open(t.Context(), testenv.Database(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	id := pending(t, store, noon)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(store.RecordBank(t.Context(), id, ledger.BankAnswer{State: models.BankApproved, PaymentIntentID: "pi", CapturedCents: 500, At: noon}))
	_, err = store.IssueInvoice(t.Context(), id, uuid.NewString(), noon)
	must(err)
	_, err = store.CreditPurchase(t.Context(), id, models.TierRules{Thresholds: []int64{5_000_000}, Limits: []int64{0, 100_000_000}}, noon)
	must(err)
	messages, err := store.ClaimMessages(t.Context(), 10, time.Hour)
	must(err)
	for _, m := range messages {
		must(store.MessageDelivered(t.Context(), m))
	}
	r := New(store, nil, workflows.Queues{}, nil, slog.New(slog.NewTextHandler(io.Discard, nil)))
	r.Gateways = func() []string { return []string{"http://gateway-1"} }
	r.pushLagging(t.Context(), noon)
	messages, err = store.ClaimMessages(t.Context(), 10, time.Minute)
	must(err)
	if len(messages) != 1 || messages[0].Kind != ledger.MessagePropagate {
		t.Errorf("got %+v", messages)
	}
}

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// pending makes a purchase whose workflow began, and so has no message.
func pending(t *testing.T, store *ledger.Ledger, at time.Time) string {
	t.Helper()
	ctx, id, account := t.Context(), uuid.NewString(), uuid.NewString()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(store.CreateAccount(ctx, models.Account{ID: account, Email: "ada@example.com", Name: "Ada", Territory: "US", CreatedAt: at}))
	_, err := store.SetStripeCustomer(ctx, account, "cus_"+account)
	must(err)
	must(store.PutCard(ctx, models.Card{AccountID: account, PaymentMethodID: "pm", Brand: "visa", Funding: "credit", UpdatedAt: at}))
	_, _, err = store.CreatePurchase(ctx, ledger.NewPurchase{
		ID: id, AccountID: account, IdempotencyKey: "k", Origin: models.OriginCheckout, AmountCents: 500, At: at,
	})
	must(err)
	_, err = store.BeginPurchase(ctx, id, at)
	must(err)
	return id
}

func TestSweepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	(&Relay{}).Sweep(ctx, time.Now)
}
