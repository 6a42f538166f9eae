package sim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/stripesim/sim"
)

func numbered(number string) *stripe.PaymentMethodParams {
	return &stripe.PaymentMethodParams{
		Type: stripe.String("card"),
		Card: &stripe.PaymentMethodCardParams{
			Number: stripe.String(number), ExpMonth: stripe.Int64(12), ExpYear: stripe.Int64(2060), CVC: stripe.String("123"),
		},
	}
}

func TestPaymentMethodByNumber(t *testing.T) {
	d := start(t, sim.Options{})
	tests := []struct {
		name   string
		change func(*stripe.PaymentMethodCardParams)
		code   string
	}{
		{"TestNumber", func(c *stripe.PaymentMethodCardParams) {}, ""},
		{"NotATestNumber", func(c *stripe.PaymentMethodCardParams) { c.Number = stripe.String("4111111111111111") }, "card_declined"},
		{"WrongDigit", func(c *stripe.PaymentMethodCardParams) { c.Number = stripe.String("4242424242424241") }, "incorrect_number"},
		{"Month13", func(c *stripe.PaymentMethodCardParams) { c.ExpMonth = stripe.Int64(13) }, "invalid_expiry_month"},
		{"PastYear", func(c *stripe.PaymentMethodCardParams) { c.ExpYear = stripe.Int64(2020) }, "invalid_expiry_year"},
		{"ShortCVC", func(c *stripe.PaymentMethodCardParams) { c.CVC = stripe.String("99") }, "invalid_cvc"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := numbered("4242424242424242")
			test.change(p.Card)
			pm, err := d.api.PaymentMethods.New(p)
			if test.code != "" {
				wantError(t, err, 402, stripe.ErrorTypeCard, test.code)
				return
			}
			if err != nil || pm.Card.Last4 != "4242" || pm.Customer != nil {
				t.Fatalf("got %+v, %v", pm, err)
			}
		})
	}
}

func TestOneNumberOneFingerprint(t *testing.T) {
	d := start(t, sim.Options{})
	byNumber, err := d.api.PaymentMethods.New(numbered("4242424242424242"))
	if err != nil {
		t.Fatal(err)
	}
	_, first := d.customerWith(t, "pm_card_visa")
	_, second := d.customerWith(t, "pm_card_visa")
	_, other := d.customerWith(t, "pm_card_amex")
	if first == second || first == "pm_card_visa" {
		t.Errorf("attaching must make a payment method of its own: %s, %s", first, second)
	}
	fingerprint := func(id string) string {
		pm, err := d.api.PaymentMethods.Get(id, nil)
		if err != nil {
			t.Fatal(err)
		}
		return pm.Card.Fingerprint
	}
	if fingerprint(first) != byNumber.Card.Fingerprint || fingerprint(first) != fingerprint(second) || fingerprint(first) == fingerprint(other) {
		t.Error("a number must have one fingerprint, another number another")
	}
}

func TestAttachRefusals(t *testing.T) {
	d := start(t, sim.Options{})
	customer, attached := d.customerWith(t, "pm_card_visa")
	stranger, _ := d.customerWith(t, "pm_card_visa")
	attach := func(method, customer string) error {
		_, err := d.api.PaymentMethods.Attach(method, &stripe.PaymentMethodAttachParams{Customer: stripe.String(customer)})
		return err
	}
	for method, want := range map[string][2]string{
		"pm_card_chargeDeclined":                           {"card_declined", "generic_decline"},
		"pm_card_visa_chargeDeclinedInsufficientFunds":     {"card_declined", "insufficient_funds"},
		"pm_card_visa_chargeDeclinedLostCard":              {"card_declined", "lost_card"},
		"pm_card_visa_chargeDeclinedStolenCard":            {"card_declined", "stolen_card"},
		"pm_card_visa_chargeDeclinedVelocityLimitExceeded": {"card_declined", "card_velocity_exceeded"},
		"pm_card_chargeDeclinedFraudulent":                 {"card_declined", "fraudulent"},
		"pm_card_chargeDeclinedExpiredCard":                {"expired_card", "expired_card"},
		"pm_card_chargeDeclinedIncorrectCvc":               {"incorrect_cvc", "incorrect_cvc"},
		"pm_card_chargeDeclinedProcessingError":            {"processing_error", "processing_error"},
	} {
		se := wantError(t, attach(method, customer), 402, stripe.ErrorTypeCard, want[0])
		if string(se.DeclineCode) != want[1] {
			t.Errorf("%s: decline code %s, want %s", method, se.DeclineCode, want[1])
		}
	}
	if err := attach(attached, customer); err != nil {
		t.Errorf("attaching again to the same customer: %v", err)
	}
	wantError(t, attach(attached, stranger), 400, stripe.ErrorTypeInvalidRequest, "")
	wantError(t, attach(attached, "cus_unknown"), 400, stripe.ErrorTypeInvalidRequest, "resource_missing")
	wantError(t, attach("pm_unknown", customer), 404, stripe.ErrorTypeInvalidRequest, "resource_missing")
}

func TestMethodUsedWithoutCustomerIsSpent(t *testing.T) {
	d := start(t, sim.Options{})
	pm, err := d.api.PaymentMethods.New(numbered("4242424242424242"))
	if err != nil {
		t.Fatal(err)
	}
	once := charge("", pm.ID)
	once.Customer = nil
	d.mustPay(t, once, "succeeded")
	_, err = d.api.PaymentIntents.New(once)
	wantError(t, err, 400, stripe.ErrorTypeInvalidRequest, "")
	customer, _ := d.customerWith(t, "pm_card_visa")
	_, err = d.api.PaymentMethods.Attach(pm.ID, &stripe.PaymentMethodAttachParams{Customer: stripe.String(customer)})
	wantError(t, err, 400, stripe.ErrorTypeInvalidRequest, "")
}

