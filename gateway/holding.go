package gateway

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paystage/paystage/models"
)

// holding is an entitlement as it lies in memory. A gateway may hold a million, so
// what many of them have in common lies there once. A holding never changes.
type holding struct {
	account string
	version int64
	// changedAt and rechargingUntil are in microseconds since 1970; no recharge is 0.
	changedAt       int64
	rechargingUntil int64
	plan            *plan
	keys            []storedKey
	exceptions      []models.Exception
	suspended       bool
	blocked         bool
}

// storedKey is an API key by its id and the SHA-256 of its text.
type storedKey struct {
	id   string
	hash [32]byte
}

// plan is what all the accounts of a tier share.
type plan struct {
	tier   models.Tier
	limits models.RateLimits
	models []string
}

// maxPlans bounds the table of shared plans. Beyond it the table begins anew, and
// plans are shared less, which costs memory and nothing else.
const maxPlans = 4096

// plans finds the plan that an entitlement shares with others.
type plans struct {
	mu  sync.Mutex
	all map[string]*plan
}

func (p *plans) shared(e models.Entitlement) *plan {
	key := fmt.Sprint(e.Tier.Number, "\x00", e.Tier.Name, e.Limits, e.Models == nil, "\x00", strings.Join(e.Models, "\x00"))
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.all[key]; found != nil {
		return found
	}
	if len(p.all) >= maxPlans || p.all == nil {
		p.all = map[string]*plan{}
	}
	fresh := &plan{tier: e.Tier, limits: e.Limits, models: slices.Clone(e.Models)}
	p.all[key] = fresh
	return fresh
}

// hold brings an entitlement that checkEntitlement let through into its form in
// memory, which shares nothing with e.
func (p *plans) hold(e models.Entitlement) (*holding, error) {
	h := &holding{
		account: e.AccountID, version: e.Version, plan: p.shared(e), suspended: e.Suspended, blocked: e.Blocked,
		changedAt: e.ChangedAt.UnixMicro(), exceptions: slices.Clone(e.Exceptions),
	}
	if e.RechargingUntil != nil {
		h.rechargingUntil = e.RechargingUntil.UnixMicro()
	}
	if len(e.Keys) > 0 {
		h.keys = make([]storedKey, len(e.Keys))
	}
	for i, key := range e.Keys {
		h.keys[i].id = key.ID
		if n, err := hex.Decode(h.keys[i].hash[:], []byte(key.SHA256)); err != nil || n != len(h.keys[i].hash) {
			return nil, fmt.Errorf("key %q has no SHA-256", key.ID)
		}
	}
	return h, nil
}

// entitlement is the holding as it was pushed, to the microsecond.
func (h *holding) entitlement() models.Entitlement {
	e := models.Entitlement{
		AccountID: h.account, Version: h.version, Tier: h.plan.tier, Limits: h.plan.limits,
		Models: slices.Clone(h.plan.models), Suspended: h.suspended, Blocked: h.blocked,
		Exceptions: slices.Clone(h.exceptions), ChangedAt: time.UnixMicro(h.changedAt).UTC(),
	}
	if h.rechargingUntil != 0 {
		until := time.UnixMicro(h.rechargingUntil).UTC()
		e.RechargingUntil = &until
	}
	for _, key := range h.keys {
		e.Keys = append(e.Keys, models.KeyHash{ID: key.id, SHA256: hex.EncodeToString(key.hash[:])})
	}
	return e
}

// limit is the requests per minute of a request for a model, or of its class.
// whole says that they are those of the class, whatever the model.
func (h *holding) limit(model *Model, now time.Time) (rpm int64, whole bool) {
	if e := h.exception(model.ID, "", now); e != nil && e.RPM != nil {
		return *e.RPM, false
	}
	if model.RPM != nil {
		return *model.RPM, false
	}
	if e := h.exception("", model.Class, now); e != nil && e.RPM != nil {
		return *e.RPM, true
	}
	return h.plan.limits.Of(model.Class), true
}

// exception is the exception of a model or of a class that is in force; nil if
// there is none.
func (h *holding) exception(model string, class models.Class, now time.Time) *models.Exception {
	for i := range h.exceptions {
		e := &h.exceptions[i]
		if e.Model == model && (model != "" || e.Class == class) && (e.Until == nil || now.Before(*e.Until)) {
			return e
		}
	}
	return nil
}
