package models

import "time"

// Account is whoever buys credits: one customer of the platform.
type Account struct {
	ID    string
	Email string
	Name  string
	// Territory is where the account is, as ISO 3166-1 alpha-2.
	Territory string
	// StripeCustomerID is nil until the account's first card.
	StripeCustomerID *string
	CreatedAt        time.Time
}

// Card is the one card of an account (R40). Stripe holds the number (R43).
type Card struct {
	AccountID       string `gorm:"primaryKey"`
	PaymentMethodID string
	// Brand and Funding are Stripe's words: visa, mastercard, amex; credit, debit.
	Brand    string
	Funding  string
	Last4    string `gorm:"column:last4"`
	ExpMonth int
	ExpYear  int
	// Fingerprint is the same for the same card number.
	Fingerprint string
	Address     Address `gorm:"embedded"`
	TaxIDType   *string
	TaxIDValue  *string
	UpdatedAt   time.Time `gorm:"autoUpdateTime:false"`
}

// Balance is what an account holds and owes, in micro-dollars (R6).
type Balance struct {
	AccountID           string `gorm:"primaryKey"`
	FreeMicros          int64
	PurchasedMicros     int64
	AccruedMicros       int64
	LifetimeSpendMicros int64
}

// TotalMicros is free plus purchased less accrued; it may be negative (R6).
func (b Balance) TotalMicros() int64 {
	return b.FreeMicros + b.PurchasedMicros - b.AccruedMicros
}
