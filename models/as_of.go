package models

import "time"

// AsOf is how an account stood at an instant, and why (R53). Micro-dollars.
type AsOf struct {
	FreeMicros          int64
	PurchasedMicros     int64
	AccruedMicros       int64
	LifetimeSpendMicros int64
	// InvoicedMicros is what unpaid invoices demanded.
	InvoicedMicros int64
	// Entitlement is what the gateways were to hold.
	Entitlement EntitlementAsOf
	// Terms are those in force, nil if none had been set.
	Terms *AccountTerms
	// Payments are those that made the lifetime spend, oldest first, of PaymentCount.
	Payments     []PaymentAsOf
	PaymentCount int64
	// Grants are those of which something was left, oldest first, of GrantCount.
	Grants     []GrantAsOf
	GrantCount int64
}

// EntitlementAsOf is an entitlement as it was.
type EntitlementAsOf struct {
	Version   int64
	Tier      int
	Suspended bool
	// Blocked as in EntitlementState. BlockedSince is since when the account may not
	// use anything, for whatever reason; nil if it may.
	Blocked        bool
	BlockedSince   *time.Time
	SuspendedSince *time.Time
	ChangedAt      time.Time
}

// AccountTerms are how far an account may go, as somebody set it (R7).
type AccountTerms struct {
	// Plan is build, scale or enterprise.
	Plan                string
	SupportLimitMicros  *int64
	CustomerLimitMicros *int64
	// ChangedBy is customer or support.
	ChangedBy string
	Reason    *string
	ChangedAt time.Time
}

// PaymentAsOf is money that was paid, and the lifetime spend with it.
type PaymentAsOf struct {
	TransactionID       int64
	PurchaseID          *string
	InvoiceID           *string
	AmountMicros        int64
	LifetimeSpendMicros int64
	At                  time.Time
}

// GrantAsOf is credits that were given, and what was left of them.
type GrantAsOf struct {
	// ID is that of the ledger transaction that gave them.
	ID int64
	// Book is free or purchased.
	Book          string
	GrantedMicros int64
	LeftMicros    int64
	At            time.Time
}

// LedgerLine is one entry of a ledger transaction, with the transaction.
type LedgerLine struct {
	TransactionID  int64
	IdempotencyKey string
	Kind           string
	OccurredAt     time.Time
	RecordedAt     time.Time
	Book           string
	// AmountMicros is what the book gained.
	AmountMicros int64
	// GrantID is the transaction that gave the credits that the entry takes; nil if it
	// takes none.
	GrantID *int64
}
