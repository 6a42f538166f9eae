package activities

import (
	"context"
	"errors"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// InvoiceRef names an invoice.
type InvoiceRef struct {
	InvoiceID string `json:"invoice_id"`
}

// InvoiceStep is how the collection of an invoice goes on: one of the fields, or none
// when there is nothing to do now.
type InvoiceStep struct {
	// Close is the payment of a declined try that is open at Stripe still.
	Close *InvoiceTry `json:"close,omitempty"`
	// Order is the try to charge, or to ask after.
	Order *InvoiceOrder `json:"order,omitempty"`
	// WaitMillis is how long to wait for a turn.
	WaitMillis int64 `json:"wait_millis,omitempty"`
}

// InvoiceOrder is what the workflow needs to know of a try: what to charge, and how
// far it had come, should the workflow be a second one (I6).
type InvoiceOrder struct {
	Attempt         int       `json:"attempt"`
	AccountID       string    `json:"account_id"`
	AmountCents     int64     `json:"amount_cents"`
	Customer        string    `json:"customer"`
	PaymentMethod   string    `json:"payment_method"`
	Mandate         string    `json:"mandate,omitempty"`
	OffSession      bool      `json:"off_session"`
	PaymentIntentID string    `json:"payment_intent_id,omitempty"`
	BankStartedAt   time.Time `json:"bank_started_at"`
	// Asked: the bank wants the customer, and the authorization was opened.
	Asked bool `json:"asked,omitempty"`
}

// AdvanceInvoice takes the next step of an invoice's collection: a try to charge, a
// turn to wait for, or nothing before the schedule comes to it (R33).
func (l *Ledger) AdvanceInvoice(ctx context.Context, in InvoiceRef) (InvoiceStep, error) {
	advance, err := l.Store.AdvanceCollection(ctx, in.InvoiceID, l.dunning(), l.Now())
	if err != nil {
		return InvoiceStep{}, err
	}
	l.Wake()
	// Rounded up, so that a turn has come when the wait for it is over.
	step := InvoiceStep{WaitMillis: int64((advance.Wait + time.Millisecond - 1) / time.Millisecond)}
	if p := advance.Close; p != nil {
		step.Close = &InvoiceTry{InvoiceID: p.InvoiceID, Attempt: p.Attempt, PaymentIntentID: *p.PaymentIntentID}
	}
	if p := advance.Payment; p != nil {
		step.Order = &InvoiceOrder{
			Attempt:       p.Attempt,
			AccountID:     p.AccountID,
			AmountCents:   p.AmountCents,
			Customer:      p.StripeCustomerID,
			PaymentMethod: p.PaymentMethodID,
			OffSession:    p.Origin != models.PaidByHand,
			BankStartedAt: *p.BankStartedAt,
		}
		if step.Order.OffSession && p.MandateID != nil {
			step.Order.Mandate = *p.MandateID
		}
		if p.PaymentIntentID != nil {
			step.Order.PaymentIntentID = *p.PaymentIntentID
			step.Order.Asked = p.Bank == models.BankRequiresAction
		}
	}
	return step, nil
}

// dunning is by what rules unpaid invoices are chased.
func (l *Ledger) dunning() ledger.Dunning {
	return ledger.Dunning{Days: l.DunningDays, Tiers: billing.TierRules(), Pace: l.InvoicePace}
}

// InvoiceAnswerInput is what the bank said of a try, or that nobody knows.
type InvoiceAnswerInput struct {
	InvoiceID string  `json:"invoice_id"`
	Attempt   int     `json:"attempt"`
	Payment   Payment `json:"payment"`
	// Expired: the time to answer is over and nothing was charged.
	Expired bool `json:"expired,omitempty"`
}

// RecordInvoiceAnswer stores what the bank said of a try, with all that follows from
// it. Money that does not fit the invoice is put before a person (I3).
func (l *Ledger) RecordInvoiceAnswer(ctx context.Context, in InvoiceAnswerInput) (struct{}, error) {
	answer := ledger.InvoiceAnswer{
		InvoiceID: in.InvoiceID, Attempt: in.Attempt, BankAnswer: bankAnswer(in.Payment, in.Expired, l.Now()),
		// A payment that Stripe has, and that was given up, waited for its customer.
		Unanswered: in.Expired && in.Payment.State == PaymentCanceled,
	}
	err := l.Store.RecordInvoicePayment(ctx, answer, l.dunning())
	if errors.Is(err, ledger.ErrNotAsRecorded) {
		err = l.Store.ReviewInvoicePayment(ctx, answer, l.dunning())
	}
	if err != nil {
		return struct{}{}, err
	}
	l.Wake()
	return struct{}{}, nil
}

// InvoiceTry names a try to have an invoice paid, and its payment at Stripe.
type InvoiceTry struct {
	InvoiceID       string `json:"invoice_id"`
	Attempt         int    `json:"attempt"`
	PaymentIntentID string `json:"payment_intent_id"`
}

// NoteClosed notes that a declined payment was canceled at Stripe, or was tried to be
// for long enough.
func (l *Ledger) NoteClosed(ctx context.Context, in InvoiceTry) (struct{}, error) {
	return struct{}{}, l.Store.ClosedInvoicePayment(ctx, in.InvoiceID, in.PaymentIntentID)
}
