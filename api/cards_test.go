package api_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/sim"
)

// with is a body with some fields changed.
func with(body, change object) object {
	changed := maps.Clone(body)
	maps.Copy(changed, change)
	return changed
}

// made counts what the double did anew for requests with that path's end.
func (f *front) made(method, end string) int {
	n := 0
	for _, r := range f.stripe.Requests() {
		if r.Method == method && strings.HasSuffix(r.Path, end) && r.Status == 200 && !r.Replayed {
			n++
		}
	}
	return n
}

// R39: credit and debit cards of Visa, Mastercard and American Express.
func TestCardsThatAreTaken(t *testing.T) {
	f := open(t)
	account := f.account()
	for method, want := range map[string]struct{ brand, funding, last4 string }{
		"pm_card_visa":       {"visa", "credit", "4242"},
		"pm_card_visa_debit": {"visa", "debit", "5556"},
		"pm_card_mastercard": {"mastercard", "credit", "4444"},
		"pm_card_amex":       {"amex", "credit", "0005"},
	} {
		t.Run(method, func(t *testing.T) {
			f.t = t
			var card api.Card
			f.putCard(account, with(cardBody(method), object{"tax_id": object{"type": "eu_vat", "value": taxID}})).into(200, &card)
			if card.Brand != want.brand || card.Funding != want.funding || card.Last4 != want.last4 || card.ExpYear == 0 ||
				card.BillingAddress.Line1 != street || card.TaxID == nil || card.TaxID.Value != taxID || !strings.HasPrefix(card.PaymentMethod, "pm_") {
				t.Errorf("the card is %+v", card)
			}
			if held := f.billing(account).Card; held == nil || held.PaymentMethod != card.PaymentMethod {
				t.Errorf("the account holds %+v", held)
			}
		})
	}
	f.t = t
	if f.count("cards") != 1 || f.made("POST", "/v1/customers") != 1 {
		t.Errorf("%d cards, %d customers; want one of each", f.count("cards"), f.made("POST", "/v1/customers"))
	}
}

// F31, R39: everything else is refused with this sentence, before Stripe keeps it.
func TestF31CardsThatAreNotTaken(t *testing.T) {
	f := open(t)
	account := f.customer()
	before, attached := f.snapshot(), f.made("POST", "/attach")
	for _, method := range []string{
		"pm_card_mastercard_prepaid", "pm_card_discover", "pm_card_diners", "pm_card_jcb", "pm_card_unionpay",
	} {
		t.Run(method, func(t *testing.T) {
			f.t = t
			p := f.putCard(account, cardBody(method)).refused(422, "unsupported_card")
			if p.Detail != "We only accept credit or debit cards" {
				t.Errorf("it says %q", p.Detail)
			}
			f.unchanged(before)
		})
	}
	if f.made("POST", "/attach") != attached {
		t.Error("a card that is not taken was attached")
	}
}

// A card that its bank declines when it is saved gets the sentence of its decline,
// and the card before it stays (R40).
func TestCardDeclinedWhenItIsSaved(t *testing.T) {
	f := open(t)
	account := f.customer()
	before := f.snapshot()
	for method, code := range map[string]string{
		"pm_card_chargeDeclined":                  "generic_decline",
		"pm_card_chargeDeclinedInsufficientFunds": "insufficient_funds",
		"pm_card_chargeDeclinedExpiredCard":       "expired_card",
		"pm_card_chargeDeclinedStolenCard":        "card_declined",
		"pm_card_chargeDeclinedLostCard":          "card_declined",
		"pm_card_chargeDeclinedFraudulent":        "card_declined",
	} {
		t.Run(method, func(t *testing.T) {
			f.t = t
			p := f.putCard(account, cardBody(method)).refused(422, code)
			if p.Detail != billing.DeclineFor(code).Message {
				t.Errorf("it says %q", p.Detail)
			}
			f.unchanged(before)
		})
	}
}

