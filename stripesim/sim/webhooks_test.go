package sim_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/paystage/paystage/stripesim/sim"
)

// receiver is a webhook endpoint that verifies with stripe-go.
type receiver struct {
	url string

	mu      sync.Mutex
	failing int // answers of 500 still to give
	events  []stripe.Event
	bad     []error
	arrived chan struct{} // one token an event taken
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{arrived: make(chan struct{}, 1000)}
	web := httptest.NewServer(r)
	t.Cleanup(web.Close)
	r.url = web.URL + "/webhooks/stripe"
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	signature := req.Header.Get("Stripe-Signature")
	event, err := webhook.ConstructEvent(body, signature, testSecret)
	if err == nil {
		err = fromTheFuture(signature)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.bad = append(r.bad, err)
	}
	if r.failing > 0 {
		r.failing--
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	r.events = append(r.events, event)
	r.arrived <- struct{}{}
}

// fromTheFuture refuses what stripe-go v76 lets pass.
func fromTheFuture(signature string) error {
	var at int64
	if _, err := fmt.Sscanf(signature, "t=%d,", &at); err != nil {
		return err
	}
	if ahead := time.Until(time.Unix(at, 0)); ahead > webhook.DefaultTolerance {
		return fmt.Errorf("signed %s from now", ahead)
	}
	return nil
}

func (r *receiver) taken(t *testing.T) []stripe.Event {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.bad) > 0 {
		t.Fatalf("stripe-go refused: %v", r.bad)
	}
	return slices.Clone(r.events)
}

func (r *receiver) count(t *testing.T, kind string) (n int) {
	for _, ev := range r.taken(t) {
		if string(ev.Type) == kind {
			n++
		}
	}
	return n
}

// await waits for the event type to arrive.
func (r *receiver) await(t *testing.T, kind string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for r.count(t, kind) == 0 {
		select {
		case <-r.arrived:
		case <-deadline:
			t.Fatalf("%s never came", kind)
		}
	}
}

