package sim

import (
	"net/http"
	"slices"
)

// list is Stripe's page of a list.
type list[T any] struct {
	Object  string `json:"object"`
	Data    []T    `json:"data"`
	HasMore bool   `json:"has_more"`
	URL     string `json:"url"`
}

const (
	defaultLimit = 10
	maxLimit     = 100
)

// span bounds creation times, both ends included, in seconds.
type span struct{ from, to int64 }

func (s span) contains(at int64) bool { return s.from <= at && at <= s.to }

// page is what a caller asks of a list.
type page struct {
	limit         int
	after, before string
	created       span
}

func (c *call) readPage() (page, *refusal) {
	p := page{after: c.params.get("starting_after"), before: c.params.get("ending_before")}
	limit, r := c.params.integer("limit", defaultLimit)
	if r != nil {
		return p, r
	}
	if limit < 1 || limit > maxLimit {
		return p, invalidParam("parameter_invalid_integer", "limit", "This value must be between 1 and %d.", maxLimit)
	}
	p.limit = int(limit)
	if p.after != "" && p.before != "" {
		return p, invalidParam("", "starting_after", "You may only specify one of these parameters: starting_after, ending_before.")
	}
	p.created, r = c.readCreated()
	return p, r
}

func (c *call) readCreated() (span, *refusal) {
	const forever = int64(1) << 60
	s := span{from: -forever, to: forever}
	narrow := []struct {
		name string
		set  func(at int64)
	}{
		{"created", func(at int64) { s.from, s.to = at, at }},
		{"created[gte]", func(at int64) { s.from = max(s.from, at) }},
		{"created[gt]", func(at int64) { s.from = max(s.from, at+1) }},
		{"created[lte]", func(at int64) { s.to = min(s.to, at) }},
		{"created[lt]", func(at int64) { s.to = min(s.to, at-1) }},
	}
	for _, bound := range narrow {
		if !c.params.has(bound.name) {
			continue
		}
		at, r := c.params.integer(bound.name, 0)
		if r != nil {
			return s, r
		}
		bound.set(at)
	}
	return s, nil
}

// pick gives one page of ids, newest first, out of ids that stand oldest first.
func (p page) pick(ids []string, kind string, keep func(id string) bool) (picked []string, more bool, _ *refusal) {
	at, step := len(ids), -1
	for param, cursor := range map[string]string{"starting_after": p.after, "ending_before": p.before} {
		if cursor == "" {
			continue
		}
		if at = slices.Index(ids, cursor); at < 0 {
			return nil, false, missing(http.StatusBadRequest, kind, cursor, param)
		}
	}
	if p.before != "" {
		step = 1
	}
	for i := at + step; i >= 0 && i < len(ids); i += step {
		if !keep(ids[i]) {
			continue
		}
		if len(picked) == p.limit {
			more = true
			break
		}
		picked = append(picked, ids[i])
	}
	if step > 0 {
		slices.Reverse(picked)
	}
	return picked, more, nil
}

// listOf gives the page of a shelf that the caller asks for. Show gives an object
// as the caller sees it, and whether the caller asked for it at all.
func listOf[T, V any](c *call, from shelf[T], kind, url string, show func(T) (V, bool), created func(T) int64) (any, *refusal) {
	page, r := c.readPage()
	if r != nil {
		return nil, r
	}
	picked, more, r := page.pick(from.order, kind, func(id string) bool {
		_, wanted := show(from.byID[id])
		return wanted && page.created.contains(created(from.byID[id]))
	})
	if r != nil {
		return nil, r
	}
	data := make([]V, 0, len(picked))
	for _, id := range picked {
		view, _ := show(from.byID[id])
		data = append(data, view)
	}
	return list[V]{Object: "list", Data: data, HasMore: more, URL: url}, nil
}
