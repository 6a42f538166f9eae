package activities_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/judge"
	"github.com/paystage/paystage/stripesim/sim"
)

// bank is a Stripe double and the activities that talk to it, by the client that
// production uses.
type bank struct {
	*sim.Server
	*activities.Stripe
}

func newBank(t *testing.T) *bank {
	t.Helper()
	server := judge.Double(t, sim.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	web := httptest.NewServer(server)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	api := activities.NewStripeClient(web.URL, "sk_test_x")
	return &bank{Server: server, Stripe: &activities.Stripe{API: api, ReturnURL: "https://pay.example/return"}}
}

// charge is a purchase of $25.00 by a new customer with this card.
func (b *bank) charge(t *testing.T, card string) activities.ChargeInput {
	t.Helper()
	customer, err := b.API.Customers.New(&stripe.CustomerParams{Email: stripe.String("ada@example.com")})
	done(t, err)
	method, err := b.API.PaymentMethods.Attach(card, &stripe.PaymentMethodAttachParams{Customer: stripe.String(customer.ID)})
	done(t, err)
	return activities.ChargeInput{
		PurchaseID: "pur_1", AccountID: "acc_1", Customer: customer.ID, PaymentMethod: method.ID, AmountCents: 2500,
		IdempotencyKey: "purchase/pur_1/1",
	}
}

func (b *bank) order(t *testing.T, kind sim.FaultKind, method, path string) {
	t.Helper()
	done(t, b.OrderFault(sim.Fault{Method: method, Path: path, Kind: kind}))
}

// find looks a charge up without knowing its PaymentIntent.
func find(charge activities.ChargeInput) activities.FindInput {
	return activities.FindInput{PurchaseID: charge.PurchaseID, Customer: charge.Customer, ChargedAfter: time.Now()}
}

// run runs an activity as a worker would, its result through JSON. Nothing that
// goes into a history or a log may hold a secret or personal data (I9).
func run[In, Out any](t *testing.T, act func(context.Context, In) (Out, error), in In) (out Out, err error) {
	t.Helper()
	var logged bytes.Buffer
	suite := new(testsuite.WorkflowTestSuite)
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.NewTextHandler(&logged, nil))))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(act)
	value, err := env.ExecuteActivity(act, in)
	if err == nil {
		done(t, value.Get(&out))
	}
	text, marshalError := json.Marshal(out)
	done(t, marshalError)
	for _, secret := range []string{"_secret_", "ada@", "/authenticate/"} {
		if said := fmt.Sprintf("%s %+v %s", text, err, &logged); strings.Contains(said, secret) {
			t.Errorf("%q is in %s", secret, said)
		}
	}
	return out, err
}

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

func TestCharge(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	for name, c := range map[string]struct {
		card       string
		offSession bool
		want       activities.Payment
		bank       models.BankState
	}{
		"Approved":           {"pm_card_visa", false, activities.Payment{State: activities.PaymentApproved, CapturedCents: 2500}, models.BankApproved},
		"ApprovedOffSession": {"pm_card_visa", true, activities.Payment{State: activities.PaymentApproved, CapturedCents: 2500}, models.BankApproved},
		"Declined": {"pm_sim_decline_insufficient_funds", false,
			activities.Payment{State: activities.PaymentDeclined, Code: "insufficient_funds"}, models.BankDeclined},
		"SavesThenDeclines": {"pm_card_chargeCustomerFail", false,
			activities.Payment{State: activities.PaymentDeclined, Code: "generic_decline"}, models.BankDeclined},
		"RequiresAction": {"pm_card_authenticationRequired", false, activities.Payment{State: activities.PaymentRequiresAction}, models.BankRequiresAction},
		"AuthenticationOffSession": {"pm_card_authenticationRequired", true,
			activities.Payment{State: activities.PaymentDeclined, Code: "authentication_required"}, models.BankDeclined},
		"Processing": {"pm_sim_processing", true, activities.Payment{State: activities.PaymentProcessing}, models.BankProcessing},
	} {
		t.Run(name, func(t *testing.T) {
			in := b.charge(t, c.card)
			in.PurchaseID, in.IdempotencyKey, in.OffSession = name, name, c.offSession
			payment, err := run(t, b.Charge, in)
			done(t, err)
			if payment.PaymentIntentID == "" {
				t.Error("the payment has no name")
			}
			c.want.PaymentIntentID = payment.PaymentIntentID
			same(t, "payment", payment, c.want)
			same(t, "bank", payment.BankState(), c.bank)

			again, err := run(t, b.Charge, in)
			done(t, err)
			same(t, "the same attempt again", again, c.want)
			for _, how := range []activities.FindInput{find(in), {PaymentIntentID: payment.PaymentIntentID}} {
				found, err := run(t, b.FindPayment, how)
				done(t, err)
				same(t, "looked up", found, c.want)
			}
			same(t, "payments made", b.Captures()[name].PaymentIntents, 1)
		})
	}
}

