package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/sim"
)

// asking is a card whose bank asks the customer before it may be saved.
const asking = "pm_card_authenticationRequired"

// lookAt goes on with the account's newest verification, as its workflow does.
func (f *front) lookAt(setupID string) activities.CardSetupWaits {
	f.t.Helper()
	cards := &activities.Cards{Verifier: &activities.CardVerifier{API: f.charger.API, Store: f.store, ReturnURL: f.charger.ReturnURL, Now: f.clock.now}}
	step, err := cards.AdvanceCardSetup(f.t.Context(), activities.CardSetupRef{SetupID: setupID})
	done(f.t, err)
	return step.State
}

func (f *front) newestSetup(account string) models.CardSetup {
	f.t.Helper()
	setup, err := f.store.NewestCardSetup(f.t.Context(), account)
	done(f.t, err)
	return setup
}

// asked puts a card whose bank asks the customer.
func (f *front) asked(account, method string) models.CardSetup {
	f.t.Helper()
	var pending api.CardPending
	f.putCard(account, cardBody(method)).into(202, &pending)
	setup := f.newestSetup(account)
	if pending.AuthorizationURL == "" || *setup.AuthorizationURL != pending.AuthorizationURL || setup.State != models.CardWaiting {
		f.t.Fatalf("the bank asks at %q; the setup is %+v", pending.AuthorizationURL, setup)
	}
	return setup
}

func (f *front) setupIntent(id string) *stripe.SetupIntent {
	f.t.Helper()
	intent, err := f.charger.API.SetupIntents.Get(id, nil)
	done(f.t, err)
	return intent
}

func (f *front) outboxed(kind, subject string) bool {
	f.t.Helper()
	return scan[bool](f, "select exists (select from outbox where kind = $1 and subject = $2)", kind, subject)
}

// R40: the bank verifies a card for $0 and off-session use before it is the
// account's, without a workflow where it answers at once.
func TestR40CardIsVerifiedByItsBank(t *testing.T) {
	f := open(t)
	account := f.customer()
	setup := f.newestSetup(account)
	intent := f.setupIntent(*setup.SetupIntentID)
	if setup.State != models.CardVerified || intent.Usage != stripe.SetupIntentUsageOffSession || intent.Metadata["account_id"] != account ||
		intent.Metadata["card_setup_id"] != setup.ID || intent.PaymentMethod.ID != f.billing(account).Card.PaymentMethod {
		t.Errorf("the setup is %+v, at Stripe %+v", setup, intent)
	}
	if f.count("outbox") != 0 || f.billing(account).CardSetup != nil {
		t.Error("a workflow is to wait for a card that is verified")
	}
	method, err := f.charger.API.PaymentMethods.Get(intent.PaymentMethod.ID, nil)
	done(t, err)
	if method.BillingDetails.Address.Line1 != street || method.BillingDetails.Address.PostalCode != "62701" {
		t.Errorf("the bank checked the address %+v", method.BillingDetails.Address)
	}
	for _, r := range f.stripe.Requests() {
		if r.Path == "/v1/setup_intents" && r.IdempotencyKey != "card-setup/"+setup.ID+"/1" {
			t.Errorf("it was made under the key %q", r.IdempotencyKey)
		}
	}
}

