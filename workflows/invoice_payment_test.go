package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/workflows"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"
)

const (
	invoiceID         = "0198f3c2-1111-7b1a-9c00-000000000009"
	invoiceWorkflowID = "invoice-payment/" + invoiceID
)

// collect runs the collection of an invoice to the end of its generation.
func (w *world) collect() error {
	w.t.Helper()
	w.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: invoiceWorkflowID, TaskQueue: "invoices"})
	w.ExecuteWorkflow(workflows.InvoicePayment, workflows.InvoicePaymentInput{InvoiceID: invoiceID})
	if !w.IsWorkflowCompleted() {
		w.t.Fatal("the collection did not end")
	}
	return w.GetWorkflowError()
}

// try is the order of a try.
func (w *world) try(attempt int) activities.InvoiceStep {
	return activities.InvoiceStep{Order: &activities.InvoiceOrder{
		Attempt: attempt, AccountID: accountID, AmountCents: 2500, Customer: "cus_1", PaymentMethod: "pm_1", OffSession: true, BankStartedAt: w.Now(),
	}}
}

// opensInvoice mocks the database of an invoice that goes through those steps.
func (w *world) opensInvoice(steps ...activities.InvoiceStep) {
	on(w, books.AdvanceInvoice, inTurn[activities.InvoiceRef](append(steps, activities.InvoiceStep{})...))
	on(w, books.RecordInvoiceAnswer, always[activities.InvoiceAnswerInput](struct{}{}))
	on(w, books.NoteClosed, always[activities.InvoiceTry](struct{}{}))
	on(w, stripe.CancelPayment, always[activities.CancelInput](payment(activities.PaymentCanceled)))
}

// R32: a try is charged under its own key, off-session, and its answer recorded; then
// nothing is open.
func TestR32InvoiceIsChargedUnderItsAttemptsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opensInvoice(w.try(3))
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentApproved)))
	if err := w.collect(); err != nil {
		t.Fatal(err)
	}
	w.wantStory("AdvanceInvoice", "Charge", "RecordInvoiceAnswer", "AdvanceInvoice")
	w.wantSame("Charge", activities.ChargeInput{
		InvoiceID: invoiceID, Attempt: 3, AccountID: accountID, Customer: "cus_1", PaymentMethod: "pm_1", AmountCents: 2500,
		IdempotencyKey: invoiceWorkflowID + "/3", OffSession: true,
	})
	w.wantSame("RecordInvoiceAnswer", activities.InvoiceAnswerInput{InvoiceID: invoiceID, Attempt: 3, Payment: payment(activities.PaymentApproved)})
}

// F5: an unknown charge is looked up by the try's metadata, and never sent under
// another key.
func TestF5UnknownInvoiceChargeIsLookedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opensInvoice(w.try(1))
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentUnknown)))
	on(w, stripe.FindPayment, inTurn[activities.FindInput](payment(activities.PaymentAbsent), payment(activities.PaymentApproved)))
	if err := w.collect(); err != nil {
		t.Fatal(err)
	}
	w.wantSame("FindPayment", activities.FindInput{InvoiceID: invoiceID, Attempt: 1, Customer: "cus_1", ChargedAfter: w.begun})
	for _, c := range w.wantCalls("Charge", 2) {
		if key := c.in.(activities.ChargeInput).IdempotencyKey; key != invoiceWorkflowID+"/1" {
			t.Errorf("charged under %s", key)
		}
	}
}

// F14: a webhook that never comes is done without, and one that comes is heard.
func TestF14InvoiceIsAskedAfter(t *testing.T) {
	for name, c := range map[string]struct {
		signalAt, want time.Duration
	}{"without a word": {0, 15 * time.Second}, "with one": {7 * time.Second, 7 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.opensInvoice(w.try(1))
			on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentProcessing)))
			on(w, stripe.FindPayment, approvedAfter[activities.FindInput](w, 6*time.Second, activities.PaymentProcessing))
			if c.signalAt > 0 {
				w.signal(c.signalAt, workflows.SignalPaymentChanged, nil)
			}
			if err := w.collect(); err != nil {
				t.Fatal(err)
			}
			if end := w.elapsed(); end != c.want {
				t.Errorf("paid after %s, want %s", end, c.want)
			}
		})
	}
}

// A declined try's payment is canceled at Stripe before anything else is charged; what
// turns out to have been approved after all is recorded, for a person to see (I3).
func TestDeclinedInvoiceTryIsClosed(t *testing.T) {
	for name, state := range map[string]activities.PaymentState{"closed": activities.PaymentCanceled, "paid after all": activities.PaymentApproved} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			try := activities.InvoiceTry{InvoiceID: invoiceID, Attempt: 1, PaymentIntentID: intentID}
			w.opensInvoice(w.try(1), activities.InvoiceStep{Close: &try})
			on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentDeclined)))
			on(w, stripe.CancelPayment, always[activities.CancelInput](payment(state)))
			if err := w.collect(); err != nil {
				t.Fatal(err)
			}
			want := []string{"AdvanceInvoice", "Charge", "RecordInvoiceAnswer", "AdvanceInvoice", "CancelPayment", "NoteClosed", "AdvanceInvoice"}
			if state == activities.PaymentApproved {
				want = []string{"AdvanceInvoice", "Charge", "RecordInvoiceAnswer", "AdvanceInvoice", "CancelPayment", "RecordInvoiceAnswer", "NoteClosed", "AdvanceInvoice"}
			}
			w.wantStory(want...)
			w.wantSame("NoteClosed", try)
		})
	}
}

// A turn is waited for; a word that comes with the last look is looked into; and a
// database that is away is outlasted, as is a cancellation.
func TestF19InvoiceWaitsItsTurnAndOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opensInvoice()
	on(w, books.AdvanceInvoice, func(n int, _ activities.InvoiceRef) (activities.InvoiceStep, error) {
		switch {
		case w.elapsed() < time.Hour:
			return activities.InvoiceStep{}, errOutage
		case len(w.named("Charge")) == 0 && w.elapsed() < 2*time.Hour:
			return activities.InvoiceStep{WaitMillis: time.Hour.Milliseconds()}, nil
		case len(w.named("Charge")) == 0:
			return w.try(1), nil
		}
		return activities.InvoiceStep{}, nil
	})
	on(w, stripe.Charge, func(int, activities.ChargeInput) (activities.Payment, error) {
		w.SignalWorkflow(workflows.SignalCollect, nil)
		return payment(activities.PaymentApproved), nil
	})
	w.RegisterDelayedCallback(w.CancelWorkflow, time.Minute)
	if err := w.collect(); err != nil {
		t.Fatal(err)
	}
	w.wantCalls("RecordInvoiceAnswer", 1)
}

// An invoice that is tried again and again goes on in a fresh history.
func TestInvoiceGoesOnInAFreshHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opensInvoice()
	on(w, books.AdvanceInvoice, always[activities.InvoiceRef](activities.InvoiceStep{WaitMillis: 1000}))
	var fresh *workflow.ContinueAsNewError
	if err := w.collect(); !errors.As(err, &fresh) || fresh.WorkflowType.Name != "InvoicePayment" {
		t.Fatalf("got %v", err)
	}
	w.wantCalls("AdvanceInvoice", 20)
}