func TestMethodOfAnotherCustomer(t *testing.T) {
	d := start(t, sim.Options{})
	_, method := d.customerWith(t, "pm_card_visa")
	stranger, _ := d.customerWith(t, "pm_card_visa")
	_, err := d.api.PaymentIntents.New(charge(stranger, method))
	wantError(t, err, 400, stripe.ErrorTypeInvalidRequest, "")
	none := charge("", method)
	none.Customer = nil
	_, err = d.api.PaymentIntents.New(none)
	wantError(t, err, 400, stripe.ErrorTypeInvalidRequest, "")
}

func TestAddressChecks(t *testing.T) {
	d := start(t, sim.Options{})
	for method, want := range map[string][2]stripe.PaymentMethodCardChecksAddressLine1Check{
		"pm_card_visa": {"pass", "pass"}, "pm_card_avsFail": {"fail", "fail"}, "pm_card_avsLine1Fail": {"fail", "pass"},
		"pm_card_avsZipFail": {"pass", "fail"}, "pm_card_avsUnchecked": {"unavailable", "unavailable"},
	} {
		customer, id := d.customerWith(t, method)
		pm, err := d.api.PaymentMethods.Update(id, &stripe.PaymentMethodParams{BillingDetails: &stripe.PaymentMethodBillingDetailsParams{
			Name: stripe.String("Ada"), Address: &stripe.AddressParams{Line1: stripe.String("1 Main St"), PostalCode: stripe.String("94102")},
		}})
		if err != nil {
			t.Fatal(err)
		}
		checks := pm.Card.Checks
		if checks.AddressLine1Check != want[0] || string(checks.AddressPostalCodeCheck) != string(want[1]) || checks.CVCCheck != "pass" {
			t.Errorf("%s: checks %+v, want %v", method, checks, want)
		}
		pi := d.mustPay(t, charge(customer, id), "succeeded")
		ch, err := d.api.Charges.Get(pi.LatestCharge.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := ch.PaymentMethodDetails.Card.Checks.AddressLine1Check; string(got) != string(want[0]) {
			t.Errorf("%s: the charge says %s", method, got)
		}
	}
}

func TestUpdateNeedsCustomer(t *testing.T) {
	d := start(t, sim.Options{})
	pm, err := d.api.PaymentMethods.New(numbered("4242424242424242"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.api.PaymentMethods.Update(pm.ID, &stripe.PaymentMethodParams{
		BillingDetails: &stripe.PaymentMethodBillingDetailsParams{Name: stripe.String("Ada")}})
	wantError(t, err, 400, stripe.ErrorTypeInvalidRequest, "")
}

func TestCustomerKeepsWhatItWasGiven(t *testing.T) {
	d := start(t, sim.Options{})
	made, err := d.api.Customers.New(&stripe.CustomerParams{
		Email: stripe.String("ada@example.com"), Name: stripe.String("Ada"), Metadata: map[string]string{"account_id": "acc_1", "0": "zero"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.api.Customers.Get(made.ID, nil)
	if err != nil || got.Email != "ada@example.com" || got.Name != "Ada" || got.Metadata["account_id"] != "acc_1" || got.Metadata["0"] != "zero" {
		t.Fatalf("got %+v, %v", got, err)
	}
	_, err = d.api.Customers.Get("cus_unknown", nil)
	wantError(t, err, 404, stripe.ErrorTypeInvalidRequest, "resource_missing")
}

// A card is the same card by its number, its ids and its tokens, and whatever it does
// is something that Stripe could answer.
func TestEveryTestCard(t *testing.T) {
	d := startJudged(t, sim.Options{})
	for number, ids := range sim.CardNames() {
		pm, err := d.api.PaymentMethods.New(numbered(number))
		if err != nil {
			t.Errorf("%s: %v", number, err)
			continue
		}
		for _, id := range ids {
			byID, err := d.api.PaymentMethods.Get(id, nil)
			mustDo(t, err)
			token := strings.Replace(id, "pm_card_", "tok_", 1)
			byToken, err := d.api.PaymentMethods.New(&stripe.PaymentMethodParams{Type: stripe.String("card"), Card: &stripe.PaymentMethodCardParams{Token: &token}})
			mustDo(t, err)
			if byID.Card.Fingerprint != pm.Card.Fingerprint || byToken.Card.Fingerprint != pm.Card.Fingerprint || byID.Card.Brand != pm.Card.Brand {
				t.Errorf("%s, %s and %s are different cards", number, id, token)
			}
		}
		cus, err := d.api.Customers.New(nil)
		mustDo(t, err)
		if _, err := d.api.PaymentMethods.Attach(pm.ID, &stripe.PaymentMethodAttachParams{Customer: &cus.ID}); err != nil {
			if se := stripeError(t, err); se.HTTPStatusCode != 402 || se.Type != stripe.ErrorTypeCard {
				t.Errorf("%s: attach: %v", number, err)
			}
			continue
		}
		if _, err := d.api.PaymentIntents.New(charge(cus.ID, pm.ID)); err != nil {
			if se := stripeError(t, err); se.HTTPStatusCode != 402 || se.DeclineCode == "" {
				t.Errorf("%s: charge: %v", number, err)
			}
		}
	}
	mustDo(t, d.Advance(200*24*time.Hour))
}
