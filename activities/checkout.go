package activities

import (
	"context"
	"errors"
	"time"

	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
)

// Checkout is the step of an on-session purchase that needs both Stripe and the
// database.
type Checkout struct {
	API   *client.API
	Store *ledger.Ledger
	Now   func() time.Time
}

// AuthorizationInput names a payment that waits for its customer.
type AuthorizationInput struct {
	PurchaseID string `json:"purchase_id,omitempty"`
	// InvoiceID and Attempt say which try to pay which invoice, if it is one.
	InvoiceID       string `json:"invoice_id,omitempty"`
	Attempt         int    `json:"attempt,omitempty"`
	PaymentIntentID string `json:"payment_intent_id"`
}

// NoteAuthorization reads where the customer answers the bank and stores it with
// the purchase. The link holds a secret, so it goes from Stripe to the database
// and through no history (I9). If the payment has moved on meanwhile there is
// nothing to note.
func (c *Checkout) NoteAuthorization(ctx context.Context, in AuthorizationInput) (struct{}, error) {
	defer heartbeat(ctx)()
	params := &stripe.PaymentIntentParams{}
	params.Context = ctx
	intent, err := c.API.PaymentIntents.Get(in.PaymentIntentID, params)
	if err != nil {
		return struct{}{}, plain("read authorization", err)
	}
	if intent.Status != stripe.PaymentIntentStatusRequiresAction {
		return struct{}{}, nil
	}
	if intent.NextAction == nil || intent.NextAction.RedirectToURL == nil {
		return struct{}{}, errors.New("read authorization: Stripe asks for an action that is not a redirect")
	}
	asked := ledger.BankAnswer{
		State:            models.BankRequiresAction,
		PaymentIntentID:  intent.ID,
		AuthorizationURL: intent.NextAction.RedirectToURL.URL,
		At:               c.Now(),
	}
	if in.InvoiceID != "" {
		return struct{}{}, c.Store.NoteInvoicePayment(ctx, ledger.InvoiceAnswer{InvoiceID: in.InvoiceID, Attempt: in.Attempt, BankAnswer: asked})
	}
	return struct{}{}, c.Store.RecordBank(ctx, in.PurchaseID, asked)
}
