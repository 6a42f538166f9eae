package models

import "time"

// AuthorizationPurpose says what an authorization is about.
type AuthorizationPurpose string

// The purposes.
const (
	AuthorizePurchase AuthorizationPurpose = "purchase"
	AuthorizeInvoice  AuthorizationPurpose = "invoice"
)

// AuthorizationState is how far an authorization is.
type AuthorizationState string

// The states. The last five are ends, of which there is one (R38).
const (
	// AuthorizationCreated: the bank wants its customer, who has no link yet.
	AuthorizationCreated AuthorizationState = "created"
	// AuthorizationSent: the link was mailed.
	AuthorizationSent AuthorizationState = "sent"
	// AuthorizationOpened: somebody with the link went on to the bank.
	AuthorizationOpened   AuthorizationState = "opened"
	AuthorizationApproved AuthorizationState = "approved"
	// AuthorizationRefused: the customer, or the bank after all, said no.
	AuthorizationRefused  AuthorizationState = "refused"
	AuthorizationExpired  AuthorizationState = "expired"
	AuthorizationReplaced AuthorizationState = "replaced"
	AuthorizationCanceled AuthorizationState = "canceled"
)

// Authorization is one payment that waits for its customer's word to the bank (R36).
type Authorization struct {
	ID        string
	AccountID string
	Purpose   AuthorizationPurpose
	// SubjectID is the purchase or the invoice, Attempt which try to pay it.
	SubjectID string
	Attempt   int
	// InvoiceNumber is the invoice's, nil for a purchase.
	InvoiceNumber *string

	PaymentIntentID string
	// PaymentMethodID is the card that was charged, and is confirmed again (F29).
	PaymentMethodID string
	AmountCents     int64
	// OnSession: the customer was there when the bank asked.
	OnSession bool

	State AuthorizationState
	// Closing is how it is to end unless the bank has approved, nil if nobody wants that.
	Closing *AuthorizationState
	// Generation counts the links; the newest one alone is good.
	Generation int64
	// Mails counts the mails of this generation that were asked for, from LinkAt on.
	Mails  int
	LinkAt time.Time
	// Confirms is the number of the confirmation that is asked of Stripe, 0 before any.
	Confirms      int
	CapturedCents int64
	// DeclineCode is Stripe's, of a refusal.
	DeclineCode *string
	Revision    int64

	CreatedAt time.Time
	SentAt    *time.Time
	OpenedAt  *time.Time
	ExpiresAt time.Time
	EndedAt   *time.Time
}

// Ended says whether nothing will change any more.
func (a Authorization) Ended() bool { return a.EndedAt != nil }