// R40: while the bank asks the customer the card before stays; the approval
// switches, and a refusal or the end of the time doesn't.
func TestR40CardThatTheBankAsksAbout(t *testing.T) {
	for name, c := range map[string]struct {
		answer   func(*front, string) error
		switches bool
		state    string
		decline  string
	}{
		"approved":  {func(f *front, id string) error { return f.stripe.Approve(id) }, true, "", ""},
		"refused":   {func(f *front, id string) error { return f.stripe.Refuse(id) }, false, "refused", billing.MessageVerificationHold},
		"no answer": {func(f *front, _ string) error { f.clock.advance(billing.CardSetupWindow); return nil }, false, "expired", ""},
		"approved at the last moment": {func(f *front, id string) error {
			f.clock.advance(billing.CardSetupWindow)
			return f.stripe.Approve(id)
		}, true, "", ""},
		"canceled at Stripe": {func(f *front, id string) error {
			_, err := f.charger.API.SetupIntents.Cancel(id, nil)
			return err
		}, false, "canceled", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			account := f.customer()
			before := *f.billing(account).Card
			setup := f.asked(account, asking)
			if view := f.billing(account); *view.Card != before || view.CardSetup.State != "waiting" || *view.CardSetup.AuthorizationURL != *setup.AuthorizationURL {
				t.Fatalf("meanwhile it is %+v, %+v", view.Card, view.CardSetup)
			}
			if !f.outboxed("card_setup", setup.ID) || f.lookAt(setup.ID) != activities.CardSetupOnBank {
				t.Error("nobody waits for the bank")
			}
			done(t, c.answer(f, *setup.SetupIntentID))
			for range 2 { // a repeat finds it ended
				if f.lookAt(setup.ID) != activities.CardSetupEnded {
					t.Error("it has not ended")
				}
			}
			view := f.billing(account)
			if (view.Card.Last4 == "3184") != c.switches || !c.switches && *view.Card != before {
				t.Errorf("the card is %+v", view.Card)
			}
			if c.switches {
				if view.CardSetup != nil {
					t.Errorf("it shows %+v", view.CardSetup)
				}
				return
			}
			if view.CardSetup.State != c.state || view.CardSetup.AuthorizationURL != nil ||
				c.decline != "" && view.CardSetup.Decline.Message != c.decline {
				t.Errorf("it shows %+v", view.CardSetup)
			}
			if status := f.setupIntent(*setup.SetupIntentID).Status; c.state == "expired" && status != stripe.SetupIntentStatusCanceled {
				t.Errorf("the customer could still approve: it is %s", status)
			}
		})
	}
}

// R40: of several cards the newest alone can win, whichever the customer approves.
func TestR40NewestCardWins(t *testing.T) {
	f := open(t)
	account := f.customer()
	first := f.asked(account, asking)
	second := f.asked(account, "pm_card_threeDSecure2Required")
	if !f.outboxed("card_setup", first.ID) {
		t.Error("nobody takes the first one back")
	}
	done(t, f.stripe.Approve(*first.SetupIntentID))
	if f.lookAt(first.ID) != activities.CardSetupEnded || f.billing(account).Card.Last4 != "4242" {
		t.Error("the replaced card became the account's")
	}
	done(t, f.stripe.Approve(*second.SetupIntentID))
	f.lookAt(second.ID)
	if last4 := f.billing(account).Card.Last4; last4 != "3220" {
		t.Errorf("the card is %s", last4)
	}
	third := f.asked(account, asking)
	f.putCard(account, cardBody("pm_card_mastercard")).into(200, &api.Card{})
	f.lookAt(third.ID)
	if status := f.setupIntent(*third.SetupIntentID).Status; status != stripe.SetupIntentStatusCanceled {
		t.Errorf("what was replaced is %s at Stripe", status)
	}
	// The card on file, once more, is what was asked for last as well.
	fourth := f.asked(account, asking)
	f.putCard(account, cardBody("pm_card_mastercard")).into(200, &api.Card{})
	if setup := f.newestSetup(account); setup.ID != fourth.ID || setup.State != models.CardReplaced {
		t.Errorf("the fourth is %+v", setup)
	}
}

// R41: what the bank found wrong is refused with the sentence that says so, and
// nothing else is: not a bank that doesn't check.
func TestR41ChecksOfTheBank(t *testing.T) {
	f := open(t)
	account := f.customer()
	held := f.billing(account).Card.PaymentMethod
	for method, code := range map[string]string{
		"pm_card_avsFail": "incorrect_address", "pm_card_avsLine1Fail": "incorrect_address",
		"pm_card_avsZipFail": "incorrect_zip", "pm_card_cvcCheckFail": "incorrect_cvc",
	} {
		p := f.putCard(account, cardBody(method)).refused(422, code)
		if p.Detail != billing.DeclineFor(code).Message {
			t.Errorf("%s: it says %q", method, p.Detail)
		}
		view := f.billing(account)
		if view.Card.PaymentMethod != held || view.CardSetup.State != "refused" || view.CardSetup.Decline.Message != p.Detail {
			t.Errorf("%s: the account shows %+v, %+v", method, view.Card, view.CardSetup)
		}
	}
	for _, method := range []string{"pm_card_avsUnchecked", "pm_sim_cvc_unavailable"} {
		f.putCard(account, cardBody(method)).into(200, &api.Card{})
	}
	if f.count("outbox") != 0 {
		t.Error("something waits")
	}
}

