package activities_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/sim"
)

// waiting is a purchase whose customer must answer the bank, and its payment.
func waiting(t *testing.T, w *world, b *bank) (activities.PurchaseRef, activities.AuthorizationInput) {
	t.Helper()
	ref := w.buys(t, models.OriginCheckout)
	in := b.charge(t, "pm_card_authenticationRequired")
	in.PurchaseID, in.IdempotencyKey = ref.PurchaseID, ref.PurchaseID
	payment, err := run(t, b.Charge, in)
	done(t, err)
	same(t, "state", payment.State, activities.PaymentRequiresAction)
	return ref, activities.AuthorizationInput{PurchaseID: ref.PurchaseID, PaymentIntentID: payment.PaymentIntentID}
}

// I9: the link to the bank is a secret. It goes into the database and, as run
// checks, nowhere else.
func TestNoteAuthorization(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), newBank(t)
	c := &activities.Checkout{API: b.API, Store: w.Ledger, Now: now}

	ref, in := waiting(t, w, b)
	for range 2 {
		_, err := run(t, c.NoteAuthorization, in)
		done(t, err)
	}
	p := w.purchase(t, ref)
	same(t, "bank", p.Bank, models.BankRequiresAction)
	same(t, "payment", *p.PaymentIntentID, in.PaymentIntentID)
	page, err := http.Get(*p.AuthorizationURL)
	done(t, err)
	done(t, page.Body.Close())
	same(t, "the page behind the link", page.StatusCode, http.StatusOK)

	ref, in = waiting(t, w, b)
	done(t, b.Approve(in.PaymentIntentID))
	_, err = run(t, c.NoteAuthorization, in)
	done(t, err)
	p = w.purchase(t, ref)
	if p.AuthorizationURL != nil || p.Bank != models.BankWaiting {
		t.Errorf("a payment that moved on left %s with a link: %t", p.Bank, p.AuthorizationURL != nil)
	}

	_, in = waiting(t, w, b)
	b.order(t, sim.FaultErrorBefore, "GET", "/v1/payment_intents/*")
	if _, err := run(t, c.NoteAuthorization, in); err == nil {
		t.Error("an outage was taken for an answer")
	}
}

func TestNoteAuthorizationOfAnActionThatIsNoLink(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]string{
		"UseSDK": `{"type": "use_stripe_sdk", "use_stripe_sdk": {"stripe_js": "pi_1_secret_abc"}}`, "None": `null`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"id": "pi_1", "status": "requires_action", "client_secret": "pi_1_secret_abc", "next_action": ` + action + `}`))
		}))
		t.Cleanup(server.Close)
		c := &activities.Checkout{API: activities.NewStripeClient(server.URL, "sk_test_x"), Now: now}
		_, err := run(t, c.NoteAuthorization, activities.AuthorizationInput{PurchaseID: "p", PaymentIntentID: "pi_1"})
		if err == nil || !strings.Contains(err.Error(), "not a redirect") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
