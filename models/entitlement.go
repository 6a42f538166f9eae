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
	// Blocked: credits and limit are used up. All use is blocked until credits are
	// bought or the limit is raised (R8).
	Blocked bool `json:"blocked"`
	// RechargingUntil: credits are on their way, so a blocked account is answered to
	// come back, until then at the latest (R55).
	RechargingUntil *time.Time `json:"recharging_until,omitempty"`
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
