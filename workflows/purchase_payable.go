package workflows

import (
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/models"
	"go.temporal.io/sdk/workflow"
)

// newPurchasePayable is a purchase as something payable. A purchase that is declined
// has ended, so it has one attempt. Before there were authorizations a declined
// off-session payment stayed open.
func newPurchasePayable(ctx workflow.Context, ref activities.PurchaseRef, order activities.PurchaseOrder) payable {
	p := payable{
		input: activities.ChargeInput{
			PurchaseID:     ref.PurchaseID,
			AccountID:      order.AccountID,
			Customer:       order.Customer,
			PaymentMethod:  order.PaymentMethod,
			AmountCents:    order.AmountCents,
			IdempotencyKey: chargeKey(workflow.GetInfo(ctx).WorkflowExecution.ID, 1),
			OffSession:     order.OffSession,
			Mandate:        order.Mandate,
		},
		begunAt:        order.BankStartedAt,
		intent:         order.PaymentIntentID,
		localFirst:     order.Steps >= activities.StepsLocalCharge,
		closesDeclined: order.Steps >= activities.StepsCloseDeclined && !order.OffSession,
		changed:        workflow.GetSignalChannel(ctx, SignalPaymentChanged),

		note: func(ctx workflow.Context, payment activities.Payment) (bool, error) {
			return notePurchase(ctx, ref, order, payment)
		},
		alert: func(ctx workflow.Context, code string) error {
			return alertPurchaseRefused(ctx, ref, order.AccountID, code)
		},
		late: func(ctx workflow.Context, payment activities.Payment) error {
			_, err := record(ctx, books.RecordBankAnswer, activities.BankAnswerInput{PurchaseID: ref.PurchaseID, Payment: payment})
			return err
		},
	}
	if order.Steps >= activities.StepsAuthorization {
		p.payer = activities.PayerRef{Purpose: models.AuthorizePurchase, SubjectID: ref.PurchaseID, Attempt: 1}
		p.asked = order.Bank == models.BankRequiresAction && order.PaymentIntentID != ""
		p.closesDeclined = true
	}
	return p
}

// notePurchase shows what the purchase waits for. A customer who is there is shown the
// bank's own page; if that can't be had now, the next look tries again.
func notePurchase(ctx workflow.Context, ref activities.PurchaseRef, order activities.PurchaseOrder, payment activities.Payment) (bool, error) {
	if payment.State != activities.PaymentRequiresAction || order.OffSession && order.Steps >= activities.StepsAuthorization {
		_, err := record(ctx, books.RecordBankAnswer, activities.BankAnswerInput{PurchaseID: ref.PurchaseID, Payment: payment})
		return err == nil, err
	}
	_, err := callOut(ctx, time.Minute, checkout.NoteAuthorization, activities.AuthorizationInput{
		PurchaseID: ref.PurchaseID, PaymentIntentID: payment.PaymentIntentID,
	})
	if err != nil {
		workflow.GetLogger(ctx).Error("no authorization link yet", "error", err)
	}
	return err == nil, nil
}

// alertPurchaseRefused puts before a person that Stripe refused a purchase's charge.
func alertPurchaseRefused(ctx workflow.Context, ref activities.PurchaseRef, accountID, code string) error {
	_, err := record(ctx, books.RaiseAlert, activities.AlertInput{
		Kind:       models.AlertChargeRefused,
		PurchaseID: ref.PurchaseID,
		AccountID:  accountID,
		Detail:     "Stripe refused the charge as a request (" + code + "). It is not sent again. Look it up in Stripe by the purchase's id.",
	})
	return err
}
