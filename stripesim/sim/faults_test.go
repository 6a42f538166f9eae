package sim_test

import (
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/stripesim/sim"
)

func TestFaults(t *testing.T) {
	const noAnswer = 0
	tests := []struct {
		name     string
		kind     sim.FaultKind
		duration time.Duration
		status   int // of the answer hit by the fault
		captures int // after it
		again    int // status of the repetition under the same key
		total    int // captures after that
	}{
		{"TimeoutAfter", sim.FaultTimeoutAfter, 0, noAnswer, 1, 200, 1},
		{"TimeoutAfterBounded", sim.FaultTimeoutAfter, 20 * time.Millisecond, noAnswer, 1, 200, 1},
		{"ErrorBefore", sim.FaultErrorBefore, 0, 500, 0, 500, 0},
		{"ErrorAfter", sim.FaultErrorAfter, 0, 500, 1, 500, 1},
		{"RateLimit", sim.FaultRateLimit, 0, 429, 0, 200, 1},
		{"Slow", sim.FaultSlow, 20 * time.Millisecond, 200, 1, 200, 1},
		{"CutBefore", sim.FaultCutBefore, 0, noAnswer, 0, 200, 1},
		{"CutAfter", sim.FaultCutAfter, 0, noAnswer, 1, 200, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := start(t, sim.Options{})
			customer, method := d.customerWith(t, "pm_card_visa")
			d.api = newClient(d.url, testKey, 500*time.Millisecond)
			pay := func() int { return answerStatus(t, d, withKey(charge(customer, method), "k1")) }
			mustDo(t, d.OrderFault(sim.Fault{Method: "POST", Path: "/v1/payment_intents", Kind: test.kind, Duration: test.duration}))
			began := time.Now()
			if got := pay(); got != test.status {
				t.Errorf("status %d, want %d", got, test.status)
			}
			if took := time.Since(began); took < test.duration {
				t.Errorf("answered after %s, want at least %s", took, test.duration)
			}
			if got := d.Total().Captures; got != test.captures {
				t.Errorf("%d captures, want %d", got, test.captures)
			}
			if got := pay(); got != test.again {
				t.Errorf("repeated: status %d, want %d", got, test.again)
			}
			if got := d.Total().Captures; got != test.total {
				t.Errorf("repeated: %d captures, want %d", got, test.total)
			}
			if len(d.Faults()) != 0 {
				t.Errorf("faults are left: %v", d.Faults())
			}
		})
	}
}

// answerStatus gives the status of a payment's answer, zero when none came.
func answerStatus(t *testing.T, d *double, p *stripe.PaymentIntentParams) int {
	t.Helper()
	pi, err := d.api.PaymentIntents.New(p)
	if err == nil {
		return pi.LastResponse.StatusCode
	}
	se, isStripe := err.(*stripe.Error)
	if !isStripe {
		return 0
	}
	return se.HTTPStatusCode
}

func TestFaultBodies(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_visa")
	mustDo(t, d.OrderFault(sim.Fault{Path: "/v1/payment_intents", Kind: sim.FaultRateLimit}))
	mustDo(t, d.OrderFault(sim.Fault{Path: "/v1/payment_intents", Kind: sim.FaultErrorBefore}))
	_, err := d.api.PaymentIntents.New(charge(customer, method))
	wantError(t, err, 429, stripe.ErrorTypeInvalidRequest, "rate_limit")
	_, err = d.api.PaymentIntents.New(charge(customer, method))
	wantError(t, err, 500, stripe.ErrorTypeAPI, "")
}

func TestFaultsHitWhatTheyName(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_visa")
	mustDo(t, d.OrderFault(sim.Fault{Method: "GET", Path: "/v1/payment_intents/*", Kind: sim.FaultErrorBefore, Times: 2}))
	pi := d.mustPay(t, charge(customer, method), "succeeded")
	for range 2 {
		_, err := d.api.PaymentIntents.Get(pi.ID, nil)
		wantError(t, err, 500, stripe.ErrorTypeAPI, "")
	}
	d.intent(t, pi.ID)
	mustDo(t, d.OrderFault(sim.Fault{Path: "/v1/*/*", Kind: sim.FaultErrorBefore, Times: 2}))
	d.ResetFaults()
	d.intent(t, pi.ID)
}

func TestReplayMeetsFaultsOfTheWireOnly(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_visa")
	pay := func() int { return answerStatus(t, d, withKey(charge(customer, method), "k1")) }
	pay()
	mustDo(t, d.OrderFault(sim.Fault{Path: "/v1/payment_intents", Kind: sim.FaultErrorAfter}))
	mustDo(t, d.OrderFault(sim.Fault{Path: "/v1/payment_intents", Kind: sim.FaultCutAfter}))
	if got := pay(); got != 0 {
		t.Errorf("status %d, want a cut connection", got)
	}
	if got := pay(); got != 200 || len(d.Faults()) != 1 {
		t.Errorf("status %d with %v left", got, d.Faults())
	}
}

func TestBadFaultsAreRefused(t *testing.T) {
	d := start(t, sim.Options{})
	for _, f := range []sim.Fault{
		{Path: "/v1/*", Kind: "meteor"}, {Path: "", Kind: sim.FaultCutAfter}, {Path: "[", Kind: sim.FaultCutAfter},
		{Path: "/v1/*", Kind: sim.FaultSlow}, {Path: "/v1/*", Kind: sim.FaultCutAfter, Times: -1},
	} {
		if err := d.OrderFault(f); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}

func TestRequestsAreLogged(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_visa")
	mustDo(t, d.OrderFault(sim.Fault{Path: "/v1/payment_intents", Kind: sim.FaultCutAfter}))
	for range 2 {
		answerStatus(t, d, withKey(charge(customer, method), "k1"))
	}
	all := d.Requests()
	last := all[len(all)-2:]
	if last[0].Fault != sim.FaultCutAfter || last[0].Replayed || last[1].Fault != "" || !last[1].Replayed || last[1].IdempotencyKey != "k1" {
		t.Errorf("got %+v", last)
	}
}
