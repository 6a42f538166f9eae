package letters

import (
	"strconv"

	"github.com/paystage/paystage/billing"
)

// TierReached says which tier the account has now, and what that opens (R12).
func TierReached(to Reader, tier int) Letter {
	name, limits := billing.TierName(tier), billing.RateLimitsFor(tier)
	return write(to, page{
		subject: "You have reached " + name,
		paragraphs: []string{
			"Your account has reached " + name + ". Its limits, and the models that need it, are open at our API. You don't need to do anything; the API keys that you have go on working.",
			"These are the limits of " + name + ". What support has agreed with you beyond them stays as it is.",
		},
		facts: []fact{
			{"Language models", perMinute(limits.LLM)}, {"Embeddings", perMinute(limits.Embeddings)}, {"Re-rank", perMinute(limits.Rerank)},
		},
	})
}

// perMinute writes a rate, with commas at the thousands.
func perMinute(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits + " requests a minute"
}
