package workflows

import (
	"fmt"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/models"
	"go.temporal.io/sdk/workflow"
)

// InvoicePaymentInput names the invoice; what is due on it stands in the database.
type InvoicePaymentInput struct {
	InvoiceID string `json:"invoice_id"`
}

// maxInvoiceRounds bounds a history: a round is a try with all that its bank had to
// say, or a wait for a turn.
const maxInvoiceRounds = 20

// InvoicePayment collects what is due on an invoice, and is the only one that charges
// it (R32, R33). Each round reads in the database what is to be done: a try that is in
// flight or comes next, made by whomever, is charged and asked after until the bank's
// answer is final; then that is recorded, with all that follows from it. Between the
// days of the schedule nothing is open: the next day, a new card or a customer who
// pays by hand starts it again.
func InvoicePayment(ctx workflow.Context, in InvoicePaymentInput) error {
	// Money that is on its way is not called back by canceling a workflow.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	ref := activities.InvoiceRef{InvoiceID: in.InvoiceID}
	woken := workflow.GetSignalChannel(ctx, SignalCollect)
	for range maxInvoiceRounds {
		drainAll(woken)
		step, err := record(ctx, books.AdvanceInvoice, ref)
		switch {
		case err != nil:
			return err
		case step.Close != nil:
			err = closeInvoiceTry(ctx, *step.Close)
		case step.Order != nil:
			err = chargeInvoice(ctx, ref, *step.Order)
		case step.WaitMillis > 0:
			waitFor(ctx, woken, time.Duration(step.WaitMillis)*time.Millisecond)
		case woken.Len() == 0:
			return nil
		}
		if err != nil {
			return err
		}
	}
	drainAll(woken)
	return workflow.NewContinueAsNewError(ctx, InvoicePayment, in)
}

// chargeInvoice charges a try, waits for the bank's final answer and records it.
func chargeInvoice(ctx workflow.Context, ref activities.InvoiceRef, order activities.InvoiceOrder) error {
	end, err := newCharge(newInvoicePayable(ctx, ref, order)).settle(ctx)
	if err != nil {
		return err
	}
	_, err = record(ctx, books.RecordInvoiceAnswer, activities.InvoiceAnswerInput{
		InvoiceID: ref.InvoiceID, Attempt: order.Attempt, Payment: end.payment, Expired: end.expired,
	})
	return err
}

// newInvoicePayable is a try to have an invoice paid as something payable.
func newInvoicePayable(ctx workflow.Context, ref activities.InvoiceRef, order activities.InvoiceOrder) payable {
	return payable{
		input: activities.ChargeInput{
			InvoiceID:      ref.InvoiceID,
			Attempt:        order.Attempt,
			AccountID:      order.AccountID,
			Customer:       order.Customer,
			PaymentMethod:  order.PaymentMethod,
			AmountCents:    order.AmountCents,
			IdempotencyKey: chargeKey(workflow.GetInfo(ctx).WorkflowExecution.ID, order.Attempt),
			OffSession:     order.OffSession,
			Mandate:        order.Mandate,
		},
		begunAt:    order.BankStartedAt,
		intent:     order.PaymentIntentID,
		payer:      activities.PayerRef{Purpose: models.AuthorizeInvoice, SubjectID: ref.InvoiceID, Attempt: order.Attempt},
		asked:      order.Asked,
		localFirst: true,
		changed:    workflow.GetSignalChannel(ctx, SignalPaymentChanged),

		note: func(ctx workflow.Context, payment activities.Payment) (bool, error) {
			return noteInvoice(ctx, ref, order, payment)
		},
		alert: func(ctx workflow.Context, code string) error {
			_, err := record(ctx, books.RaiseAlert, activities.AlertInput{
				Kind:      models.AlertChargeRefused,
				InvoiceID: ref.InvoiceID,
				AccountID: order.AccountID,
				Detail: fmt.Sprintf("Stripe refused charge %d of the invoice as a request (%s). It is not sent again. Look it up in Stripe by the invoice's id.",
					order.Attempt, code),
			})
			return err
		},
	}
}

// closeInvoiceTry cancels the payment of a declined try, which would stay open at
// Stripe and could be confirmed later. It is tried and not insisted on: money that came
// all the same is put before a person, here or by Stripe's event (I3).
func closeInvoiceTry(ctx workflow.Context, try activities.InvoiceTry) error {
	in := activities.CancelInput{PaymentIntentID: try.PaymentIntentID}
	payment, err := tryOut(ctx, stripe.CancelPayment, in)
	if err != nil {
		payment, err = callOut(ctx, closeWindow, stripe.CancelPayment, in)
	}
	if err != nil {
		workflow.GetLogger(ctx).Warn("declined payment left open at Stripe", "payment", try.PaymentIntentID, "error", err)
	}
	if payment.State == activities.PaymentApproved {
		answer := activities.InvoiceAnswerInput{InvoiceID: try.InvoiceID, Attempt: try.Attempt, Payment: payment}
		if _, err := record(ctx, books.RecordInvoiceAnswer, answer); err != nil {
			return err
		}
	}
	_, err = record(ctx, books.NoteClosed, try)
	return err
}

// noteInvoice shows what the try waits for. A customer who is there is shown the bank's
// own page; if that can't be had now, the next look tries again.
func noteInvoice(ctx workflow.Context, ref activities.InvoiceRef, order activities.InvoiceOrder, payment activities.Payment) (bool, error) {
	if payment.State != activities.PaymentRequiresAction || order.OffSession {
		_, err := record(ctx, books.RecordInvoiceAnswer, activities.InvoiceAnswerInput{InvoiceID: ref.InvoiceID, Attempt: order.Attempt, Payment: payment})
		return err == nil, err
	}
	_, err := callOut(ctx, time.Minute, checkout.NoteAuthorization, activities.AuthorizationInput{
		InvoiceID: ref.InvoiceID, Attempt: order.Attempt, PaymentIntentID: payment.PaymentIntentID,
	})
	if err != nil {
		workflow.GetLogger(ctx).Error("no authorization link yet", "error", err)
	}
	return err == nil, nil
}