// F5, F6: the answer is lost, the charge is not, and the lookup finds it by what
// its metadata says.
func TestUnknownChargeIsLookedUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault sim.FaultKind
		made  bool
	}{
		"F5/CutAfterSuccess":        {sim.FaultCutAfter, true},
		"F6/ServerErrorAfterEffect": {sim.FaultErrorAfter, true},
		"F6/ServerErrorBefore":      {sim.FaultErrorBefore, false},
		"F1/CutBefore":              {sim.FaultCutBefore, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBank(t)
			in := b.charge(t, "pm_card_visa")
			b.order(t, c.fault, "POST", "/v1/payment_intents")
			payment, err := run(t, b.Charge, in)
			done(t, err)
			same(t, "charge", payment, activities.Payment{State: activities.PaymentUnknown})
			same(t, "bank", payment.BankState(), models.BankUnknown)
			found, err := run(t, b.FindPayment, find(in))
			done(t, err)
			if !c.made {
				same(t, "looked up", found, activities.Payment{State: activities.PaymentAbsent})
				return
			}
			same(t, "looked up", found.State, activities.PaymentApproved)
			same(t, "captured", found.CapturedCents, 2500)
			same(t, "captures", b.Total(), sim.Tally{PaymentIntents: 1, Captures: 1, CapturedCents: 2500})
		})
	}
}

func TestRateLimitedChargeMayBeSentAgain(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	in := b.charge(t, "pm_card_visa")
	b.order(t, sim.FaultRateLimit, "POST", "/v1/payment_intents")
	if payment, err := run(t, b.Charge, in); err == nil {
		t.Fatalf("got %+v", payment)
	}
	same(t, "payments made", b.Total().PaymentIntents, 0)
	payment, err := run(t, b.Charge, in)
	done(t, err)
	same(t, "sent again", payment.State, activities.PaymentApproved)
}

// F8: the same key with another amount is a defect of ours, and no second charge.
func TestF8SameKeyOtherParameters(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	in := b.charge(t, "pm_card_visa")
	_, err := run(t, b.Charge, in)
	done(t, err)
	in.AmountCents = 2600
	payment, err := run(t, b.Charge, in)
	done(t, err)
	same(t, "payment", payment, activities.Payment{State: activities.PaymentRefused, Code: "idempotency_error"})
	same(t, "captured", b.Total().CapturedCents, 2500)
}

// F9: two of the same at the same time are one payment; the second does not know.
func TestF9SameKeyAtTheSameTime(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	in := b.charge(t, "pm_card_visa")
	done(t, b.OrderFault(sim.Fault{Method: "POST", Path: "/v1/payment_intents", Kind: sim.FaultSlow, Duration: time.Second}))
	states := make(chan activities.PaymentState, 2)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			payment, err := run(t, b.Charge, in)
			if err != nil {
				t.Error(err)
			}
			states <- payment.State
		})
	}
	group.Wait()
	first, second := <-states, <-states
	same(t, "answered first", first, activities.PaymentUnknown)
	same(t, "answered second", second, activities.PaymentApproved)
	same(t, "captures", b.Total(), sim.Tally{PaymentIntents: 1, Captures: 1, CapturedCents: 2500})
	found, err := run(t, b.FindPayment, find(in))
	done(t, err)
	same(t, "looked up", found.State, activities.PaymentApproved)
}

