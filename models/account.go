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
	// OrganizationName, InvoiceEmail and BusinessDetails are set by support (R42).
	OrganizationName *string
	// InvoiceEmail is where invoices go in place of Email.
	InvoiceEmail    *string
	BusinessDetails *string
	// TaxIDType and TaxIDValue are a tax number that support set. It stands in the
	// place of the one beside the card.
	TaxIDType  *string
	TaxIDValue *string
	// RulesTerritory is the territory whose rules the account's charges follow, where
	// support set one in place of those that it is in (R36).
	RulesTerritory *string
	CreatedAt      time.Time
}

// InvoicesTo is where the account's invoices, and mails about them, go.
func (a Account) InvoicesTo() string {
	if a.InvoiceEmail != nil {
		return *a.InvoiceEmail
	}
	return a.Email
}

// TaxID is a tax number, by Stripe's name for its kind.
type TaxID struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// TaxIDBeside is the account's tax number: the one that support set, else the one
// beside the card; nil for none. A nil card is none.
func (a Account) TaxIDBeside(card *Card) *TaxID {
	switch {
	case a.TaxIDType != nil:
		return &TaxID{Type: *a.TaxIDType, Value: *a.TaxIDValue}
	case card != nil && card.TaxIDType != nil:
		return &TaxID{Type: *card.TaxIDType, Value: *card.TaxIDValue}
	}
	return nil
}

// AccountDetails are what support sets of an account (R42). A nil field stays as it
// is; an empty text, or a tax number without a value, takes away what is there.
type AccountDetails struct {
	OrganizationName *string
	InvoiceEmail     *string
	BusinessDetails  *string
	TaxID            *TaxID
}

// Balance is what an account holds and owes, in micro-dollars (R6).
type Balance struct {
	AccountID           string `gorm:"primaryKey"`
	FreeMicros          int64
	PurchasedMicros     int64
	AccruedMicros       int64
	LifetimeSpendMicros int64
	// InvoicedMicros is what unpaid invoices demand; no part of the balance.
	InvoicedMicros int64
}

// TotalMicros is free plus purchased less accrued; it may be negative (R6).
func (b Balance) TotalMicros() int64 {
	return b.FreeMicros + b.PurchasedMicros - b.AccruedMicros
}
