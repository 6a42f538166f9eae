package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/stripesim/sim"
)

func TestConfirm(t *testing.T) {
	tests := []struct {
		name       string
		method     string
		offSession bool
		status     stripe.PaymentIntentStatus
		code       string // of the 402; empty is 200
		decline    string
		events     []string // after payment_intent.created
	}{
		{"Approved", "pm_card_visa", false, "succeeded", "", "", []string{"charge.succeeded", "payment_intent.succeeded"}},
		{"ApprovedOffSession", "pm_card_visa", true, "succeeded", "", "", []string{"charge.succeeded", "payment_intent.succeeded"}},
		{"SavesThenDeclines", "pm_card_chargeCustomerFail", false, "requires_payment_method", "card_declined", "generic_decline",
			[]string{"charge.failed", "payment_intent.payment_failed"}},
		{"AuthenticationOnSession", "pm_card_authenticationRequired", false, "requires_action", "", "", []string{"payment_intent.requires_action"}},
		{"AuthenticationOffSession", "pm_card_authenticationRequired", true, "requires_payment_method", "authentication_required", "authentication_required",
			[]string{"charge.failed", "payment_intent.payment_failed"}},
		{"SetUpOnSession", "pm_card_authenticationRequiredSetupForOffSession", false, "requires_action", "", "", []string{"payment_intent.requires_action"}},
		{"SetUpOffSession", "pm_card_authenticationRequiredSetupForOffSession", true, "succeeded", "", "", []string{"charge.succeeded", "payment_intent.succeeded"}},
		{"Processing", "pm_sim_processing", true, "processing", "", "", []string{"charge.pending", "payment_intent.processing"}},
		{"OwnErrorCode", "pm_sim_decline_expired_card", false, "requires_payment_method", "expired_card", "expired_card",
			[]string{"charge.failed", "payment_intent.payment_failed"}},
		{"FutureCode", "pm_sim_decline_code_of_2031", false, "requires_payment_method", "card_declined", "code_of_2031",
			[]string{"charge.failed", "payment_intent.payment_failed"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := start(t, sim.Options{})
			customer, method := d.customerWith(t, test.method)
			params := charge(customer, method)
			if test.offSession {
				params = offSession(customer, method)
			}
			pi, err := d.api.PaymentIntents.New(params)
			if test.code == "" && err != nil {
				t.Fatal(err)
			}
			if test.code != "" {
				se := wantError(t, err, 402, stripe.ErrorTypeCard, test.code)
				if string(se.DeclineCode) != test.decline {
					t.Errorf("decline code %q, want %q", se.DeclineCode, test.decline)
				}
				if pi = se.PaymentIntent; pi == nil || pi.LastPaymentError == nil || pi.LastPaymentError.PaymentMethod.ID != method {
					t.Fatalf("the error must hold the PaymentIntent and its last error, not %+v", pi)
				}
				if se.ChargeID == "" || pi.LatestCharge.ID != se.ChargeID || pi.PaymentMethod != nil {
					t.Errorf("charge %q, latest %v, method %v", se.ChargeID, pi.LatestCharge, pi.PaymentMethod)
				}
			}
			if pi.Status != test.status {
				t.Errorf("status %s, want %s", pi.Status, test.status)
			}
			want := append([]string{"customer.created", "payment_method.attached", "payment_intent.created"}, test.events...)
			if got := d.eventTypes(t); !slices.Equal(got, want) {
				t.Errorf("events %v, want %v", got, want)
			}
		})
	}
}

