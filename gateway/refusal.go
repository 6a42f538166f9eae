package gateway

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/paystage/paystage/money"
)

// refusal is the problem that answers a request which is not admitted. The members
// beside those of every problem are there where they say something.
type refusal struct {
	problem
	Model string `json:"model,omitempty"`
	// Reason tells a suspended account from a closed model.
	Reason string `json:"reason,omitempty"`
	// NeededTier, HeldTier and NextTier are those of insufficient_tier (R14).
	NeededTier *TierStep `json:"needed_tier,omitempty"`
	HeldTier   *TierStep `json:"held_tier,omitempty"`
	NextTier   *TierStep `json:"next_tier,omitempty"`
	// MissingMicros is how much more must be paid for the tier needed, NextMissingMicros
	// for the next one: at most, since what was paid after the entitlement came to be
	// is not known here.
	MissingMicros     int64 `json:"missing_micros,omitempty"`
	NextMissingMicros int64 `json:"next_missing_micros,omitempty"`
}

// Refuse answers a request that was not admitted.
func (a *Admission) Refuse(w http.ResponseWriter, d Decision) {
	if d.Rate.Limit > 0 {
		d.setHeaders(w.Header(), nil)
	}
	if d.RetryAfter > 0 {
		w.Header().Set(headerRetry, strconv.FormatInt(wholeSeconds(d.RetryAfter), 10))
	}
	if d.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="paystage"`)
	}
	writeAs(w, "application/problem+json", d.Status, a.Catalogue().explain(d))
}

// explain says why a request is refused and what would help.
func (c *Catalogue) explain(d Decision) refusal {
	r := refusal{Model: d.Model, problem: problem{
		Type: "about:blank", Title: http.StatusText(d.Status), Status: d.Status, Code: d.Code, Detail: c.detail(d),
	}}
	switch d.Code {
	case CodeInsufficientTier:
		needed, held := c.step(d.Needed), TierStep{Number: d.Held.Number, Name: d.Held.Name, FromMicros: c.step(d.Held.Number).FromMicros}
		next := c.step(d.Held.Number + 1)
		r.NeededTier, r.HeldTier, r.NextTier = &needed, &held, &next
		r.MissingMicros, r.NextMissingMicros = c.missing(d, d.Needed), c.missing(d, d.Held.Number+1)
	case CodeRestricted:
		r.Reason = "model"
		if d.Suspended {
			r.Reason = "suspended"
		}
	}
	return r
}

// detail is a sentence or two for a person.
func (c *Catalogue) detail(d Decision) string {
	switch d.Code {
	case CodeInvalidKey:
		return "Send a valid API key as `Authorization: Bearer KEY`. This one is missing, unknown or revoked."
	case CodeInsufficientTier:
		return c.tierDetail(d)
	case CodeRestricted:
		if d.Suspended {
			return "The account is suspended. Pay what is past due on the billing page, or ask support."
		}
		return fmt.Sprintf("The model %s is not open to this account. Ask support for access.", d.Model)
	case CodeLimitReached:
		return "The account has no credits left and has reached its limit. Buy credits, or raise the limit, on the billing page."
	case CodeRecharging:
		return "The account has reached its limit and credits are being bought for it. Try again in a moment."
	case CodeModelNotFound:
		return "There is no such model. GET /v1/models lists them all."
	case CodeRateLimited:
		return fmt.Sprintf("The account may make %d such requests per minute. Try again when Retry-After says.", d.Rate.Limit)
	case CodeLimiterDown:
		return "Requests cannot be counted at the moment. Try again shortly."
	}
	return ""
}

// missing is how much more the account must pay for a tier, at most. Who holds a tier
// has paid what it begins at, also where an older entitlement does not say what.
func (c *Catalogue) missing(d Decision, tier int) int64 {
	return max(0, c.step(tier).FromMicros-max(d.Spend, c.step(d.Held.Number).FromMicros))
}

// tierDetail names the tier needed, the one held, and how far the next one is (R14).
func (c *Catalogue) tierDetail(d Decision) string {
	what := "Using the API"
	if d.Model != "" {
		what = "The model " + d.Model
	}
	needed, next := c.step(d.Needed), c.step(d.Held.Number+1)
	text := fmt.Sprintf("%s needs %s, from %s of lifetime spend%s. This account is in the tier %s",
		what, needed.Name, money.USD(needed.FromMicros), more(c.missing(d, needed.Number)), d.Held.Name)
	if next.Number != needed.Number {
		text += fmt.Sprintf("; the next one, %s, begins at %s%s", next.Name, money.USD(next.FromMicros), more(c.missing(d, next.Number)))
	}
	return text + ". Credit purchases and paid invoices count."
}

// more says how much is missing, where something is.
func more(micros int64) string {
	if micros == 0 {
		return ""
	}
	return fmt.Sprintf(" (at most %s more)", money.USD(micros))
}