// F7: a lookup goes through every page of the customer's payments.
func TestFindPaymentGoesThroughEveryPage(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	in := b.charge(t, "pm_card_visa")
	first, err := run(t, b.Charge, in)
	done(t, err)
	for i := range 205 { // two more pages on top of it
		params := &stripe.PaymentIntentParams{
			Amount: stripe.Int64(500), Currency: stripe.String("usd"), Customer: stripe.String(in.Customer),
			Metadata: map[string]string{activities.MetadataPurchase: fmt.Sprintf("other_%d", i)},
		}
		_, err := b.API.PaymentIntents.New(params)
		done(t, err)
	}
	found, err := run(t, b.FindPayment, find(in))
	done(t, err)
	same(t, "found", found, first)
	pages := 0
	for _, r := range b.Requests() {
		if r.Method == "GET" && r.Path == "/v1/payment_intents" {
			pages++
		}
	}
	same(t, "pages", pages, 3)

	none := find(in)
	none.PurchaseID = "pur_other"
	found, err = run(t, b.FindPayment, none)
	done(t, err)
	same(t, "another purchase", found.State, activities.PaymentAbsent)
	stranger := find(b.charge(t, "pm_card_visa"))
	found, err = run(t, b.FindPayment, stranger)
	done(t, err)
	same(t, "another customer", found.State, activities.PaymentAbsent)
}

// F24: a payment is found though our clock says that it was made before it was sent,
// and not among those of long before.
func TestF24PaymentIsFoundWithClocksTenMinutesApart(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	in := b.charge(t, "pm_card_visa")
	start := time.Now()
	made, err := run(t, b.Charge, in)
	done(t, err)
	for apart, want := range map[time.Duration]activities.Payment{
		10 * time.Minute: made, -10 * time.Minute: made, 2 * time.Hour: {State: activities.PaymentAbsent},
	} {
		sent := find(in)
		sent.ChargedAfter = start.Add(apart)
		found, err := run(t, b.FindPayment, sent)
		done(t, err)
		same(t, "with clocks "+apart.String()+" apart", found, want)
	}
}

func TestFindPaymentOutageIsNoAnswer(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	in := b.charge(t, "pm_card_visa")
	payment, err := run(t, b.Charge, in)
	done(t, err)
	for name, how := range map[string]activities.FindInput{"ByID": {PaymentIntentID: payment.PaymentIntentID}, "ByMetadata": find(in)} {
		b.order(t, sim.FaultErrorBefore, "GET", "/v1/payment_intents")
		b.order(t, sim.FaultErrorBefore, "GET", "/v1/payment_intents/*")
		if found, err := run(t, b.FindPayment, how); err == nil {
			t.Errorf("%s: got %+v", name, found)
		}
		b.ResetFaults()
	}
}

func TestCancelPayment(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	for name, c := range map[string]struct {
		card   string
		before func(id string) error
		want   activities.Payment
	}{
		"Waiting":         {"pm_card_authenticationRequired", nil, activities.Payment{State: activities.PaymentCanceled}},
		"ApprovedBefore":  {"pm_card_authenticationRequired", b.Approve, activities.Payment{State: activities.PaymentApproved, CapturedCents: 2500}},
		"ApprovedAtOnce":  {"pm_card_visa", nil, activities.Payment{State: activities.PaymentApproved, CapturedCents: 2500}},
		"StillProcessing": {"pm_sim_processing", nil, activities.Payment{State: activities.PaymentProcessing}},
	} {
		t.Run(name, func(t *testing.T) {
			in := b.charge(t, c.card)
			in.IdempotencyKey, in.PurchaseID = name, name
			payment, err := run(t, b.Charge, in)
			done(t, err)
			if c.before != nil {
				done(t, c.before(payment.PaymentIntentID))
			}
			c.want.PaymentIntentID = payment.PaymentIntentID
			for range 2 {
				got, err := run(t, b.CancelPayment, activities.CancelInput{PaymentIntentID: payment.PaymentIntentID})
				done(t, err)
				same(t, "after the cancel", got, c.want)
			}
		})
	}
	if got, err := run(t, b.CancelPayment, activities.CancelInput{PaymentIntentID: "pi_none"}); err == nil {
		t.Errorf("of a payment that there is not: %+v", got)
	}
}

