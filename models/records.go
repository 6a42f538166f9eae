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

// Alert is something that a person must look at (I6). It stays open until it
// is resolved, by a person or by the trouble's own end.
type Alert struct {
	ID   int64
	Kind AlertKind
	// Subject names what it is about, such as "purchase/<id>".
	Subject    string
	AccountID  *string
	Detail     string
	RaisedAt   time.Time
	ResolvedAt *time.Time
}

// AlertKind says what sort of trouble an alert is.
type AlertKind string

// The kinds of alerts.
const (
	// AlertPurchaseOverdue: approved over 15 minutes ago and not complete (R18).
	AlertPurchaseOverdue AlertKind = "purchase_overdue"
	// AlertBankUnknown: the bank's answer has been unknown for over 15 minutes (R20).
	AlertBankUnknown AlertKind = "bank_unknown"
	// AlertChargeRefused: Stripe refused the request itself; it needs a fix, not a retry (F8).
	AlertChargeRefused AlertKind = "charge_refused"
	// AlertCaptureInReview: Stripe holds money for a purchase that ended without credit (I3).
	AlertCaptureInReview AlertKind = "capture_in_review"
	// AlertRechargeRunaway: more is charged by itself than should be possible, or than is usual (R26).
	AlertRechargeRunaway AlertKind = "recharge_runaway"
	// AlertWebhookVersion: Stripe sends events of another API version (F17).
	AlertWebhookVersion AlertKind = "webhook_version"
)

// Role is what a key's holder may do (R52).
type Role string

// The roles.
const (
	RoleCheckout Role = "checkout"
	RoleUsage    Role = "usage"
	RoleGateway  Role = "gateway"
	RoleSupport  Role = "support"
	RoleFinance  Role = "finance"
	RoleAdmin    Role = "admin"
)

// Roles lists every role.
func Roles() []Role {
	return []Role{RoleCheckout, RoleUsage, RoleGateway, RoleSupport, RoleFinance, RoleAdmin}
}

// RoleKey is a caller's key. The secret is shown once, when it is made, and
// only its SHA-256 is kept: it is 256 random bits, so a slow hash adds nothing.
type RoleKey struct {
	ID         string
	Role       Role
	Name       string
	SecretHash []byte
	CreatedAt  time.Time
	RevokedAt  *time.Time
}

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

// GatewayState is what one gateway is known to hold of one account.
type GatewayState struct {
	Gateway string
	// Version is the newest that it acknowledged; 0 is none.
	Version        int64
	AcknowledgedAt *time.Time
	LastError      *string
	FailedAt       *time.Time
}

// EntitlementState is the row behind an account's Entitlement.
type EntitlementState struct {
	AccountID string
	Version   int64
	Tier      int
	Suspended bool
	// Blocked: the account has used up its credits and reached its limit (R8). The
	// Limited tier is not admitted either, but that is not what blocks it.
	Blocked bool
	// RechargingUntil: credits are being bought by themselves, and may be expected until then (R55).
	RechargingUntil *time.Time
	ChangedAt       time.Time
}
