package gateway

import (
	"net/http"
	"time"

	"github.com/paystage/paystage/models"
)

// listedModel is a model as an account sees it (R14).
type listedModel struct {
	ID          string       `json:"id"`
	Object      string       `json:"object"`
	Class       models.Class `json:"class"`
	MinimumTier int          `json:"minimum_tier"`
	// RPM is how many requests per minute the account may make of it, or of its
	// class as a whole.
	RPM       int64 `json:"requests_per_minute"`
	Available bool  `json:"available"`
	// Unavailable says why it is not: what a request to it would be answered now.
	Unavailable *refusal `json:"unavailable,omitempty"`
}

// ListModels answers GET /v1/models: every model of the catalogue, available to the
// key's account or not, and why. It counts to no rate limit.
func (a *Admission) ListModels(w http.ResponseWriter, r *http.Request) {
	now := a.Now()
	held, d := a.admitAccount(BearerKey(r), now)
	if held == nil {
		a.Refuse(w, d)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Object string        `json:"object"`
		Data   []listedModel `json:"data"`
	}{"list", held.list(a.Catalogue(), d, now)})
}

// list is all models as the account sees them; standing is the decision on the
// account itself.
func (h *holding) list(c *Catalogue, standing Decision, now time.Time) []listedModel {
	all := make([]listedModel, len(c.Models))
	for i := range c.Models {
		m := &c.Models[i]
		d := standing
		if d.Admitted() {
			d = h.access(m, now, d)
		}
		rpm, _ := h.limit(m, now)
		all[i] = listedModel{ID: m.ID, Object: "model", Class: m.Class, MinimumTier: m.MinimumTier, RPM: rpm, Available: d.Admitted()}
		if !d.Admitted() {
			why := c.explain(d)
			all[i].Unavailable = &why
		}
	}
	return all
}