// A cancel whose outcome is unknown is looked up; one that Stripe did not take may
// be sent again.
func TestCancelPaymentInTrouble(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	for name, c := range map[string]struct {
		fault sim.FaultKind
		fails bool
		want  activities.PaymentState
	}{
		"CutAfter":    {sim.FaultCutAfter, false, activities.PaymentCanceled},
		"CutBefore":   {sim.FaultCutBefore, false, activities.PaymentRequiresAction},
		"ServerError": {sim.FaultErrorBefore, false, activities.PaymentRequiresAction},
		"RateLimit":   {sim.FaultRateLimit, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := b.charge(t, "pm_card_authenticationRequired")
			in.PurchaseID, in.IdempotencyKey = name, name
			payment, err := run(t, b.Charge, in)
			done(t, err)
			cancel := activities.CancelInput{PaymentIntentID: payment.PaymentIntentID}
			b.order(t, c.fault, "POST", "/v1/payment_intents/*/cancel")
			got, err := run(t, b.CancelPayment, cancel)
			if got.State != c.want || (err != nil) != c.fails {
				t.Errorf("got %+v, %v", got, err)
			}
			got, err = run(t, b.CancelPayment, cancel)
			done(t, err)
			same(t, "again", got.State, activities.PaymentCanceled)
		})
	}
}

// R38: approval at the last second and the cancel never both take effect.
func TestR38CancelRacesApproval(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	for i := range 20 {
		in := b.charge(t, "pm_card_authenticationRequired")
		in.PurchaseID = fmt.Sprintf("pur_%d", i)
		in.IdempotencyKey = in.PurchaseID
		payment, err := run(t, b.Charge, in)
		done(t, err)
		var group sync.WaitGroup
		var canceled activities.Payment
		group.Go(func() { _ = b.Approve(payment.PaymentIntentID) }) // refused when it comes too late
		group.Go(func() {
			var err error
			canceled, err = run(t, b.CancelPayment, activities.CancelInput{PaymentIntentID: payment.PaymentIntentID})
			if err != nil {
				t.Error(err)
			}
		})
		group.Wait()
		captures := map[activities.PaymentState]int{activities.PaymentApproved: 1, activities.PaymentCanceled: 0}
		want, final := captures[canceled.State]
		if got := b.Captures()[in.PurchaseID].Captures; !final || got != want {
			t.Errorf("told %s, and %d captures", canceled.State, got)
		}
	}
}

// A charge of an invoice carries which attempt it is of, and is found by that: neither
// another attempt's nor a purchase's payment is taken for it.
func TestChargeOfAnInvoice(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	purchase := b.charge(t, "pm_card_visa")
	_, err := run(t, b.Charge, purchase)
	done(t, err)
	paid := map[int]string{}
	for attempt := 1; attempt <= 2; attempt++ {
		in := purchase
		in.PurchaseID, in.InvoiceID, in.Attempt = "", "inv_1", attempt
		in.IdempotencyKey = fmt.Sprintf("invoice-payment/inv_1/%d", attempt)
		payment, err := run(t, b.Charge, in)
		done(t, err)
		paid[attempt] = payment.PaymentIntentID
	}
	for attempt := 1; attempt <= 3; attempt++ {
		look := activities.FindInput{InvoiceID: "inv_1", Attempt: attempt, Customer: purchase.Customer, ChargedAfter: time.Now()}
		found, err := run(t, b.FindPayment, look)
		done(t, err)
		same(t, "found", found.PaymentIntentID, paid[attempt])
	}
	nameless, err := run(t, b.FindPayment, activities.FindInput{Customer: purchase.Customer, ChargedAfter: time.Now()})
	done(t, err)
	same(t, "found by no name", nameless.State, activities.PaymentAbsent)
}