// R41: a card that was refused for its address can come back with the right one: it
// was never the account's.
func TestRefusedCardIsNotHeldToItsAddress(t *testing.T) {
	f := open(t)
	account := f.account()
	f.putCard(account, cardBody("pm_card_avsFail")).refused(422, "incorrect_address")
	f.putCard(account, with(cardBody("pm_card_avsFail"), object{"billing_address": with(address, object{"line1": "2 Other St"})})).refused(422, "incorrect_address")
}

// R44: whatever code the bank refuses to save a card with, the sentence is that of
// the one table; what it suspects is not told.
func TestR44DeclinesOfASetupComeFromTheTable(t *testing.T) {
	f := open(t)
	account := f.account()
	for _, code := range []string{"card_not_supported", "transaction_not_allowed", "lost_card", "stolen_card", "fraudulent", "insufficient_funds", "brand_new_code"} {
		want := billing.DeclineFor(code)
		p := f.putCard(account, cardBody("pm_sim_setup_decline_"+code)).refused(422, want.PublicCode)
		if shown := f.billing(account).CardSetup.Decline; p.Detail != want.Message || shown.Message != want.Message || shown.Code != want.PublicCode {
			t.Errorf("%s: it says %q, then %+v", code, p.Detail, shown)
		}
	}
}

// F5: Stripe's answer to the verification is lost. The caller is told that nobody
// knows, and the verification goes on under the same key.
func TestF5AnswerToAVerificationIsLost(t *testing.T) {
	f := open(t)
	account := f.account()
	done(t, f.stripe.OrderFault(sim.Fault{Method: "POST", Path: "/v1/setup_intents", Kind: sim.FaultCutAfter}))
	p := f.putCard(account, cardBody("pm_card_visa")).refused(503, "stripe_unavailable")
	if strings.Contains(p.Detail, "Nothing was changed") {
		t.Errorf("it says %q", p.Detail)
	}
	setup := f.newestSetup(account)
	if setup.State != models.CardOpen || !f.outboxed("card_setup", setup.ID) {
		t.Fatalf("the setup is %+v", setup)
	}
	if f.lookAt(setup.ID) != activities.CardSetupEnded || f.billing(account).Card.Last4 != "4242" {
		t.Errorf("the card is %+v", f.billing(account).Card)
	}
	if n := f.made("POST", "/v1/setup_intents"); n != 1 {
		t.Errorf("%d SetupIntents", n)
	}
}

// R36: a card of India, or an account there, is set up with a mandate, which its
// charges name; the card is the account's when the bank has registered it.
func TestR36MandateOfIndia(t *testing.T) {
	f := open(t)
	account := f.account()
	method := f.methodOf("4000003560000123")
	setup := f.asked(account, method)
	intent := f.setupIntent(*setup.SetupIntentID)
	o := intent.PaymentMethodOptions.Card.MandateOptions
	if o == nil || o.Amount != billing.MandateCents || o.AmountType != "maximum" || o.Currency != "usd" || o.Interval != "sporadic" ||
		o.Reference != setup.ID || o.StartDate != setup.CreatedAt.Unix() || !slices.Equal(o.SupportedTypes, []stripe.SetupIntentPaymentMethodOptionsCardMandateOptionsSupportedType{"india"}) {
		t.Fatalf("the mandate asked for is %+v", o)
	}
	done(t, f.stripe.Approve(*setup.SetupIntentID))
	if f.lookAt(setup.ID) != activities.CardSetupOnMandate || f.billing(account).Card != nil {
		t.Error("the card is the account's before its mandate is registered")
	}
	done(t, f.stripe.Advance(time.Second))
	if f.lookAt(setup.ID) != activities.CardSetupEnded {
		t.Error("it has not ended")
	}
	card, err := f.store.Card(t.Context(), account)
	done(t, err)
	if card.MandateID == nil || *card.IssuedIn != "IN" {
		t.Errorf("the card is %+v", card)
	}
}

