package sim_test

import (
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/stripesim/sim"
)

func TestPaceLimitsARoute(t *testing.T) {
	d := startJudged(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_visa")
	mustDo(t, d.SetPace(sim.Pace{Method: "POST", Path: "/v1/payment_intents", PerSecond: 3}))
	for range 3 {
		d.mustPay(t, charge(customer, method), "succeeded")
	}
	_, err := d.api.PaymentIntents.New(withKey(charge(customer, method), "k1"))
	wantError(t, err, 429, stripe.ErrorTypeInvalidRequest, "rate_limit")
	if _, err := d.api.Customers.Get(customer, nil); err != nil {
		t.Errorf("another route: %v", err)
	}
	d.ResetPaces()
	d.mustPay(t, withKey(charge(customer, method), "k1"), "succeeded") // the key was left free
	if got := d.Total().Captures; got != 4 {
		t.Errorf("%d captures, want 4", got)
	}
}

func TestPaceGivesLatency(t *testing.T) {
	d := startJudged(t, sim.Options{})
	customer, _ := d.customerWith(t, "pm_card_visa")
	mustDo(t, d.SetPace(sim.Pace{Path: "/v1/customers/*", P50: 20 * time.Millisecond, P99: 20 * time.Millisecond}))
	began := time.Now()
	if _, err := d.api.Customers.Get(customer, nil); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 20*time.Millisecond {
		t.Errorf("answered after %s", took)
	}
}

func TestBadPacesAreRefused(t *testing.T) {
	d := start(t, sim.Options{})
	for _, p := range []sim.Pace{
		{Path: "/v1/*"}, {PerSecond: 1}, {Path: "[", PerSecond: 1}, {Path: "/v1/*", PerSecond: -1}, {Path: "/v1/*", P50: time.Second},
		{Path: "/v1/*", P50: time.Hour, P99: time.Hour}, {Path: "/v1/*", P99: time.Second},
	} {
		if d.SetPace(p) == nil {
			t.Errorf("%+v was taken", p)
		}
	}
	mustControl(t, d, "POST", "/paces", `{"path":"/v1/*","per_second":25,"p50_ms":20,"p99_ms":200}`)
	if got := mustControl(t, d, "GET", "/paces", "")["paces"].([]any); len(got) != 1 {
		t.Errorf("paces %v", got)
	}
	mustControl(t, d, "DELETE", "/paces", "")
	if len(d.Paces()) != 0 {
		t.Error("a pace is left")
	}
}
