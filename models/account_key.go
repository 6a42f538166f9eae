package models

import "time"

// AccountKey is an API key of an account as it is kept: without its text.
type AccountKey struct {
	ID         string
	AccountID  string
	Name       string
	SecretHash []byte
	CreatedAt  time.Time
	RevokedAt  *time.Time
}

// AccountException is an exception with its history (R15).
type AccountException struct {
	ID        string
	AccountID string
	Model     string
	Class     Class
	Access    Access
	RPM       *int64
	Until     *time.Time
	Reason    string
	CreatedAt time.Time
	EndedAt   *time.Time
}