// R39, R36: a card whose bank did not take the mandate can't be charged later.
func TestR36MandateThatTheBankRefused(t *testing.T) {
	f := open(t)
	account := f.account()
	setup := f.asked(account, f.methodOf("4000003560000123"))
	done(t, f.stripe.Approve(*setup.SetupIntentID))
	done(t, f.stripe.RevokeMandate(f.setupIntent(*setup.SetupIntentID).Mandate.ID))
	f.lookAt(setup.ID)
	if view := f.billing(account); view.Card != nil || view.CardSetup.Decline.Message != billing.MessageRecurringPayments {
		t.Errorf("it shows %+v, %+v", view.Card, view.CardSetup)
	}
}

// methodOf makes a payment method of a test card that has no id of its own.
func (f *front) methodOf(number string) string {
	f.t.Helper()
	method, err := f.charger.API.PaymentMethods.New(&stripe.PaymentMethodParams{
		Type: stripe.String("card"),
		Card: &stripe.PaymentMethodCardParams{
			Number: stripe.String(number), ExpMonth: stripe.Int64(12), ExpYear: stripe.Int64(2040), CVC: stripe.String("123"),
		},
	})
	done(f.t, err)
	return method.ID
}

// A Stripe that gives the least: no checks, no fingerprint, no mandate, no call for
// billing details, and a SetupIntent that succeeds at once.
func TestCardAtAPlainStripe(t *testing.T) {
	f := open(t)
	asked := []string{}
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		method := object{"id": "pm_plain", "object": "payment_method", "type": "card", "card": object{"brand": "visa", "funding": "credit", "last4": "4242"}}
		answer := map[string]any{
			"GET /v1/payment_methods/pm_plain": method, "POST /v1/payment_methods/pm_plain/attach": method,
			"POST /v1/customers":     object{"id": "cus_plain", "object": "customer"},
			"POST /v1/setup_intents": object{"id": "seti_plain", "object": "setup_intent", "status": "succeeded", "payment_method": "pm_plain"},
		}[r.Method+" "+r.URL.Path]
		if answer == nil {
			w.WriteHeader(http.StatusNotFound)
			answer = object{"error": object{"type": "invalid_request_error", "message": "Unrecognized request URL"}}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(plain.Close)
	f.stripeBase = plain.URL
	f.serve()
	account := f.account()
	var card api.Card
	f.putCard(account, cardBody("pm_plain")).into(200, &card)
	if card.PaymentMethod != "pm_plain" || card.Brand != "visa" {
		t.Errorf("the card is %+v; asked was %s", card, fmt.Sprint(asked))
	}
	// Once more it is the same.
	f.putCard(account, with(cardBody("pm_plain"), object{"tax_id": object{"type": "eu_vat", "value": taxID}})).into(200, &card)
}

// R36: support may have an account follow another territory's rules, with a reason;
// the next card is set up by them.
func TestR36SupportSetsTheRules(t *testing.T) {
	f := open(t)
	account := f.account()
	if r := f.billing(account).ChargeRules; r.Approval != "none" || r.Mandate {
		t.Errorf("in the US they are %+v", r)
	}
	path := "/v1/support/accounts/" + account + "/charge-rules"
	var r api.ChargeRules
	f.call(models.RoleSupport, "POST", path, object{"territory": "IN", "reason": "ticket 9"}).into(200, &r)
	if r.Territory != "IN" || r.Approval != "always" || r.NoticeHours != 24 || r.ApproveAbove.Amount != 1_500_000 || f.billing(account).ChargeRules.Territory != "IN" {
		t.Errorf("as in India they are %+v", r)
	}
	f.putCard(account, cardBody("pm_card_visa")).into(200, &api.Card{})
	if setup := f.newestSetup(account); !setup.MandateWanted {
		t.Error("the card was set up without a mandate")
	}
	f.call(models.RoleSupport, "POST", path, object{"territory": "", "reason": "ticket 10"}).into(200, &r)
	if r.Approval != "none" || f.audited(account)[1].Reason != "ticket 9" {
		t.Errorf("afterwards they are %+v", r)
	}
	f.call(models.RoleSupport, "POST", path, object{"territory": "India", "reason": "r"}).refused(422, "invalid_request")
	f.call(models.RoleSupport, "POST", path, object{"territory": "DE", "reason": ""}).refused(422, "reason_required")
}
