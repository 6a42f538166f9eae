package models

import "time"

// InvoiceStatus is how an invoice stands.
type InvoiceStatus string

// The statuses of an invoice. The last three are its ends.
const (
	InvoiceOpen          InvoiceStatus = "open"
	InvoicePastDue       InvoiceStatus = "past_due"
	InvoicePaid          InvoiceStatus = "paid"
	InvoiceVoid          InvoiceStatus = "void"
	InvoiceUncollectible InvoiceStatus = "uncollectible"
)

// The kinds of invoices.
const (
	InvoiceOfPurchase = "purchase"
	InvoiceOfMonth    = "monthly"
)

// Invoice is a final record of what was sold; a purchase's is issued paid (R17), a
// month's demands what credits have not paid (R30). Only its status moves.
type Invoice struct {
	ID string
	// Number is gapless within its year, such as 2026-000042 (R45).
	Number      string
	AccountID   string
	Kind        string
	PurchaseID  *string
	Description string
	TotalMicros int64
	Status      string
	IssuedAt    time.Time
	// PaidAt is when it was paid, nil until then.
	PaidAt *time.Time
	// Reason is why it is void or uncollectible.
	Reason   *string
	Revision int64
	// BillTo is whom it is made out to, as that was when it was issued; nil on
	// purchases from before that was kept.
	BillTo *BillTo
	// Period is the first day of the month, nil on a purchase's invoice; so are the
	// amounts below. They add up: UsageMicros and CarriedInMicros are paid by
	// FreeMicros, PurchasedMicros, DueCents and CarriedOutMicros.
	Period      *time.Time
	UsageMicros int64
	// CarriedInMicros is what the invoice before left to this one, and CarriedOutMicros
	// what this one leaves to the next: under the least charge (R3).
	CarriedInMicros  int64
	FreeMicros       int64
	PurchasedMicros  int64
	DueCents         int64
	CarriedOutMicros int64
}

// BillTo is whom an invoice is made out to. It is kept as JSON: fields are added,
// never renamed.
type BillTo struct {
	Name         string `json:"name"`
	Organization string `json:"organization,omitempty"`
	// Email is where invoices go.
	Email     string  `json:"email"`
	Territory string  `json:"territory"`
	Details   string  `json:"details,omitempty"`
	Address   *BillAt `json:"address,omitempty"`
	TaxID     *TaxID  `json:"tax_id,omitempty"`
}

// BillAt is a billing address, as it was.
type BillAt struct {
	Line1      string `json:"line1"`
	City       string `json:"city"`
	State      string `json:"state"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country"`
}

// The sections of an invoice's lines, in their order.
const (
	SectionUsage      = "usage"
	SectionDeployment = "deployment"
	SectionCreation   = "creation"
)

// InvoiceLine is what one resource cost under one SKU (R30).
type InvoiceLine struct {
	// Line counts from 1.
	Line int
	// Section is usage, deployment (its time) or creation (of a deployment or a job).
	Section string
	SKU     string
	// Unit is what Quantity counts: token, image, minute or job, and second for the
	// time of a deployment.
	Unit string
	// Model is the model that was accessed; empty where there is none.
	Model string `db:"-"`
	// Resource is what was used, in the reporter's words, or the id of what was
	// created; Name is its name.
	Resource string
	Name     string
	// Period is the month of the use: one before the invoice's where it was told late.
	Period time.Time
	Events int64
	// Quantity is a whole number, of any size.
	Quantity     string
	AmountMicros int64
}

// CreditNote takes an invoice back, the whole of it (R45).
type CreditNote struct {
	ID           string
	Number       string
	AccountID    string
	InvoiceID    string
	AmountMicros int64
	Reason       string
	IssuedAt     time.Time
}
