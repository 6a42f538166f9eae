package models

import "time"

// InvoicePaymentOrigin says who asked for a payment of an invoice.
type InvoicePaymentOrigin string

// The origins of a payment of an invoice.
const (
	// PaidAutomatically: the schedule came to it.
	PaidAutomatically InvoicePaymentOrigin = "automatic"
	// PaidByNewCard: a card was put that can be tried.
	PaidByNewCard InvoicePaymentOrigin = "card_change"
	// PaidByHand: the customer is there.
	PaidByHand InvoicePaymentOrigin = "manual"
)

// InvoicePayment is one try to have an invoice paid by card. Each has a number, and
// with it an idempotency key at Stripe, of its own (R20, R33).
type InvoicePayment struct {
	InvoiceID string
	Attempt   int
	AccountID string
	Origin    InvoicePaymentOrigin
	// The customer and card at Stripe, as they were when the try was made (F29).
	AmountCents      int64
	StripeCustomerID string
	PaymentMethodID  string
	CardFingerprint  string
	// MandateID is what the customer agreed to, where the law wants that (R36).
	MandateID *string

	Bank            BankState
	PaymentIntentID *string
	CapturedCents   int64
	// DeclineCode is Stripe's, and not for the customer's eyes: billing.DeclineFor says what is.
	DeclineCode      *string
	DeclineKnown     *bool
	AuthorizationURL *string

	CreatedAt     time.Time
	BankStartedAt *time.Time
	BankEndedAt   *time.Time
}

// Ended says whether the bank's answer can no longer change.
func (p InvoicePayment) Ended() bool { return p.Bank.Final() }

// InvoiceEventKind says what became of an invoice on the way to its money.
type InvoiceEventKind string

// The kinds of events of an invoice.
const (
	// InvoiceEventFailed: a try failed, or there was no card to charge; the schedule goes on.
	InvoiceEventFailed InvoiceEventKind = "payment_failed"
	// InvoiceEventPastDue: the last try failed, and the account is suspended.
	InvoiceEventPastDue InvoiceEventKind = "past_due"
	InvoiceEventPaid    InvoiceEventKind = "paid"
	// InvoiceEventRestored: nothing suspends the account any more.
	InvoiceEventRestored      InvoiceEventKind = "restored"
	InvoiceEventVoid          InvoiceEventKind = "void"
	InvoiceEventUncollectible InvoiceEventKind = "uncollectible"
)

// InvoiceEvent is what happened to an invoice, as it was told (R33).
type InvoiceEvent struct {
	ID        int64
	InvoiceID string
	AccountID string
	Kind      InvoiceEventKind
	// DeclineCode is Stripe's, and not for the customer's eyes; "" where no bank declined.
	DeclineCode string
	// NextAt is when the next try is, if there is one.
	NextAt *time.Time
	At     time.Time
}

// Collection is all that decides about how an unpaid invoice is collected, at one
// instant (R33).
type Collection struct {
	InvoiceID   string
	AccountID   string
	Number      string
	AmountCents int64
	// Status is the invoice's.
	Status InvoiceStatus
	// RulesTerritory is set by support, Territory is the account's, and IssuedIn the
	// country of its card's bank: by these it is what the law asks of a charge (R36).
	RulesTerritory *string
	Territory      string
	IssuedIn       string

	// Attempts is how many tries were made, the one in flight included.
	Attempts int
	// ChasedFrom is when the first try failed; the days of the schedule count from
	// there. Nil before.
	ChasedFrom *time.Time
	// DueAt is when the invoice is to be looked at the latest; nil is not before
	// somebody wakes it.
	DueAt *time.Time
	// CardChanged: a card was put, and nobody has looked yet whether it is to be tried.
	CardChanged bool
	// InReview: money came that does not fit, and a person has not decided yet (I3).
	InReview bool
	Revision int64

	// InFlight is the number of the try that has not ended, 0 if there is none.
	InFlight     int
	InFlightBank BankState

	// HasCard says whether there is a card; Fingerprint is that one's.
	HasCard     bool
	Fingerprint string
	// DeclineCode and FailedCard are of the last try that ended without money; code "" if no bank declined it.
	DeclineCode string
	FailedCard  string
	// CardDeclines counts how often the card was declined within 30 days, whoever
	// asked, as far as the networks' bound.
	CardDeclines int64
}

// Owed says whether the invoice is still to be paid.
func (c Collection) Owed() bool { return c.Status == InvoiceOpen || c.Status == InvoicePastDue }
