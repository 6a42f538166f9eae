package activities

import (
	"context"
	"errors"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
)

// CodeAuthentication is the decline code of a bank that wants the customer there
// before it decides. Until they are asked nothing is decided.
const CodeAuthentication = string(stripe.ErrorCodeAuthenticationRequired)

// Approval leads customers to their bank. It is no activity: the page that it finds is
// a secret, which must go into no history (I9).
type Approval struct {
	API *client.API
}

// ApprovalRequest is a payment that its customer is about to approve.
type ApprovalRequest struct {
	PaymentIntentID string
	PaymentMethod   string
	// IdempotencyKey is the confirmation's own, should one be needed.
	IdempotencyKey string
	// ReturnURL is where the bank sends the customer back to.
	ReturnURL string
}

// ErrNoBankPage: the payment waits for the customer, and Stripe names no page for it now.
var ErrNoBankPage = errors.New("Stripe names no page of the bank")

// Begin finds the bank's page for a payment. If the bank declined it because it wants
// the customer there, it is confirmed once more with the same card, now that they are.
// An empty page means that there is nothing to ask any more. However often
// and by however many this is called, it is one payment, captured once (I2).
func (a *Approval) Begin(ctx context.Context, in ApprovalRequest) (page string, err error) {
	intent, err := a.read(ctx, in.PaymentIntentID)
	if err != nil || !wantsConfirmation(intent) {
		return pageOf(intent), err
	}
	params := &stripe.PaymentIntentConfirmParams{
		PaymentMethod: stripe.String(in.PaymentMethod),
		ReturnURL:     stripe.String(in.ReturnURL),
	}
	params.SetIdempotencyKey(in.IdempotencyKey)
	params.Context = ctx
	confirmed, confirmError := a.API.PaymentIntents.Confirm(in.PaymentIntentID, params)
	if confirmError == nil {
		intent = confirmed
	} else if intent, err = a.read(ctx, in.PaymentIntentID); err != nil {
		// Declined, unknown, or somebody else's confirmation came first: it is looked at again.
		return "", err
	}
	if wantsConfirmation(intent) {
		return "", errors.Join(ErrNoBankPage, plain("confirm payment", confirmError))
	}
	return pageOf(intent), nil
}

func (a *Approval) read(ctx context.Context, id string) (*stripe.PaymentIntent, error) {
	params := &stripe.PaymentIntentParams{}
	params.Context = ctx
	intent, err := a.API.PaymentIntents.Get(id, params)
	if err != nil {
		return nil, plain("read payment to approve", err)
	}
	return intent, nil
}

// wantsConfirmation says whether the bank can only be asked by confirming: it has
// not been asked with the customer there, or the question had no page.
func wantsConfirmation(intent *stripe.PaymentIntent) bool {
	switch intent.Status {
	case stripe.PaymentIntentStatusRequiresPaymentMethod:
		return intent.LastPaymentError != nil && declineCode(intent.LastPaymentError) == CodeAuthentication
	case stripe.PaymentIntentStatusRequiresAction:
		return pageOf(intent) == ""
	}
	return intent.Status == stripe.PaymentIntentStatusRequiresConfirmation
}

// pageOf is where the customer answers the bank, "" if nothing is asked there.
func pageOf(intent *stripe.PaymentIntent) string {
	if intent == nil || intent.Status != stripe.PaymentIntentStatusRequiresAction || intent.NextAction == nil || intent.NextAction.RedirectToURL == nil {
		return ""
	}
	return intent.NextAction.RedirectToURL.URL
}