func (d *double) quiet(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := d.WaitWebhooks(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestWebhooksAreSigned(t *testing.T) {
	hook := newReceiver(t)
	d := start(t, sim.Options{WebhookURL: hook.url})
	customer, method := d.customerWith(t, "pm_card_visa")
	pi := d.mustPay(t, withKey(charge(customer, method), "pur_1/1"), "succeeded")
	d.quiet(t)
	for _, ev := range hook.taken(t) {
		if ev.Type != "payment_intent.succeeded" {
			continue
		}
		if ev.APIVersion != stripe.APIVersion || ev.Request.IdempotencyKey != "pur_1/1" || ev.Data.Object["id"] != pi.ID || ev.Data.Object["status"] != "succeeded" {
			t.Errorf("got %+v with %v", ev, ev.Data.Object)
		}
		listed, err := d.api.Events.Get(ev.ID, nil)
		if err != nil || listed.PendingWebhooks != 0 {
			t.Errorf("got %+v, %v", listed, err)
		}
	}
	for _, kind := range []string{"customer.created", "payment_method.attached", "payment_intent.created", "charge.succeeded", "payment_intent.succeeded"} {
		if n := hook.count(t, kind); n != 1 {
			t.Errorf("%s came %d times", kind, n)
		}
	}
}

func TestWebhooksAreRetried(t *testing.T) {
	hook := newReceiver(t)
	hook.failing = 7
	d := start(t, sim.Options{WebhookURL: hook.url, WebhookBackoff: time.Millisecond})
	d.customerWith(t, "pm_card_visa")
	d.quiet(t)
	if got := len(hook.taken(t)); got != 2 {
		t.Errorf("%d events were taken, want 2", got)
	}
}

func TestWebhooksGiveUp(t *testing.T) {
	hook := newReceiver(t)
	hook.failing = 1000
	d := start(t, sim.Options{WebhookURL: hook.url, WebhookBackoff: time.Millisecond, WebhookAttempts: 3})
	d.customerWith(t, "pm_card_visa")
	d.quiet(t)
	hook.mu.Lock()
	defer hook.mu.Unlock()
	if tried := 1000 - hook.failing; tried != 6 {
		t.Errorf("%d attempts for 2 events, want 6", tried)
	}
}

func TestWebhooksDropped(t *testing.T) {
	hook := newReceiver(t)
	d := start(t, sim.Options{WebhookURL: hook.url})
	mustDo(t, d.SetWebhooks(sim.WebhookBehaviour{DropNext: 2}))
	customer, method := d.customerWith(t, "pm_card_visa")
	d.mustPay(t, charge(customer, method), "succeeded")
	d.quiet(t)
	if got := len(hook.taken(t)); got != 3 {
		t.Errorf("%d events came, want the 3 of the payment", got)
	}
	if got := len(d.eventTypes(t)); got != 5 {
		t.Errorf("%d events are listed, want 5: a dropped one can be fetched", got)
	}
}

func TestWebhooksOfTheTypesEnabled(t *testing.T) {
	hook := newReceiver(t)
	d := start(t, sim.Options{WebhookURL: hook.url, WebhookEvents: []string{"payment_intent.succeeded"}})
	d.mustPay(t, charge(d.customerWith(t, "pm_card_visa")), "succeeded")
	d.quiet(t)
	if n, all := hook.count(t, "payment_intent.succeeded"), len(hook.taken(t)); n != 1 || all != 1 {
		t.Errorf("%d of the type enabled and %d in all came, want 1 and 1", n, all)
	}
}

func TestWebhooksRepeated(t *testing.T) {
	hook := newReceiver(t)
	d := start(t, sim.Options{WebhookURL: hook.url})
	mustDo(t, d.SetWebhooks(sim.WebhookBehaviour{Copies: 100}))
	d.mustPay(t, charge(d.customerWith(t, "pm_card_visa")), "succeeded")
	d.quiet(t)
	if n := hook.count(t, "payment_intent.succeeded"); n != 100 {
		t.Errorf("came %d times, want 100", n)
	}
}

func TestWebhooksHeldAndReversed(t *testing.T) {
	hook := newReceiver(t)
	d := start(t, sim.Options{WebhookURL: hook.url})
	mustDo(t, d.SetWebhooks(sim.WebhookBehaviour{Hold: true}))
	d.mustPay(t, charge(d.customerWith(t, "pm_card_visa")), "succeeded")
	d.quiet(t)
	if got := hook.taken(t); len(got) != 0 {
		t.Fatalf("%d came while held", len(got))
	}
	mustDo(t, d.Advance(72*time.Hour)) // F13: three days late, and still signed for today
	if n := d.ReleaseWebhooks(); n != 5 {
		t.Errorf("%d released, want 5", n)
	}
	want := d.eventTypes(t)
	slices.Reverse(want)
	var got []string
	for _, ev := range hook.taken(t) {
		got = append(got, string(ev.Type))
	}
	if !slices.Equal(got, want) {
		t.Errorf("came as %v, want %v", got, want)
	}
}

func TestWebhooksDelayed(t *testing.T) {
	hook := newReceiver(t)
	d := start(t, sim.Options{WebhookURL: hook.url})
	mustDo(t, d.SetWebhooks(sim.WebhookBehaviour{Delay: 50 * time.Millisecond}))
	began := time.Now()
	d.customerWith(t, "pm_card_visa")
	d.quiet(t)
	if took := time.Since(began); took < 50*time.Millisecond || len(hook.taken(t)) != 2 {
		t.Errorf("%d events after %s", len(hook.taken(t)), took)
	}
}

func TestEventResent(t *testing.T) {
	hook := newReceiver(t)
	d := start(t, sim.Options{WebhookURL: hook.url})
	d.customerWith(t, "pm_card_visa")
	events := d.api.Events.List(&stripe.EventListParams{Type: stripe.String("customer.created")})
	if !events.Next() {
		t.Fatal("no event")
	}
	mustDo(t, d.ResendEvent(events.Event().ID, 9))
	d.quiet(t)
	if n := hook.count(t, "customer.created"); n != 10 {
		t.Errorf("came %d times, want 10", n)
	}
	if err := d.ResendEvent("evt_unknown", 1); err == nil {
		t.Error("an unknown event was sent")
	}
}

func TestSlowReceiverHoldsNothingUp(t *testing.T) {
	release := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(web.Close)
	t.Cleanup(func() { close(release) })
	d := start(t, sim.Options{WebhookURL: web.URL})
	customer, method := d.customerWith(t, "pm_card_visa")
	for range 50 {
		d.mustPay(t, charge(customer, method), "succeeded")
	}
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Errorf("control: %w", err))
	}
}

func TestWebhooksOfOnePaymentKeepTheirOrder(t *testing.T) {
	hook := newReceiver(t)
	d := start(t, sim.Options{WebhookURL: hook.url})
	customer, method := d.customerWith(t, "pm_card_visa")
	for range 20 {
		d.mustPay(t, charge(customer, method), "succeeded")
	}
	d.quiet(t)
	came := map[string][]string{}
	for _, ev := range hook.taken(t) {
		payment, _ := ev.Data.Object["payment_intent"].(string)
		if payment == "" {
			payment, _ = ev.Data.Object["id"].(string)
		}
		came[payment] = append(came[payment], string(ev.Type))
	}
	for id, kinds := range came {
		if strings.HasPrefix(id, "pi_") && !slices.Equal(kinds, []string{"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"}) {
			t.Errorf("%s: %v", id, kinds)
		}
	}
}

func TestWebhooksUnordered(t *testing.T) {
	hook := newReceiver(t)
	d := start(t, sim.Options{WebhookURL: hook.url})
	mustDo(t, d.SetWebhooks(sim.WebhookBehaviour{Unordered: true}))
	customer, method := d.customerWith(t, "pm_card_visa")
	for range 10 {
		d.mustPay(t, charge(customer, method), "succeeded")
	}
	d.quiet(t)
	var got []string
	for _, ev := range hook.taken(t) {
		got = append(got, string(ev.Type))
	}
	sent := d.eventTypes(t)
	if slices.Equal(got, sent) || len(got) != len(sent) {
		t.Errorf("%d events came in the order of %d", len(got), len(sent))
	}
}
