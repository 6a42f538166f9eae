package models

import "time"

// Invoice is a final record of what was sold; a purchase's is issued paid (R17).
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
}
