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

// EntitlementState is the row behind an account's Entitlement, with what other
// tables add to it.
type EntitlementState struct {
	AccountID string
	Version   int64
	Tier      int
	Suspended bool
	// Blocked and RechargingUntil are as in Entitlement (R8, R55).
	Blocked         bool
	RechargingUntil *time.Time
	ChangedAt       time.Time
	// WaitingSince is when some gateway began to lack a version; nil when all are
	// known to hold the newest.
	WaitingSince *time.Time
	Keys         []KeyHash
	Exceptions   []Exception
}

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
