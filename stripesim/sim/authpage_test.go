package sim_test

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/stripesim/sim"
)

// browser does not follow redirects, so that the test sees them.
func browser(t *testing.T, method, address string, form url.Values) (status int, body, location string) {
	t.Helper()
	req, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header.Get("Location")
}

func TestAuthenticationPage(t *testing.T) {
	tests := []struct {
		name, method, decision string
		status                 stripe.PaymentIntentStatus
		redirect               string
		code                   string
		events                 []string
	}{
		{"Approved", "pm_card_threeDSecure2Required", "approve", "succeeded", "succeeded", "",
			[]string{"charge.succeeded", "payment_intent.succeeded"}},
		{"Refused", "pm_card_threeDSecure2Required", "refuse", "requires_payment_method", "failed", "payment_intent_authentication_failure",
			[]string{"payment_intent.payment_failed"}},
		{"ApprovedThenDeclined", "pm_card_threeDSecureRequiredChargeDeclined", "approve", "requires_payment_method", "failed", "card_declined",
			[]string{"charge.failed", "payment_intent.payment_failed"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := start(t, sim.Options{Merchant: "Ada <b>& Co</b>"})
			pi := d.mustPay(t, charge(d.customerWith(t, test.method)), "requires_action")
			if pi.NextAction.Type != "redirect_to_url" || pi.NextAction.RedirectToURL.ReturnURL != returnURL {
				t.Fatalf("next action %+v", pi.NextAction)
			}
			page := pi.NextAction.RedirectToURL.URL
			status, body, _ := browser(t, "GET", page, nil)
			if status != 200 || !strings.Contains(body, "$25.00") || !strings.Contains(body, "Ada &lt;b&gt;&amp; Co") {
				t.Errorf("page: %d %s", status, body)
			}
			if got := d.intent(t, pi.ID).Status; got != "requires_action" {
				t.Fatalf("showing the page made it %s", got)
			}
			if status, _, _ := browser(t, "POST", page, nil); status != 400 {
				t.Errorf("no decision: %d", status)
			}
			status, _, location := browser(t, "POST", page, url.Values{"decision": {test.decision}})
			back, err := url.Parse(location)
			if err != nil || status != 303 || back.Query().Get("order") != "7" ||
				back.Query().Get("payment_intent") != pi.ID || back.Query().Get("redirect_status") != test.redirect {
				t.Errorf("redirect: %d %s", status, location)
			}
			pi = d.intent(t, pi.ID)
			if pi.Status != test.status || pi.NextAction != nil {
				t.Errorf("status %s, next action %v", pi.Status, pi.NextAction)
			}
			if test.code != "" && string(pi.LastPaymentError.Code) != test.code {
				t.Errorf("last error %+v", pi.LastPaymentError)
			}
			if got := d.eventTypes(t)[4:]; !slices.Equal(got, test.events) {
				t.Errorf("events %v, want %v", got, test.events)
			}
			if status, _, _ := browser(t, "POST", page, url.Values{"decision": {"approve"}}); status != 404 {
				t.Errorf("second decision: %d", status)
			}
		})
	}
}

func TestNewAttemptEndsTheOldPage(t *testing.T) {
	d := start(t, sim.Options{URL: "http://bank.example/"})
	customer, method := d.customerWith(t, "pm_card_authenticationRequired")
	pi := d.mustPay(t, charge(customer, method), "requires_action")
	old := pi.NextAction.RedirectToURL.URL
	if !strings.HasPrefix(old, "http://bank.example/authenticate/") {
		t.Fatalf("page at %s", old)
	}
	if err := confirm(d, pi.ID, &stripe.PaymentIntentConfirmParams{ReturnURL: stripe.String(returnURL)}); err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer("http://bank.example", d.url)
	if status, _, _ := browser(t, "GET", here.Replace(old), nil); status != 404 {
		t.Errorf("old page: %d", status)
	}
	fresh := here.Replace(d.intent(t, pi.ID).NextAction.RedirectToURL.URL)
	if status, _, _ := browser(t, "GET", fresh, nil); status != 200 {
		t.Errorf("new page: %d", status)
	}
	if _, err := d.api.PaymentIntents.Cancel(pi.ID, nil); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := browser(t, "POST", fresh, url.Values{"decision": {"approve"}}); status != 404 {
		t.Errorf("page of a canceled payment: %d", status)
	}
}

func TestAuthenticationWithoutReturnURL(t *testing.T) {
	d := start(t, sim.Options{})
	p := charge(d.customerWith(t, "pm_card_authenticationRequired"))
	p.ReturnURL = nil
	pi := d.mustPay(t, p, "requires_action")
	if pi.NextAction.Type != "use_stripe_sdk" {
		t.Fatalf("next action %+v", pi.NextAction)
	}
	mustDo(t, d.Approve(pi.ID))
	if got := d.intent(t, pi.ID).Status; got != "succeeded" {
		t.Errorf("status %s", got)
	}
	if d.Refuse(pi.ID) == nil {
		t.Error("a succeeded payment was refused")
	}
}

// An off-session payment that the bank stopped goes on with the same method on-session.
func TestRecoverOnSession(t *testing.T) {
	d := start(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_authenticationRequired")
	_, err := d.api.PaymentIntents.New(offSession(customer, method))
	id := wantError(t, err, 402, stripe.ErrorTypeCard, "authentication_required").PaymentIntent.ID
	mustDo(t, confirm(d, id, &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String(method), ReturnURL: stripe.String(returnURL)}))
	mustDo(t, d.Approve(id))
	pi := d.intent(t, id)
	if pi.Status != "succeeded" || pi.LatestCharge.PaymentMethodDetails.Card.ThreeDSecure.Result != "authenticated" {
		t.Errorf("got %s with %+v", pi.Status, pi.LatestCharge)
	}
}
