package sim_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/stripesim/sim"
)

func TestSameKeySameAnswer(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_visa")
	first := d.mustPay(t, withKey(charge(customer, method), "k1"), "succeeded")
	again := d.mustPay(t, withKey(charge(customer, method), "k1"), "succeeded")
	if !bytes.Equal(first.LastResponse.RawJSON, again.LastResponse.RawJSON) {
		t.Error("the second answer differs from the first")
	}
	if first.LastResponse.Header.Get("Idempotent-Replayed") != "" || again.LastResponse.Header.Get("Idempotent-Replayed") != "true" {
		t.Error("only the second answer is replayed")
	}
	if again.LastResponse.Header.Get("Original-Request") != first.LastResponse.RequestID || again.LastResponse.RequestID == first.LastResponse.RequestID {
		t.Error("the replay must name the original request and have an id of its own")
	}
	if got := d.Total(); got.PaymentIntents != 1 || got.Captures != 1 {
		t.Errorf("total %+v", got)
	}
}

func TestDeclineIsReplayed(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_sim_decline_lost_card")
	for range 2 {
		_, err := d.api.PaymentIntents.New(withKey(charge(customer, method), "k1"))
		wantError(t, err, 402, stripe.ErrorTypeCard, "card_declined")
	}
	if got := d.Total().PaymentIntents; got != 1 {
		t.Errorf("%d PaymentIntents, want 1", got)
	}
}

func TestKeyMisused(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_visa")
	d.mustPay(t, withKey(charge(customer, method), "k1"), "succeeded")
	other := withKey(charge(customer, method), "k1")
	other.Amount = stripe.Int64(2600)
	_, err := d.api.PaymentIntents.New(other)
	wantError(t, err, 400, stripe.ErrorTypeIdempotency, "")
	elsewhere := &stripe.CustomerParams{}
	elsewhere.SetIdempotencyKey("k1")
	_, err = d.api.Customers.New(elsewhere)
	if se := wantError(t, err, 400, stripe.ErrorTypeIdempotency, ""); !strings.Contains(se.Msg, "'/v1/customers' vs '/v1/payment_intents'") {
		t.Errorf("the message must name both endpoints: %s", se.Msg)
	}
	// stripe-go refuses a key that is too long by itself.
	if status, body := post(t, d, "/v1/customers", strings.Repeat("k", 256), nil); status != 400 {
		t.Errorf("a key of 256 characters: %d %s", status, body)
	}
}

func TestRefusedParametersLeaveTheKeyFree(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_visa")
	bad := withKey(charge(customer, method), "k1")
	bad.AddExtra("colour", "red")
	_, err := d.api.PaymentIntents.New(bad)
	wantError(t, err, 400, stripe.ErrorTypeInvalidRequest, "parameter_unknown")
	bad = withKey(charge(customer, method), "k1")
	bad.Amount = nil
	_, err = d.api.PaymentIntents.New(bad)
	wantError(t, err, 400, stripe.ErrorTypeInvalidRequest, "parameter_missing")
	d.mustPay(t, withKey(charge(customer, method), "k1"), "succeeded")
}

func TestKeyIsForgottenAfterADay(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_visa")
	pay := func() string { return d.mustPay(t, withKey(charge(customer, method), "k1"), "succeeded").ID }
	first := pay()
	mustDo(t, d.Advance(24*time.Hour-2*time.Second))
	if again := pay(); again != first {
		t.Error("forgotten too early")
	}
	mustDo(t, d.Advance(3*time.Second))
	if again := pay(); again == first {
		t.Error("still kept after 24 hours")
	}
}

func TestKeyInUse(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_visa")
	mustDo(t, d.OrderFault(sim.Fault{Method: "POST", Path: "/v1/payment_intents", Kind: sim.FaultSlow, Duration: 300 * time.Millisecond}))
	var slow sync.WaitGroup
	slow.Go(func() { d.mustPay(t, withKey(charge(customer, method), "k1"), "succeeded") })
	awaitFaultsTaken(t, d)
	_, err := d.api.PaymentIntents.New(withKey(charge(customer, method), "k1"))
	wantError(t, err, 409, stripe.ErrorTypeInvalidRequest, "idempotency_key_in_use")
	slow.Wait()
	d.mustPay(t, withKey(charge(customer, method), "k1"), "succeeded")
	if got := d.Total().Captures; got != 1 {
		t.Errorf("%d captures, want 1", got)
	}
}

// awaitFaultsTaken waits until a request under way has met the last fault.
func awaitFaultsTaken(t *testing.T, d *double) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(d.Faults()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no request met the fault")
		}
	}
}

func TestManyAtOnceOneCharge(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_visa")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			_, err := d.api.PaymentIntents.New(withKey(charge(customer, method), "k1"))
			if err != nil && stripeError(t, err).HTTPStatusCode != 409 {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := d.Total(); got.PaymentIntents != 1 || got.Captures != 1 {
		t.Errorf("total %+v", got)
	}
}

// post sends a form without stripe-go, for what stripe-go cannot say.
func post(t *testing.T, d *double, path, key string, form url.Values) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, d.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestOrderOfParametersDoesNotMatter(t *testing.T) {
	d := start(t, sim.Options{})
	_, first := post(t, d, "/v1/payment_intents?currency=usd", "k1", url.Values{"amount": {"500"}, "payment_method_types[]": {"card"}})
	_, again := post(t, d, "/v1/payment_intents", "k1", url.Values{"payment_method_types[0]": {"card"}, "amount": {"500"}, "currency": {"usd"}})
	if first != again {
		t.Errorf("got %s, then %s", first, again)
	}
}
