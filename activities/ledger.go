package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// Ledger is the steps of a workflow in the database. Each is one transaction,
// and the second time it finds its own effect.
type Ledger struct {
	Store *ledger.Ledger
	// Gateways gives the base URLs of the gateways that must hold an entitlement.
	Gateways func() []string
	// Wake tells the relay of this process that the outbox has news.
	Wake func()
	Now  func() time.Time
	// RechargePace is the least time between two automatic charges of the whole
	// system; 0 is no bound.
	RechargePace time.Duration
	// InvoicePace is the least time between two charges of invoices that nobody waits for.
	InvoicePace time.Duration
	// DunningDays are the days after a first failed charge on which an invoice is charged
	// again (R33).
	DunningDays []int
	// AuthorizationLasts is how long a customer has to approve a payment (R37).
	AuthorizationLasts time.Duration
}

// PurchaseRef names a purchase.
type PurchaseRef struct {
	PurchaseID string `json:"purchase_id"`
}

// PurchaseOrder is what the workflow needs to know of a purchase: what to charge,
// and how far it had come, should the workflow be a second one (I6).
type PurchaseOrder struct {
	AccountID     string `json:"account_id"`
	AmountCents   int64  `json:"amount_cents"`
	Customer      string `json:"customer"`
	PaymentMethod string `json:"payment_method"`
	// Mandate is the customer's standing permission for an off-session charge (R36).
	Mandate         string                `json:"mandate,omitempty"`
	OffSession      bool                  `json:"off_session"`
	Status          models.PurchaseStatus `json:"status"`
	Bank            models.BankState      `json:"bank"`
	PaymentIntentID string                `json:"payment_intent_id,omitempty"`
	// BankStartedAt is when the charge may first have been sent.
	BankStartedAt time.Time `json:"bank_started_at"`
	// Steps is the version of the steps that the workflow takes from here. It is
	// written into the history with the order, so that a replay takes them again;
	// a history from before it was has 0.
	Steps int `json:"steps,omitempty"`
}

// The versions of a purchase's steps, each with what it changed.
const (
	// StepsLocalCharge: the first try of a charge is a local activity.
	StepsLocalCharge = 1
	// StepsCloseDeclined: a declined payment is canceled at Stripe.
	StepsCloseDeclined = 2
	// StepsAuthorization: where the bank wants the customer an authorization is opened,
	// whose end is the bank's answer, off-session too; and every declined payment is canceled.
	StepsAuthorization = 3
	// StepsNow is what a purchase that begins now goes by.
	StepsNow = StepsAuthorization
)

// BeginPurchase marks the bank stage as running and answers the order.
func (l *Ledger) BeginPurchase(ctx context.Context, in PurchaseRef) (PurchaseOrder, error) {
	p, err := l.Store.BeginPurchase(ctx, in.PurchaseID, l.Now())
	if err != nil {
		return PurchaseOrder{}, err
	}
	order := PurchaseOrder{
		AccountID:     p.AccountID,
		AmountCents:   p.AmountCents,
		Customer:      p.StripeCustomerID,
		PaymentMethod: p.PaymentMethodID,
		OffSession:    p.Origin == models.OriginAutoRecharge,
		Status:        p.Status,
		Bank:          p.Bank,
		Steps:         StepsNow,
	}
	if p.PaymentIntentID != nil {
		order.PaymentIntentID = *p.PaymentIntentID
	}
	if p.MandateID != nil {
		order.Mandate = *p.MandateID
	}
	if p.BankStartedAt != nil {
		order.BankStartedAt = *p.BankStartedAt
	}
	return order, nil
}

// BankAnswerInput is what the bank said, or that nobody knows.
type BankAnswerInput struct {
	PurchaseID string  `json:"purchase_id"`
	Payment    Payment `json:"payment"`
	// Expired: the time to answer is over and nothing was charged.
	Expired bool `json:"expired,omitempty"`
}

// BankRecorded says how the purchase stands where the answer could not be recorded
// as it was; empty if it could.
type BankRecorded struct {
	Otherwise models.PurchaseStatus `json:"otherwise,omitempty"`
}

// RecordBankAnswer stores what the bank said. The confirmation mail of an
// approval goes into the outbox with it (R24). Money that does not fit the purchase
// is put before a person (I3), and the purchase ends without it.
func (l *Ledger) RecordBankAnswer(ctx context.Context, in BankAnswerInput) (BankRecorded, error) {
	answer := bankAnswer(in.Payment, in.Expired, l.Now())
	err := l.Store.RecordBank(ctx, in.PurchaseID, answer)
	if errors.Is(err, ledger.ErrNotAsRecorded) {
		return l.review(ctx, in.PurchaseID, answer)
	}
	if err != nil {
		return BankRecorded{}, err
	}
	l.Wake()
	return BankRecorded{}, nil
}

// bankAnswer is what a payment says of the bank; expired: the time to answer is over and
// nothing was charged.
func bankAnswer(payment Payment, expired bool, at time.Time) ledger.BankAnswer {
	answer := ledger.BankAnswer{
		State:           payment.BankState(),
		PaymentIntentID: payment.PaymentIntentID,
		CapturedCents:   payment.CapturedCents,
		At:              at,
	}
	switch {
	case expired:
		answer.State = models.BankExpired
	case answer.State == models.BankDeclined:
		answer.DeclineCode = payment.Code
		answer.DeclineKnown = billing.DeclineFor(payment.Code).Known
	}
	return answer
}