func TestBadCards(t *testing.T) {
	f := open(t)
	account, other := f.account(), f.customer()
	others := f.billing(other).Card.PaymentMethod
	good := cardBody("pm_card_visa")
	before := f.snapshot()
	for name, c := range map[string]struct {
		body any
		code string
		says string
	}{
		"unknown payment method":    {cardBody("pm_1234"), "invalid_payment_method", "Stripe.js"},
		"a card number":             {cardBody("4242424242424242"), "invalid_payment_method", ""},
		"another path of Stripe":    {cardBody("../customers"), "invalid_payment_method", "Stripe.js"},
		"no payment method":         {with(good, object{"payment_method": ""}), "invalid_payment_method", "Stripe.js"},
		"left out":                  {object{"billing_address": address}, "invalid_payment_method", "Stripe.js"},
		"over-long payment method":  {cardBody(strings.Repeat("p", 256)), "invalid_payment_method", "Stripe.js"},
		"spaces":                    {cardBody("4242 4242 4242 4242"), "invalid_payment_method", "never send a card number"},
		"no address":                {object{"payment_method": "pm_card_visa"}, "invalid_request", "billing_address"},
		"empty address":             {with(good, object{"billing_address": object{}}), "incomplete_address", "street and number, city, postal code, country"},
		"no city":                   {with(good, object{"billing_address": with(address, object{"city": " "})}), "incomplete_address", "city"},
		"no state in the US":        {with(good, object{"billing_address": with(address, object{"state": ""})}), "incomplete_address", "state"},
		"country of three letters":  {with(good, object{"billing_address": with(address, object{"country": "USA"})}), "invalid_request", "country"},
		"zero byte in the address":  {with(good, object{"billing_address": with(address, object{"line1": "1\x00"})}), "invalid_text", ""},
		"zero byte in the tax id":   {with(good, object{"tax_id": object{"type": "eu_vat", "value": "\x00"}}), "invalid_text", ""},
		"tax id without its value":  {with(good, object{"tax_id": object{"type": "eu_vat"}}), "invalid_request", "value"},
		"tax id of another form":    {with(good, object{"tax_id": object{"type": "eu_vat", "value": "DE12"}}), "invalid_tax_id", "ask support"},
		"tax id of no known kind":   {with(good, object{"tax_id": object{"type": "xx_odd", "value": "1"}}), "invalid_tax_id", "ask support"},
		"tax id without an address": {with(good, object{"billing_address": object{}, "tax_id": object{"type": "eu_vat", "value": taxID}}), "incomplete_address", "street"},
		"unknown field":             {with(good, object{"number": "4242424242424242"}), "invalid_request", "number"},
		"address that is no object": {with(good, object{"billing_address": street}), "invalid_request", "billing_address"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			p := f.putCard(account, c.body).refused(422, c.code)
			if !strings.Contains(p.Detail, c.says) {
				t.Errorf("it says %q", p.Detail)
			}
			f.unchanged(before)
		})
	}
	f.t = t
	f.putCard(account, cardBody(others)).refused(422, "invalid_payment_method")
	if f.billing(account).Card != nil || f.billing(other).Card.PaymentMethod != others {
		t.Error("a card came to another account")
	}
}

