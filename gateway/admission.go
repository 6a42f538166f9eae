package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/paystage/paystage/models"
)

// Codes of the refusals of a request, beside those of pushes. They never change.
const (
	CodeInvalidKey       = "invalid_key"
	CodeRestricted       = "restricted"
	CodeInsufficientTier = "insufficient_tier"
	CodeLimitReached     = "limit_reached"
	CodeRecharging       = "recharge_in_flight"
	CodeModelNotFound    = "model_not_found"
	CodeRateLimited      = "rate_limited"
	CodeLimiterDown      = "rate_limiter_unavailable"
	CodeBodyInvalid      = "body_invalid"
)

// rechargeRetry is how soon a caller may come back while a recharge is in flight.
const rechargeRetry = 5 * time.Second

// Admission decides on requests to models. It is safe for concurrent use.
type Admission struct {
	Store *Store
	// Catalogue gives the newest catalogue; it is asked at each request.
	Catalogue func() *Catalogue
	Limiter   Limiter
	Now       func() time.Time
	Log       *slog.Logger
}

// Decision is what becomes of a request.
//
// The checks are made in this order, and the first that fails is the answer: what
// is wrong for good before what passes by itself, the account before the model.
//
//  1. 401 invalid_key: the key is missing, unknown or revoked.
//  2. 403 restricted: the account is suspended.
//  3. 403 insufficient_tier: the account is in the Limited tier.
//  4. The account is blocked: 503 recharge_in_flight while credits are being
//     bought for it, else 402 limit_reached.
//  5. 404 model_not_found: the catalogue lacks the model.
//  6. 403 restricted: an exception closes the model to the account, or the model is
//     restricted and no exception opens it.
//  7. 403 insufficient_tier: the model needs a higher tier, and no exception opens it.
//  8. 503 rate_limiter_unavailable: nobody can count, and the limiter fails closed.
//  9. 429 rate_limited.
type Decision struct {
	// Status is 200 for a request that is admitted.
	Status int
	Code   string
	// Account and Version say whose request it is and by which entitlement it was
	// decided; Account is "" where the key is unknown.
	Account string
	Version int64
	// Held is the account's tier, Needed the number of the one that is missing.
	Held   models.Tier
	Needed int
	// Spend is what the account had paid, in micro-dollars, when its entitlement came
	// to be: it has paid no less since.
	Spend int64
	Model string
	// Suspended says that Restricted is about the account and not about the model.
	Suspended bool
	// Rate is the limiter's answer; its Limit is 0 where nothing was counted.
	Rate Taken
	// RetryAfter is when to come back; 0 where that would not help.
	RetryAfter time.Duration
}

// Admitted says whether the request goes on.
func (d Decision) Admitted() bool { return d.Status == http.StatusOK }

// Admit decides on a request to a model with an API key, and counts it if it is
// admitted. It allocates nothing.
func (a *Admission) Admit(ctx context.Context, key, model string) Decision {
	now := a.Now()
	held, d := a.admitAccount(key, now)
	if !d.Admitted() {
		return d
	}
	return a.admitModel(ctx, held, d, model, now)
}

// admitAccount makes the checks that are about the account alone.
func (a *Admission) admitAccount(key string, now time.Time) (*holding, Decision) {
	held := a.Store.find(key)
	if held == nil {
		return nil, Decision{Status: http.StatusUnauthorized, Code: CodeInvalidKey}
	}
	return held, held.standing(now)
}

// standing is the checks 2 to 4.
func (h *holding) standing(now time.Time) Decision {
	d := Decision{Status: http.StatusOK, Account: h.account(), Version: h.version, Held: h.plan.Tier, Spend: h.spend}
	switch {
	case h.suspended:
		d.Suspended = true
		return d.refuse(http.StatusForbidden, CodeRestricted)
	case h.plan.Tier.Number < 1:
		d.Needed = 1
		return d.refuse(http.StatusForbidden, CodeInsufficientTier)
	case h.blocked && h.recharging(now) > 0:
		d.RetryAfter = min(h.recharging(now), rechargeRetry)
		return d.refuse(http.StatusServiceUnavailable, CodeRecharging)
	case h.blocked:
		return d.refuse(http.StatusPaymentRequired, CodeLimitReached)
	}
	return d
}

// access is the checks 6 and 7.
func (h *holding) access(m *Model, now time.Time, d Decision) Decision {
	d.Model = m.ID
	access := models.AccessByTier
	if x := h.exception(m.ID, "", now); x != nil {
		access = x.Access
	}
	switch {
	case access == models.AccessAllow:
		return d
	case access == models.AccessDeny || m.Restricted:
		return d.refuse(http.StatusForbidden, CodeRestricted)
	case h.plan.Tier.Number < m.MinimumTier:
		d.Needed = m.MinimumTier
		return d.refuse(http.StatusForbidden, CodeInsufficientTier)
	}
	return d
}

// admitModel makes the checks 5 to 9 for an account that stands.
func (a *Admission) admitModel(ctx context.Context, h *holding, d Decision, model string, now time.Time) Decision {
	m := a.Catalogue().byID[model]
	if m == nil {
		d.Model = model
		return d.refuse(http.StatusNotFound, CodeModelNotFound)
	}
	if d = h.access(m, now, d); !d.Admitted() {
		return d
	}
	rpm, whole := h.limit(m, now)
	bucket := Bucket{Account: h.account(), Class: m.Class}
	if !whole {
		bucket.Model = m.ID
	}
	var err error
	if d.Rate, err = a.Limiter.Take(ctx, bucket, rpm, now); err != nil {
		a.Log.Error("a request was not counted", "error", err)
		d.RetryAfter = time.Second
		return d.refuse(http.StatusServiceUnavailable, CodeLimiterDown)
	}
	if !d.Rate.OK {
		d.RetryAfter = d.Rate.RetryAfter
		return d.refuse(http.StatusTooManyRequests, CodeRateLimited)
	}
	return d
}

func (d Decision) refuse(status int, code string) Decision {
	d.Status, d.Code = status, code
	return d
}
