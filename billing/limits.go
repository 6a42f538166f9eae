package billing

import "github.com/paystage/paystage/money"

// LimitUnder is how far the exposure of an account of a tier may go (R7): what
// support has set for tier 5, else what the tier allows, and the customer's own limit
// where that is lower. A limit that is nil has not been set.
func LimitUnder(tier int, support, customer *int64) money.USD {
	limit := BalanceLimit(tier)
	if tier <= 0 {
		return limit
	}
	if support != nil && clamp(tier) == len(tiers)-1 {
		limit = money.USD(*support)
	}
	if customer != nil {
		limit = min(limit, money.USD(*customer))
	}
	return limit
}
