package sim_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/stripesim/sim"
)

func TestStateSurvivesARestart(t *testing.T) {
	state := filepath.Join(t.TempDir(), "stripe.journal")
	down := newReceiver(t)
	down.failing = 1 << 30
	opts := sim.Options{StateFile: state, WebhookURL: down.url, ProcessingTime: time.Hour, WebhookBackoff: time.Minute}
	first := start(t, opts)
	customer, method := first.customerWith(t, "pm_card_visa")
	paid := first.mustPay(t, withKey(charge(customer, method), "k1"), "succeeded")
	asked := first.mustPay(t, charge(first.customerWith(t, "pm_card_authenticationRequired")), "requires_action")
	slow := first.mustPay(t, charge(first.customerWith(t, "pm_sim_processing")), "processing")
	_, err := first.api.PaymentIntents.New(withKey(charge(first.customerWith(t, "pm_sim_decline_lost_card")), "k2"))
	failed := wantError(t, err, 402, stripe.ErrorTypeCard, "card_declined").PaymentIntent
	mustDo(t, first.Advance(90*time.Minute/2))
	events := len(first.eventTypes(t))
	mustDo(t, first.Close())

	tearLastLine(t, state)
	hook := newReceiver(t)
	opts.WebhookURL = hook.url
	second := start(t, opts)
	second.quiet(t)
	if got := len(hook.taken(t)); got != events {
		t.Errorf("%d events were delivered after the restart, want %d", got, events)
	}
	if again := second.mustPay(t, withKey(charge(customer, method), "k1"), "succeeded"); again.ID != paid.ID {
		t.Error("the idempotency key was forgotten")
	}
	if got := second.intent(t, paid.ID); got.Status != "succeeded" || got.LatestCharge.AmountCaptured != 2500 || got.Metadata["purchase_id"] != "pur_1" {
		t.Errorf("got %+v", got)
	}
	if got := second.intent(t, failed.ID).LastPaymentError; got.DeclineCode != "lost_card" || got.PaymentMethod.Card.Last4 != "0341" {
		t.Errorf("last error %+v", got)
	}
	page := strings.Replace(asked.NextAction.RedirectToURL.URL, first.url, second.url, 1)
	if status, _, _ := browser(t, "GET", page, nil); status != 200 {
		t.Errorf("authentication page after the restart: %d", status)
	}
	mustDo(t, second.Approve(asked.ID))
	mustDo(t, second.Advance(15*time.Minute+time.Second))
	if got := second.intent(t, slow.ID).Status; got != "succeeded" {
		t.Errorf("processing ended in %s; the clock or its end was forgotten", got)
	}
	second.quiet(t) // an attempt that the end interrupts is made again, as at Stripe
	mustDo(t, second.Close())

	third := start(t, opts)
	third.quiet(t)
	if len(third.eventTypes(t)) != len(hook.taken(t)) {
		t.Errorf("%d events, delivered %d: none is delivered twice over restarts", len(third.eventTypes(t)), len(hook.taken(t)))
	}
}

// tearLastLine leaves what a kill in mid-write leaves.
func tearLastLine(t *testing.T, name string) {
	t.Helper()
	file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(`{"intents":[{"obj`); err != nil {
		t.Fatal(err)
	}
}

func TestBrokenStateIsRefused(t *testing.T) {
	state := filepath.Join(t.TempDir(), "stripe.journal")
	if err := os.WriteFile(state, []byte("{\"clock_offset\":1}\nnonsense\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if srv, err := sim.New(sim.Options{StateFile: state}); err == nil {
		srv.Close()
		t.Error("a broken state file was taken")
	}
}
