package gateway

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paystage/paystage/models"
)

// holding is an entitlement as it lies in memory. A gateway may hold a million, so
// it is two pieces of memory and no more, and what many have in common lies there
// once. A holding never changes.
type holding struct {
	// text is the account's id, and behind it the keys: of each the id and the
	// SHA-256, keyBytes in all.
	text string
	plan *plan
	// extra is nil for the many that have none of it.
	extra     *extra
	version   int64
	changedAt int64 // in microseconds since 1970
	spend     int64 // lifetime, as of the version, in micro-dollars
	idLength  uint16
	suspended bool
	blocked   bool
}

// extra is what few accounts have.
type extra struct {
	RechargingUntil *time.Time         `json:"recharging_until,omitempty"`
	Exceptions      []models.Exception `json:"exceptions,omitempty"`
}

// clone shares nothing with x.
func (x *extra) clone() *extra {
	c := &extra{RechargingUntil: cloned(x.RechargingUntil), Exceptions: slices.Clone(x.Exceptions)}
	for i := range c.Exceptions {
		e := &c.Exceptions[i]
		e.RPM, e.Until = cloned(e.RPM), cloned(e.Until)
	}
	return c
}

func cloned[T any](value *T) *T {
	if value == nil {
		return nil
	}
	return new(*value)
}

// plan is what all the accounts of a tier share.
type plan struct {
	Tier   models.Tier       `json:"tier"`
	Limits models.RateLimits `json:"limits"`
	Models []string          `json:"models"`
}

// maxPlans bounds the table of shared plans. Beyond it the table begins anew, and
// plans are shared less, which costs memory and nothing else.
const maxPlans = 4096

// plans finds the plan that an entitlement shares with others.
type plans struct {
	// last is the one that was found last, and most often is the next as well.
	last atomic.Pointer[plan]
	mu   sync.Mutex
	all  map[string]*plan
}

func (p *plans) shared(of plan) *plan {
	if last := p.last.Load(); last != nil && last.equal(of) {
		return last
	}
	found := p.find(of)
	p.last.Store(found)
	return found
}

func (p *plan) equal(other plan) bool {
	return p.Tier == other.Tier && p.Limits == other.Limits && (p.Models == nil) == (other.Models == nil) && slices.Equal(p.Models, other.Models)
}

func (p *plans) find(of plan) *plan {
	key := fmt.Sprint(of.Tier.Number, "\x00", of.Tier.Name, of.Limits, of.Models == nil, "\x00", strings.Join(of.Models, "\x00"))
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.all[key]; found != nil {
		return found
	}
	if len(p.all) >= maxPlans || p.all == nil {
		p.all = map[string]*plan{}
	}
	of.Models = slices.Clone(of.Models)
	p.all[key] = &of
	return &of
}

// hold brings an entitlement that checkEntitlement let through into its form in
// memory, which shares nothing with e.
func (p *plans) hold(e models.Entitlement) *holding {
	h := &holding{
		plan:    p.shared(plan{Tier: e.Tier, Limits: e.Limits, Models: e.Models}),
		version: e.Version, changedAt: e.ChangedAt.UnixMicro(), spend: e.LifetimeSpendMicros, idLength: uint16(len(e.AccountID)),
		suspended: e.Suspended, blocked: e.Blocked,
	}
	if e.RechargingUntil != nil || len(e.Exceptions) > 0 {
		h.extra = (&extra{RechargingUntil: e.RechargingUntil, Exceptions: e.Exceptions}).clone()
	}
	text := make([]byte, 0, len(e.AccountID)+len(e.Keys)*keyBytes)
	text = append(text, e.AccountID...)
	for _, key := range e.Keys {
		text, _ = hex.AppendDecode(text, []byte(key.ID)) // checked
		text, _ = hex.AppendDecode(text, []byte(key.SHA256))
	}
	h.text = string(text)
	return h
}

// account is the account's id.
func (h *holding) account() string { return h.text[:h.idLength] }

// entitlement is the holding as it was pushed, to the microsecond.
func (h *holding) entitlement() models.Entitlement {
	e := models.Entitlement{
		AccountID: h.account(), Version: h.version, Tier: h.plan.Tier, Limits: h.plan.Limits,
		Models: slices.Clone(h.plan.Models), Suspended: h.suspended, Blocked: h.blocked,
		LifetimeSpendMicros: h.spend, ChangedAt: time.UnixMicro(h.changedAt).UTC(),
	}
	if h.extra != nil {
		rest := h.extra.clone()
		e.RechargingUntil, e.Exceptions = rest.RechargingUntil, rest.Exceptions
	}
	for keys := h.text[h.idLength:]; keys != ""; keys = keys[keyBytes:] {
		e.Keys = append(e.Keys, models.KeyHash{
			ID:     hex.EncodeToString([]byte(keys[:keyIDBytes])),
			SHA256: hex.EncodeToString([]byte(keys[keyIDBytes:keyBytes])),
		})
	}
	return e
}

// recharging says for how much longer credits are being bought for the account.
func (h *holding) recharging(now time.Time) time.Duration {
	if h.extra == nil || h.extra.RechargingUntil == nil {
		return 0
	}
	return max(0, h.extra.RechargingUntil.Sub(now))
}

// limit is the requests per minute of a request for a model. whole says that they
// are those of its class, whatever the model.
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
	return h.plan.Limits.Of(model.Class), true
}

// exception is the exception of a model or of a class that is in force; nil if
// there is none.
func (h *holding) exception(model string, class models.Class, now time.Time) *models.Exception {
	if h.extra == nil {
		return nil
	}
	for i := range h.extra.Exceptions {
		e := &h.extra.Exceptions[i]
		if e.Model == model && (model != "" || e.Class == class) && (e.Until == nil || now.Before(*e.Until)) {
			return e
		}
	}
	return nil
}