func TestSucceededPaymentIsComplete(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_mastercard_prepaid")
	params := charge(customer, method)
	params.StatementDescriptorSuffix = stripe.String("CREDITS")
	params.AddExpand("latest_charge")
	pi := d.mustPay(t, params, "succeeded")
	if pi.AmountReceived != 2500 || pi.Livemode || !strings.HasPrefix(pi.ClientSecret, pi.ID+"_secret_") || pi.Customer.ID != customer {
		t.Errorf("got %+v", pi)
	}
	ch, err := d.api.Charges.Get(pi.LatestCharge.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	held := ch.PaymentMethodDetails.Card
	if !ch.Paid || !ch.Captured || ch.AmountCaptured != 2500 || ch.PaymentIntent.ID != pi.ID || ch.PaymentMethod != method {
		t.Errorf("charge %+v", ch)
	}
	if held.Funding != stripe.CardFundingPrepaid || held.Brand != "mastercard" || held.Last4 != "5100" || held.Country != "US" {
		t.Errorf("card %+v", held)
	}
	if pi.LatestCharge.PaymentMethodDetails.Card.Fingerprint != held.Fingerprint {
		t.Error("the expanded charge is another than the fetched one")
	}
	if got := d.Captures()["pur_1"]; got != (sim.Tally{PaymentIntents: 1, Captures: 1, CapturedCents: 2500}) {
		t.Errorf("tally %+v", got)
	}
}

func TestConfirmLater(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_visa")
	bare := &stripe.PaymentIntentParams{Amount: stripe.Int64(500), Currency: stripe.String("usd"), Customer: stripe.String(customer)}
	pi := d.mustPay(t, bare, "requires_payment_method")

	se := wantError(t, confirm(d, pi.ID, nil), 400, stripe.ErrorTypeInvalidRequest, "payment_intent_unexpected_state")
	if se.PaymentIntent == nil || se.PaymentIntent.ID != pi.ID {
		t.Error("the error must hold the PaymentIntent")
	}
	// Payment methods of the Dashboard may redirect: they need a return_url (2023-08-16).
	params := &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String(method)}
	wantError(t, confirm(d, pi.ID, params), 400, stripe.ErrorTypeInvalidRequest, "")
	params.ReturnURL = stripe.String(returnURL)
	if err := confirm(d, pi.ID, params); err != nil {
		t.Fatal(err)
	}
	wantError(t, confirm(d, pi.ID, params), 400, stripe.ErrorTypeInvalidRequest, "payment_intent_unexpected_state")
}

func confirm(d *double, id string, p *stripe.PaymentIntentConfirmParams) error {
	_, err := d.api.PaymentIntents.Confirm(id, p)
	return err
}

func TestReturnURLRule(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_visa")
	tests := []struct {
		name    string
		change  func(*stripe.PaymentIntentParams)
		refused bool
	}{
		{"Neither", func(p *stripe.PaymentIntentParams) {}, true},
		{"ReturnURL", func(p *stripe.PaymentIntentParams) { p.ReturnURL = stripe.String(returnURL) }, false},
		{"OffSession", func(p *stripe.PaymentIntentParams) { p.OffSession = stripe.Bool(true) }, false},
		{"FailsOnAction", func(p *stripe.PaymentIntentParams) {
			p.OffSession, p.ErrorOnRequiresAction = stripe.Bool(true), stripe.Bool(true)
		}, true},
		{"FailsOnActionOfCards", func(p *stripe.PaymentIntentParams) {
			p.ErrorOnRequiresAction, p.PaymentMethodTypes = stripe.Bool(true), []*string{stripe.String("card")}
		}, false},
		{"CardOnly", func(p *stripe.PaymentIntentParams) { p.PaymentMethodTypes = []*string{stripe.String("card")} }, false},
		{"NoRedirects", func(p *stripe.PaymentIntentParams) {
			p.AutomaticPaymentMethods = &stripe.PaymentIntentAutomaticPaymentMethodsParams{
				Enabled: stripe.Bool(true), AllowRedirects: stripe.String("never")}
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := charge(customer, method)
			p.ReturnURL, p.PaymentMethodTypes = nil, nil
			test.change(p)
			before := len(d.PaymentIntents())
			_, err := d.api.PaymentIntents.New(p)
			if (err != nil) != test.refused {
				t.Fatalf("got %v, refused should be %t", err, test.refused)
			}
			if test.refused && len(d.PaymentIntents()) != before {
				t.Error("a refused creation left a PaymentIntent behind")
			}
		})
	}
}

