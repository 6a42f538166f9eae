package models

import "time"

// Entitlement is what an API gateway needs to know of one account: it is pushed
// to every gateway (R22) and is the wire format of PUT /entitlements/{account}.
//
// Version only grows. A gateway that holds a higher version keeps it and says
// so (I10). Readers ignore fields they do not know.
type Entitlement struct {
	AccountID string `json:"account_id"`
	// Version orders the entitlements of one account; the first is 1.
	Version int64 `json:"version"`
	Tier    Tier  `json:"tier"`
	// Limits are requests per minute by class of request.
	Limits RateLimits `json:"limits"`
	// Models lists the ids of the models with a minimum tier that this account
	// may use (R14). Models without a minimum tier are not listed.
	Models []string `json:"models"`
	// Suspended blocks all use, whatever the tier.
	Suspended bool `json:"suspended"`
	// Blocked says that the account has no credits left and owes as much as it may
	// (R8): use is refused until it buys credits or its limit is raised.
	Blocked bool `json:"blocked"`
	// RechargingUntil bounds how long a blocked account is told to come back in a
	// moment, because credits are being bought for it (R55).
	RechargingUntil *time.Time `json:"recharging_until,omitempty"`
	// Keys are the account's API keys that are not revoked.
	Keys []KeyHash `json:"keys,omitempty"`
	// Exceptions are what support has set for this account alone (R15).
	Exceptions []Exception `json:"exceptions,omitempty"`
	// LifetimeSpendMicros is what the account had paid when this version came to be
	// (R13). It has paid no less since, so what it lacks for a tier is at most what it
	// lacked then (R14).
	LifetimeSpendMicros int64 `json:"lifetime_spend_micros"`
	// ChangedAt is when this version came to be.
	ChangedAt time.Time `json:"changed_at"`
}

// Tier is a Build Tier by number and name; 0 is the Limited tier.
type Tier struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
}

// RateLimits are requests per minute.
type RateLimits struct {
	LLM        int64 `json:"llm_rpm"`
	Embeddings int64 `json:"embeddings_rpm"`
	Rerank     int64 `json:"rerank_rpm"`
}

// TierRules are what the database needs of the rules of tiers, in micro-dollars.
type TierRules struct {
	// Thresholds are the lifetime spend at which tiers 1, 2, ... begin, rising.
	Thresholds []int64
	// Limits are how far the exposure of tiers 0, 1, 2, ... may go (R7).
	Limits []int64
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
	// SpendMicros is the lifetime spend as of the version.
	SpendMicros int64
	ChangedAt   time.Time
	// WaitingSince is when some gateway began to lack a version; nil when all are
	// known to hold the newest.
	WaitingSince *time.Time
	Keys         []KeyHash
	Exceptions   []Exception
}

// KeyHash is an account's API key as a gateway knows it: enough to recognize the
// key, too little to use it.
type KeyHash struct {
	ID string `json:"id"`
	// SHA256 is the hexadecimal SHA-256 of the key's whole text.
	SHA256 string `json:"sha256"`
}

// Access says whether a model is open to an account whatever its tier.
type Access string

// The accesses. AccessByTier leaves it to the model's own rules.
const (
	AccessByTier Access = ""
	AccessAllow  Access = "allow"
	AccessDeny   Access = "deny"
)

// Exception changes for one account what the tier and the model say (R15). It is
// about one model or, if Model is "", about a whole class of requests.
type Exception struct {
	Model string `json:"model,omitempty"`
	Class Class  `json:"class,omitempty"`
	// Access opens or closes the model.
	Access Access `json:"access,omitempty"`
	// RPM is the requests per minute; nil leaves them as they are.
	RPM *int64 `json:"rpm,omitempty"`
	// Until ends the exception; nil is without end.
	Until *time.Time `json:"until,omitempty"`
}

// Class is a class of requests; each has a rate limit of its own (R12).
type Class string

// The classes.
const (
	ClassLLM        Class = "llm"
	ClassEmbeddings Class = "embeddings"
	ClassRerank     Class = "rerank"
)

// Classes lists every class.
func Classes() []Class { return []Class{ClassLLM, ClassEmbeddings, ClassRerank} }

// Of gives the requests per minute of a class; zero for one that there is not.
func (l RateLimits) Of(class Class) int64 {
	switch class {
	case ClassLLM:
		return l.LLM
	case ClassEmbeddings:
		return l.Embeddings
	case ClassRerank:
		return l.Rerank
	}
	return 0
}
