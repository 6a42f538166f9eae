package billing

import (
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

// tier is one row of the table of R12 and R7.
type tier struct {
	name string
	// from is the lifetime spend at which the tier begins.
	from money.USD
	// limits are requests per minute.
	limits models.RateLimits
	// balanceLimit is how far below zero the balance may go.
	balanceLimit money.USD
}

// tiers is the table of R12, indexed by tier number and rising in from. Nothing
// writes to it.
var tiers = [...]tier{
	{"Limited", 0, models.RateLimits{}, 0},
	{"Build Tier 1", 5 * money.Dollar, models.RateLimits{LLM: 600, Embeddings: 3_000, Rerank: 500_000}, 100 * money.Dollar},
	{"Build Tier 2", 50 * money.Dollar, models.RateLimits{LLM: 1_800, Embeddings: 5_000, Rerank: 1_500_000}, 100 * money.Dollar},
	{"Build Tier 3", 100 * money.Dollar, models.RateLimits{LLM: 3_000, Embeddings: 5_000, Rerank: 2_000_000}, 100 * money.Dollar},
	{"Build Tier 4", 250 * money.Dollar, models.RateLimits{LLM: 4_500, Embeddings: 10_000, Rerank: 3_000_000}, 100 * money.Dollar},
	{"Build Tier 5", 1_000 * money.Dollar, models.RateLimits{LLM: 6_000, Embeddings: 10_000, Rerank: 5_000_000}, 100 * money.Dollar},
}

// TierFor gives the tier that a lifetime spend has reached (R12). Lifetime
// spend is money paid less what was refunded or lost in a dispute (R13); should
// it ever be negative, the tier is Limited.
func TierFor(lifetime money.USD) models.Tier {
	reached := 0
	for number, t := range tiers {
		if lifetime >= t.from {
			reached = number
		}
	}
	return models.Tier{Number: reached, Name: tiers[reached].name}
}

// TierRules gives the table as statements take it as an argument.
func TierRules() models.TierRules {
	var rules models.TierRules
	for number, t := range tiers {
		if number > 0 {
			rules.Thresholds = append(rules.Thresholds, int64(t.from))
		}
		rules.Limits = append(rules.Limits, int64(t.balanceLimit))
	}
	return rules
}

// NextAt gives the lifetime spend at which the next tier begins, or false when
// there is none above (R14 and the billing page tell how far it is).
func NextAt(lifetime money.USD) (money.USD, bool) {
	for _, t := range tiers[1:] {
		if lifetime < t.from {
			return t.from, true
		}
	}
	return 0, false
}

// TierName is the name of a tier by number, as the customer reads it.
func TierName(number int) string { return row(number).name }

// RateLimitsFor gives a tier's requests per minute (R12), all zero for Limited.
func RateLimitsFor(number int) models.RateLimits { return row(number).limits }

// BalanceLimit is how far below zero the balance of an account of this tier may
// go before use is blocked, unless support or the customer set another (R7).
func BalanceLimit(number int) money.USD { return row(number).balanceLimit }

// EntitlementFor puts together what the gateways are told about an account
// (R22). The caller vouches for the state's version: it only grows (I10).
func EntitlementFor(state models.EntitlementState) models.Entitlement {
	return models.Entitlement{
		AccountID: state.AccountID,
		Version:   state.Version,
		Tier:      models.Tier{Number: clamp(state.Tier), Name: TierName(state.Tier)},
		Limits:    RateLimitsFor(state.Tier),
		Models:    ModelsFor(state.Tier),
		Suspended: state.Suspended,

		Blocked: state.Blocked, RechargingUntil: state.RechargingUntil,
		Keys: state.Keys, Exceptions: state.Exceptions,
		LifetimeSpendMicros: state.SpendMicros,
		ChangedAt:           state.ChangedAt.UTC(),
	}
}

func row(number int) tier { return tiers[clamp(number)] }

// clamp keeps a tier number inside the table: plans above Build Tier 5 keep
// tier 5 access (R12), and whatever lies below Limited is Limited.
func clamp(number int) int { return max(0, min(number, len(tiers)-1)) }