func TestCancel(t *testing.T) {
	d := start(t, sim.Options{})
	for method, cancelable := range map[string]bool{
		"pm_card_visa": false, "pm_sim_processing": false, "pm_card_authenticationRequired": true, "": true,
	} {
		t.Run("Method"+method, func(t *testing.T) {
			params := &stripe.PaymentIntentParams{Amount: stripe.Int64(500), Currency: stripe.String("usd")}
			if method != "" {
				params = charge(d.customerWith(t, method))
			}
			pi, err := d.api.PaymentIntents.New(params)
			if err != nil {
				t.Fatal(err)
			}
			canceled, err := d.api.PaymentIntents.Cancel(pi.ID, nil)
			if !cancelable {
				se := wantError(t, err, 400, stripe.ErrorTypeInvalidRequest, "payment_intent_unexpected_state")
				if se.PaymentIntent.Status != pi.Status {
					t.Errorf("the error holds status %s, want %s", se.PaymentIntent.Status, pi.Status)
				}
				return
			}
			if err != nil || canceled.Status != "canceled" || canceled.CanceledAt == 0 || canceled.NextAction != nil {
				t.Fatalf("got %+v, %v", canceled, err)
			}
			_, err = d.api.PaymentIntents.Cancel(pi.ID, nil)
			wantError(t, err, 400, stripe.ErrorTypeInvalidRequest, "payment_intent_unexpected_state")
		})
	}
}

func TestProcessingEnds(t *testing.T) {
	tests := []struct {
		name   string
		method string
		end    func(d *double, id string) error
		status stripe.PaymentIntentStatus
		code   string
	}{
		{"ByTime", "pm_sim_processing", func(d *double, _ string) error { return d.Advance(time.Hour + time.Second) }, "succeeded", ""},
		{"ByTimeFails", "pm_sim_processing_fails", func(d *double, _ string) error { return d.Advance(time.Hour + time.Second) },
			"requires_payment_method", "generic_decline"},
		{"NotYet", "pm_sim_processing", func(d *double, _ string) error { return d.Advance(time.Minute) }, "processing", ""},
		{"Settled", "pm_sim_processing", func(d *double, id string) error { return d.Settle(id) }, "succeeded", ""},
		{"Failed", "pm_sim_processing", func(d *double, id string) error { return d.Fail(id, "lost_card") }, "requires_payment_method", "lost_card"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := start(t, sim.Options{ProcessingTime: time.Hour})
			pi := d.mustPay(t, offSession(d.customerWith(t, test.method)), "processing")
			pending := pi.LatestCharge.ID
			if err := test.end(d, pi.ID); err != nil {
				t.Fatal(err)
			}
			pi = d.intent(t, pi.ID)
			if pi.Status != test.status || pi.LatestCharge.ID != pending {
				t.Fatalf("status %s of charge %s, want %s of %s", pi.Status, pi.LatestCharge.ID, test.status, pending)
			}
			if test.code != "" && string(pi.LastPaymentError.DeclineCode) != test.code {
				t.Errorf("decline code %s, want %s", pi.LastPaymentError.DeclineCode, test.code)
			}
		})
	}
}

func TestProcessingEndsOnItsOwn(t *testing.T) {
	hook := newReceiver(t)
	d := start(t, sim.Options{ProcessingTime: 20 * time.Millisecond, WebhookURL: hook.url})
	pi := d.mustPay(t, offSession(d.customerWith(t, "pm_sim_processing")), "processing")
	hook.await(t, "payment_intent.succeeded")
	if got := d.intent(t, pi.ID).Status; got != "succeeded" {
		t.Errorf("status %s", got)
	}
}

func TestAmounts(t *testing.T) {
	d := start(t, sim.Options{})
	for amount, code := range map[int64]string{-1: "parameter_invalid_integer", 0: "parameter_invalid_integer", 49: "amount_too_small",
		50: "", 99_999_999: "", 100_000_000: "amount_too_large"} {
		_, err := d.api.PaymentIntents.New(&stripe.PaymentIntentParams{Amount: stripe.Int64(amount), Currency: stripe.String("usd")})
		if code == "" {
			if err != nil {
				t.Errorf("%d cents: %v", amount, err)
			}
			continue
		}
		wantError(t, err, 400, stripe.ErrorTypeInvalidRequest, code)
	}
}

