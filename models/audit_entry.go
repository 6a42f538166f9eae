package models

import "time"

// AuditEntry says who did what to which account, when and why (R52).
type AuditEntry struct {
	ID        int64
	At        time.Time
	Actor     string
	Role      Role
	Action    string
	AccountID *string
	Subject   string
	Reason    string
	Detail    []byte
}
