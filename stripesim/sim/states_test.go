package sim_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"

	"github.com/paystage/paystage/stripesim/sim"
)

// stripeKeyName names the key of Stripe's real test mode.
const stripeKeyName = "STRIPE_TEST_SECRET_KEY"

// world is where a row is played: at the double, or at Stripe itself.
type world struct {
	t   *testing.T
	api *client.API
	// double is nil at Stripe.
	double *double
}

func TestStates(t *testing.T) {
	for _, r := range stateRows {
		t.Run(r.name(), func(t *testing.T) {
			d := startJudged(t, sim.Options{})
			play(world{t: t, api: d.api, double: d}, r)
		})
	}
}

// TestStatesAtStripe plays the same rows at Stripe, so that a difference shows
// where the double is wrong.
func TestStatesAtStripe(t *testing.T) {
	key := os.Getenv(stripeKeyName)
	if !strings.HasPrefix(key, "sk_test_") {
		t.Skipf("%s holds no key that begins with sk_test_: the double is not compared with Stripe", stripeKeyName)
	}
	for _, r := range stateRows {
		t.Run(r.name(), func(t *testing.T) {
			config := &stripe.BackendConfig{MaxNetworkRetries: stripe.Int64(2), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}}
			backend := stripe.GetBackendWithConfig(stripe.APIBackend, config)
			play(world{t: t, api: client.New(key, &stripe.Backends{API: backend})}, r)
		})
	}
}

func (r row) name() string { return fmt.Sprintf("%s/%s/%s", r.object, r.state, r.call) }

// play brings an object into the state, makes the call and compares.
func play(w world, r row) {
	w.t.Helper()
	m, known := machines[r.object]
	if !known || m.states[r.state] == nil || m.calls[r.call] == nil || !strings.HasPrefix(r.page, "https://docs.stripe.com/") {
		w.t.Fatalf("the row names what there is not: %+v", r)
	}
	id := m.states[r.state](w)
	if r.state == r.then || strings.HasPrefix(r.state, "requires_") {
		if before := m.status(w, id); before != r.state {
			w.t.Fatalf("made %s, want %s", before, r.state)
		}
	}
	code := ""
	if err := m.calls[r.call](w, id); err != nil {
		if code = string(stripeError(w.t, err).Code); code == "" {
			code = refused
		}
	}
	if code != r.code && !(r.code == refused && code != "") {
		w.t.Errorf("code %q, want %q", code, r.code)
	}
	if then := m.status(w, id); then != r.then {
		w.t.Errorf("%s, want %s (%s)", then, r.then, r.page)
	}
}

// TestEveryStateAndCallIsPlayed keeps the machines free of what no row needs.
func TestEveryStateAndCallIsPlayed(t *testing.T) {
	used := map[string]bool{}
	for _, r := range stateRows {
		used[r.object+" "+r.state], used[r.object+" "+r.call] = true, true
	}
	for object, m := range machines {
		for state := range m.states {
			if !used[object+" "+state] {
				t.Errorf("no row has a %s that is %s", object, state)
			}
		}
		for call := range m.calls {
			if !used[object+" "+call] {
				t.Errorf("no row has the call %q on a %s", call, object)
			}
		}
	}
}

// ask orders what nobody can order at Stripe: there the row is skipped.
func (w world) ask(order func(*sim.Server) error) {
	w.t.Helper()
	if w.double == nil {
		w.t.Skip("nothing at Stripe can be told to decide this")
	}
	if err := order(w.double.Server); err != nil {
		w.t.Fatal(err)
	}
}

// await lets time pass until the condition holds.
func (w world) await(pass time.Duration, holds func() bool) {
	w.t.Helper()
	if w.double != nil {
		if err := w.double.Advance(pass); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	if pass > time.Hour {
		w.t.Skip("Stripe's time cannot be moved")
	}
	for deadline := time.Now().Add(3 * time.Minute); !holds(); time.Sleep(2 * time.Second) {
		if time.Now().After(deadline) {
			w.t.Fatal("it has not come in three minutes")
		}
	}
}

func (w world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w world) customer() string {
	w.t.Helper()
	cus, err := w.api.Customers.New(&stripe.CustomerParams{Email: stripe.String("ada@example.com")})
	w.must(err)
	return cus.ID
}

// saved gives a customer with the card.
func (w world) saved(card string) (customer, method string) {
	w.t.Helper()
	customer = w.customer()
	pm, err := w.api.PaymentMethods.Attach(card, &stripe.PaymentMethodAttachParams{Customer: &customer})
	w.must(err)
	return customer, pm.ID
}

// paid gives a payment with the card that has succeeded.
func (w world) paid(card string) *stripe.PaymentIntent {
	w.t.Helper()
	pi, err := w.api.PaymentIntents.New(charge(w.saved(card)))
	w.must(err)
	return pi
}