func TestList(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	d := start(t, sim.Options{Now: func() time.Time { return now }})
	customer, method := d.customerWith(t, "pm_card_visa")
	other, otherMethod := d.customerWith(t, "pm_card_visa")
	var newestFirst []string
	for range 5 {
		pi := d.mustPay(t, charge(customer, method), "succeeded")
		newestFirst = append([]string{pi.ID}, newestFirst...)
		d.mustPay(t, charge(other, otherMethod), "succeeded")
		if err := d.Advance(time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	ids := func(p *stripe.PaymentIntentListParams) (ids []string) {
		p.Customer = stripe.String(customer)
		for all := d.api.PaymentIntents.List(p); all.Next(); {
			ids = append(ids, all.PaymentIntent().ID)
		}
		return ids
	}
	paged := &stripe.PaymentIntentListParams{}
	paged.Limit = stripe.Int64(2)
	if got := ids(paged); !slices.Equal(got, newestFirst) {
		t.Errorf("in pages of 2: %v, want %v", got, newestFirst)
	}
	recent := &stripe.PaymentIntentListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: now.Unix() + 3*60}}
	if got := ids(recent); !slices.Equal(got, newestFirst[:2]) {
		t.Errorf("of the last two minutes: %v, want %v", got, newestFirst[:2])
	}
	before := &stripe.PaymentIntentListParams{}
	before.EndingBefore, before.Limit, before.Single = stripe.String(newestFirst[3]), stripe.Int64(2), true
	want := []string{newestFirst[2], newestFirst[1]} // stripe-go turns a page before a cursor round
	if got := ids(before); !slices.Equal(got, want) {
		t.Errorf("before %s: %v, want %v", newestFirst[3], got, want)
	}
	unknown := &stripe.PaymentIntentListParams{}
	unknown.StartingAfter = stripe.String("pi_unknown")
	all := d.api.PaymentIntents.List(unknown)
	all.Next()
	wantError(t, all.Err(), 400, stripe.ErrorTypeInvalidRequest, "resource_missing")
}

func TestEveryDeclineCode(t *testing.T) {
	d := start(t, sim.Options{})
	codes := strings.Fields(`insufficient_funds lost_card stolen_card pickup_card fraudulent merchant_blacklist do_not_try_again
		revocation_of_authorization revocation_of_all_authorizations stop_payment_order invalid_account card_not_supported
		currency_not_supported restricted_card service_not_allowed transaction_not_allowed previously_declined_do_not_retry
		expired_card incorrect_number incorrect_cvc invalid_cvc incorrect_zip incorrect_address invalid_expiry_month
		invalid_expiry_year try_again_later processing_error issuer_not_available reenter_transaction card_velocity_exceeded
		withdrawal_count_limit_exceeded do_not_honor generic_decline call_issuer duplicate_transaction authentication_required`)
	fingerprints := map[string]string{}
	for _, code := range codes {
		customer, method := d.customerWith(t, "pm_sim_decline_"+code)
		_, err := d.api.PaymentIntents.New(charge(customer, method))
		if se := stripeError(t, err); se.HTTPStatusCode != 402 || string(se.DeclineCode) != code {
			t.Errorf("%s: got %d %s", code, se.HTTPStatusCode, se.DeclineCode)
		}
		pm, err := d.api.PaymentMethods.Get(method, nil)
		if err != nil {
			t.Fatal(err)
		}
		if before, taken := fingerprints[pm.Card.Fingerprint]; taken {
			t.Errorf("%s and %s have one fingerprint", code, before)
		}
		fingerprints[pm.Card.Fingerprint] = code
	}
}

func ExampleServer() {
	double, err := sim.New(sim.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer double.Close()
	err = double.OrderFault(sim.Fault{Method: "POST", Path: "/v1/payment_intents", Kind: sim.FaultErrorAfter, Times: 2})
	fmt.Println(err, len(double.Faults()))
	// Output: <nil> 1
}
