package models

import "time"

// Origin says who asked for a purchase.
type Origin string

// The origins of a purchase.
const (
	OriginCheckout     Origin = "checkout"
	OriginAutoRecharge Origin = "auto_recharge"
)

// PurchaseStatus is where a purchase is as a whole: pending, or ended in one of
// four ways (R17).
type PurchaseStatus string

// The statuses of a purchase.
const (
	PurchasePending   PurchaseStatus = "pending"
	PurchaseCompleted PurchaseStatus = "completed"
	PurchaseDeclined  PurchaseStatus = "declined"
	PurchaseCanceled  PurchaseStatus = "canceled"
	PurchaseExpired   PurchaseStatus = "expired"
)

// BankState is what the bank is known to have said of a charge. Unknown is a
// state of its own and ends nothing (R20).
type BankState string

// The states of a charge. The last four are final.
const (
	BankWaiting        BankState = "waiting"
	BankCharging       BankState = "charging"
	BankProcessing     BankState = "processing"
	BankRequiresAction BankState = "requires_action"
	BankUnknown        BankState = "unknown"
	BankApproved       BankState = "approved"
	BankDeclined       BankState = "declined"
	BankCanceled       BankState = "canceled"
	BankExpired        BankState = "expired"
)

// Final says whether the bank's answer can no longer change.
func (s BankState) Final() bool {
	switch s {
	case BankApproved, BankDeclined, BankCanceled, BankExpired:
		return true
	case BankWaiting, BankCharging, BankProcessing, BankRequiresAction, BankUnknown:
		return false
	}
	return false
}

// Purchase is one purchase of credits by card.
type Purchase struct {
	ID             string
	AccountID      string
	IdempotencyKey string
	Origin         Origin
	AmountCents    int64
	// The customer and card at Stripe, as they were when the purchase was made (F29).
	StripeCustomerID string
	PaymentMethodID  string
	// MandateID is the mandate that an automatic charge names; read where it is begun.
	MandateID *string

	Status          PurchaseStatus
	Bank            BankState
	PaymentIntentID *string
	CapturedCents   int64
	// DeclineCode is Stripe's, and not for the customer's eyes: billing.DeclineFor says what is.
	DeclineCode      *string
	DeclineKnown     *bool
	AuthorizationURL *string
	InvoiceID        *string
	// EntitlementVersion is what the gateways must hold for the purchase to be
	// complete: 0 when it changed nothing for them, nil before the balance stage.
	EntitlementVersion *int64
	// Revision grows by one with every change of the row.
	Revision int64

	CreatedAt      time.Time
	BankStartedAt  *time.Time
	BankEndedAt    *time.Time
	InvoiceEndedAt *time.Time
	BalanceEndedAt *time.Time
	TierEndedAt    *time.Time
}

// Ended says whether nothing will change any more.
func (p Purchase) Ended() bool { return p.Status != PurchasePending }

// ApprovedAt is when the bank approved, nil when it hasn't.
func (p Purchase) ApprovedAt() *time.Time {
	if p.Bank != BankApproved {
		return nil
	}
	return p.BankEndedAt
}

// StageName names one of the four stages of a purchase (R17).
type StageName string

// The stages, in their order.
const (
	StageBankApproval StageName = "bank_approval"
	StageInvoice      StageName = "invoice"
	StageBalance      StageName = "balance"
	StageTier         StageName = "tier"
)

// StageState is how far a stage has come.
type StageState string

// The states of a stage.
const (
	StageWaiting StageState = "waiting"
	StageRunning StageState = "running"
	StageDone    StageState = "done"
	StageFailed  StageState = "failed"
)

// Stage is one stage of a purchase with the times it began and ended.
type Stage struct {
	Name      StageName
	State     StageState
	StartedAt *time.Time
	EndedAt   *time.Time
}

// Stages are the four stages in order. A stage begins at the instant at which
// the one before it is done.
func (p Purchase) Stages() []Stage {
	bank := stage(StageBankApproval, p.BankStartedAt, p.BankEndedAt)
	if bank.State == StageDone && p.Bank != BankApproved {
		bank.State = StageFailed
	}
	return []Stage{
		bank,
		stage(StageInvoice, p.ApprovedAt(), p.InvoiceEndedAt),
		stage(StageBalance, p.InvoiceEndedAt, p.BalanceEndedAt),
		stage(StageTier, p.BalanceEndedAt, p.TierEndedAt),
	}
}

func stage(name StageName, started, ended *time.Time) Stage {
	s := Stage{Name: name, State: StageWaiting, StartedAt: started, EndedAt: ended}
	switch {
	case ended != nil:
		s.State = StageDone
	case started != nil:
		s.State = StageRunning
	}
	return s
}
