package models

import "time"

// TierPayment is a payment that counts to an account's tier (R13).
type TierPayment struct {
	TransactionID int64
	// Key is the ledger's, such as purchase/<id>.
	Key          string
	Kind         string
	AmountMicros int64
	OccurredAt   time.Time
	// LifetimeMicros is the lifetime spend with it, Tier the tier that this reached,
	// and Moved whether the tier was another before.
	LifetimeMicros int64
	Tier           int
	Moved          bool
}
