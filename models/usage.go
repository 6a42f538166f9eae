package models

import "time"

// Price is what one unit of a SKU costs from a moment on (R46).
type Price struct {
	// ID orders the prices as they were made.
	ID  int32
	SKU string
	// Unit is token, image, minute or job.
	Unit string
	// PicosPerUnit is in pico-dollars: a millionth of a micro-dollar.
	PicosPerUnit int64
	FromAt       time.Time
}

// Units are what SKUs are counted in.
func Units() []string { return []string{"token", "image", "minute", "job"} }

// UsageEvent is one priced report of usage.
type UsageEvent struct {
	// AccountID is the account's UUID, in binary: reports come by the thousand.
	AccountID [16]byte
	// ID is the reporter's; with the account it makes the event count once (R11).
	ID       string
	At       time.Time
	PriceID  int32
	Quantity int64
	// Resource is what was used, in the reporter's words; may be empty.
	Resource string
}

// Why an event was not counted, besides what is wrong with the event itself.
const (
	// UsageDuplicate: it was counted before.
	UsageDuplicate = "duplicate"
	// UsageUnknownAccount: there is no such account.
	UsageUnknownAccount = "unknown_account"
	// UsageLimitReached: the account had no credits left and was at its limit (R8).
	UsageLimitReached = "limit_reached"
	// UsageLimitedTier: the account has not bought anything yet (R7).
	UsageLimitedTier = "limited_tier"
	// UsageSuspended: the account was suspended.
	UsageSuspended = "suspended"
)

// Standing is how far an account may go and how far it has gone, in micro-dollars.
type Standing struct {
	Tier int
	// CreditsMicros are free and purchased credits.
	CreditsMicros int64
	// ExposureMicros is what is accrued and what unpaid invoices are open for (R8).
	ExposureMicros int64
	LimitMicros    int64
	Admitted       bool
}

// Admission is whether an account may use anything, and if not the reason:
// UsageLimitReached, UsageLimitedTier or UsageSuspended.
type Admission struct {
	Admitted bool
	Reason   string
}