// review puts an answer before a person that contradicts the purchase. A purchase
// that is still pending ends: what was captured is not what it asked for. Between
// two ends without money there is nothing to review: the first one stands.
func (l *Ledger) review(ctx context.Context, purchaseID string, answer ledger.BankAnswer) (BankRecorded, error) {
	p, err := l.Store.Purchase(ctx, purchaseID)
	if err != nil {
		return BankRecorded{}, err
	}
	if p.Ended() && p.Bank != models.BankApproved && answer.State != models.BankApproved {
		return BankRecorded{Otherwise: p.Status}, nil
	}
	err = l.Store.RaiseAlert(ctx, models.Alert{
		Kind: models.AlertCaptureInReview, Subject: "purchase/" + p.ID, AccountID: &p.AccountID, RaisedAt: l.Now(),
		Detail: fmt.Sprintf("Stripe says %s of %s with %d cents captured; the purchase is of %d cents and %s. Refund it or grant the credits.",
			answer.State, answer.PaymentIntentID, answer.CapturedCents, p.AmountCents, p.Status),
	})
	if err != nil || p.Bank.Final() {
		return BankRecorded{Otherwise: p.Status}, err
	}
	ending := ledger.BankAnswer{State: models.BankCanceled, At: answer.At}
	if p.PaymentIntentID == nil {
		ending.PaymentIntentID = answer.PaymentIntentID
	}
	return BankRecorded{Otherwise: models.PurchaseCanceled}, l.Store.RecordBank(ctx, purchaseID, ending)
}

// IssueInvoice issues the purchase's invoice.
func (l *Ledger) IssueInvoice(ctx context.Context, in PurchaseRef) (struct{}, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return struct{}{}, fmt.Errorf("new invoice id: %w", err)
	}
	_, err = l.Store.IssueInvoice(ctx, in.PurchaseID, id.String(), l.Now())
	return struct{}{}, err
}

// CreditBalance turns the captured money into credits and brings the account's
// entitlement up to its spend. If that changes, its propagation is on its way.
func (l *Ledger) CreditBalance(ctx context.Context, in PurchaseRef) (struct{}, error) {
	credited, err := l.Store.CreditPurchase(ctx, in.PurchaseID, billing.TierRules(), l.Now())
	if err != nil {
		return struct{}{}, err
	}
	if credited.TierChanged {
		l.Wake()
	}
	return struct{}{}, nil
}

// TierSettled says whether a purchase is complete.
type TierSettled struct {
	Complete bool `json:"complete"`
}

// SettleTier completes the purchase if every gateway holds what it brought about.
func (l *Ledger) SettleTier(ctx context.Context, in PurchaseRef) (TierSettled, error) {
	complete, err := l.Store.SettleTier(ctx, in.PurchaseID, l.Gateways(), l.Now())
	return TierSettled{Complete: complete}, err
}

// AccountRef names an account.
type AccountRef struct {
	AccountID string `json:"account_id"`
}

// RequestPropagation has the account's entitlement pushed (again).
func (l *Ledger) RequestPropagation(ctx context.Context, in AccountRef) (struct{}, error) {
	if err := l.Store.RequestPropagation(ctx, in.AccountID); err != nil {
		return struct{}{}, err
	}
	l.Wake()
	return struct{}{}, nil
}

// LaggingInput asks which gateways are behind.
type LaggingInput struct {
	AccountID string `json:"account_id"`
	// All asks for every gateway, behind or not (R23).
	All bool `json:"all,omitempty"`
}

// Lagging names gateways, by base URL.
type Lagging struct {
	Gateways []string `json:"gateways"`
}

// LaggingGateways names the gateways that do not hold the account's newest
// entitlement yet.
func (l *Ledger) LaggingGateways(ctx context.Context, in LaggingInput) (Lagging, error) {
	if in.All {
		return Lagging{Gateways: l.Gateways()}, nil
	}
	entitlement, err := l.Store.Entitlement(ctx, in.AccountID)
	if err != nil {
		return Lagging{}, err
	}
	states, err := l.Store.GatewayStates(ctx, in.AccountID, l.Gateways())
	if err != nil {
		return Lagging{}, err
	}
	var lagging Lagging
	for _, s := range states {
		if s.Version < entitlement.Version {
			lagging.Gateways = append(lagging.Gateways, s.Gateway)
		}
	}
	return lagging, nil
}

// AlertInput is trouble that a workflow met with a purchase or an invoice.
type AlertInput struct {
	Kind       models.AlertKind `json:"kind"`
	PurchaseID string           `json:"purchase_id,omitempty"`
	InvoiceID  string           `json:"invoice_id,omitempty"`
	AccountID  string           `json:"account_id"`
	Detail     string           `json:"detail"`
}

// RaiseAlert raises an alert for support.
func (l *Ledger) RaiseAlert(ctx context.Context, in AlertInput) (struct{}, error) {
	subject := "purchase/" + in.PurchaseID
	if in.InvoiceID != "" {
		subject = "invoice/" + in.InvoiceID
	}
	return struct{}{}, l.Store.RaiseAlert(ctx, models.Alert{
		Kind:      in.Kind,
		Subject:   subject,
		AccountID: &in.AccountID,
		Detail:    in.Detail,
		RaisedAt:  l.Now(),
	})
}
