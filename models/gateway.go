package models

import "time"

// GatewayOverview is how one gateway stands as a whole.
type GatewayOverview struct {
	Gateway string
	// SyncedAt is when it was last filled by a full sync; FillingSince and Filled say
	// how long the one under way has run and how many accounts it has brought.
	SyncedAt     *time.Time
	FillingSince *time.Time
	Filled       int64
	// Waiting is how many accounts' newest entitlement it lacks, and WaitingSince for
	// how long the first of them has waited.
	Waiting      int64
	WaitingSince *time.Time
	HeardAt      *time.Time
	LastError    *string
	FailedAt     *time.Time
}
