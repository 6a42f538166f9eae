package workflows_test

import (
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/models"
)

// A key that Stripe knows with other parameters tells of an earlier request: not
// finding its payment at once proves nothing (F8).
func TestF8ARefusedKeyIsNoProofThatNothingWasCharged(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, books.RaiseAlert, always[activities.AlertInput](struct{}{}))
	mismatch := payment(activities.PaymentRefused)
	mismatch.Code = activities.CodeIdempotency
	on(w, stripe.Charge, always[activities.ChargeInput](mismatch))
	on(w, stripe.FindPayment, always[activities.FindInput](payment(activities.PaymentAbsent)))
	w.purchase(models.PurchaseCanceled)
	w.wantCalls("Charge", 1)
	if took := w.elapsed(); took < 25*time.Hour {
		t.Errorf("given up after %s, want 25h", took)
	}
}

// Stripe leaves the payment in a state that leads nowhere. After a day it is given
// up, so that no purchase is pending for ever.
func TestPaymentThatStaysUnknownIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	stuck := activities.Payment{State: activities.PaymentUnknown, PaymentIntentID: intentID}
	on(w, stripe.Charge, always[activities.ChargeInput](stuck))
	on(w, stripe.FindPayment, always[activities.FindInput](stuck))
	on(w, stripe.CancelPayment, always[activities.CancelInput](payment(activities.PaymentCanceled)))
	w.purchase(models.PurchaseExpired)
	canceled := w.wantCalls("CancelPayment", 1)
	if at := canceled[0].at; at < 25*time.Hour || at > 25*time.Hour+5*time.Minute {
		t.Errorf("given up after %s, want 25h", at)
	}
}

// The database holds that the purchase ended otherwise: the money is before a
// person, and the purchase goes no further (I3).
func TestAnAnswerThatContradictsTheDatabaseEndsThePurchase(t *testing.T) {
	w := newWorld(t)
	on(w, books.BeginPurchase, always[activities.PurchaseRef](w.order()))
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentApproved)))
	on(w, books.RecordBankAnswer, always[activities.BankAnswerInput](activities.BankRecorded{Otherwise: models.PurchaseCanceled}))
	w.purchase(models.PurchaseCanceled)
	w.wantCalls("IssueInvoice", 0)
}