// F30: the same card does not come back with another address; with the same one,
// however it is typed, and another tax id it does (R41).
func TestF30SameCard(t *testing.T) {
	f := open(t)
	account := f.customer()
	before := f.snapshot()
	elsewhere := with(cardBody("pm_card_visa"), object{"billing_address": with(address, object{"line1": "1 Elsewhere"})})
	f.putCard(account, elsewhere).refused(409, "address_mismatch")
	f.unchanged(before)

	again := with(cardBody("pm_card_visa"), object{
		"billing_address": with(address, object{"line1": "  " + strings.ToUpper(street)}),
		"tax_id":          object{"type": "eu_vat", "value": taxID},
	})
	var card api.Card
	f.putCard(account, again).into(200, &card)
	if card.TaxID == nil || card.TaxID.Value != taxID || card.BillingAddress.Line1 != street {
		t.Errorf("the card is %+v", card)
	}
	if n := f.made("POST", "/v1/setup_intents"); n != 1 {
		t.Errorf("the same card was verified %d times", n)
	}
	// Another card may live elsewhere, and the first one is remembered all the same.
	elsewhere["payment_method"] = "pm_card_mastercard"
	f.putCard(account, elsewhere).into(200, &card)
	before = f.snapshot()
	elsewhere["payment_method"] = "pm_card_visa"
	f.putCard(account, elsewhere).refused(409, "address_mismatch")
	f.unchanged(before)
	f.putCard(account, cardBody("pm_card_visa")).into(200, &card)
}

// F29: a purchase keeps the card that it was made with.
func TestF29CardReplacedInMidCharge(t *testing.T) {
	f := open(t)
	account := f.customer()
	first := f.billing(account).Card.PaymentMethod
	before, after := f.buy(account, 2500), api.Card{}
	f.putCard(account, cardBody("pm_card_mastercard")).into(200, &after)
	second := f.buy(account, 2500)
	for id, want := range map[string]string{before.ID: first, second.ID: after.PaymentMethod} {
		if got := scan[string](f, "select payment_method_id from purchases where id = $1", id); got != want {
			t.Errorf("purchase %s charges %s, want %s", id, got, want)
		}
	}
}

// R40: a card is replaced, never removed.
func TestCardIsNeverRemoved(t *testing.T) {
	f := open(t)
	account := f.customer()
	before := f.snapshot()
	p := f.call(models.RoleCheckout, "DELETE", "/v1/accounts/"+account+"/card", nil).refused(409, "card_required")
	if !strings.Contains(p.Detail, "PUT") {
		t.Errorf("it says %s", p.Detail)
	}
	f.unchanged(before)
}

// Whatever step Stripe fails at, the caller may repeat the whole. Where the answer
// that named the customer was lost a spare one is left, which holds nothing.
func TestStripeIsDownWhileACardIsSaved(t *testing.T) {
	for _, step := range []struct{ method, path string }{
		{"GET", "/v1/payment_methods/*"}, {"POST", "/v1/customers"}, {"POST", "/v1/payment_methods/*/attach"},
		{"POST", "/v1/payment_methods/*"}, {"POST", "/v1/setup_intents"},
	} {
		for _, fault := range []sim.FaultKind{sim.FaultRateLimit, sim.FaultCutBefore, sim.FaultCutAfter} {
			t.Run(step.path+" "+string(fault), func(t *testing.T) {
				f := open(t)
				account := f.account()
				done(t, f.stripe.OrderFault(sim.Fault{Method: step.method, Path: step.path, Kind: fault}))
				f.putCard(account, cardBody("pm_card_visa")).refused(503, "stripe_unavailable")
				if f.count("cards") != 0 {
					t.Error("a card that Stripe did not save is on file")
				}
				f.putCard(account, cardBody("pm_card_visa")).into(200, &api.Card{})
				spare := 0
				if step.path == "/v1/customers" && fault == sim.FaultCutAfter {
					spare = 1
				}
				if got := f.made("POST", "/v1/customers"); got > 1+spare {
					t.Errorf("%d customers", got)
				}
			})
		}
	}
}

// The double keeps one customer for each account, whose metadata names it.
func TestCustomerAtStripeNamesTheAccount(t *testing.T) {
	f := open(t)
	account := f.customer()
	id := scan[string](f, "select stripe_customer_id from accounts where id = $1", account)
	customer, err := f.charger.API.Customers.Get(id, &stripe.CustomerParams{})
	done(t, err)
	if customer.Metadata["account_id"] != account || customer.Email != email || customer.Name != name {
		t.Errorf("the customer is %+v", customer)
	}
}
