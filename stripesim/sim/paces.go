package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Pace is how fast some routes are, until it is reset: a standing order, where a
// Fault is one for a number of requests.
type Pace struct {
	// Method of the requests; empty is every method.
	Method string
	// Path of the requests, in which * stands for one segment.
	Path string
	// PerSecond is how many requests are answered in a second, and at once; the
	// others get 429, as at Stripe's own limit. Zero is no limit.
	PerSecond int
	// P50 and P99 say how long an answer takes: half of them at most P50, one of a
	// hundred P99 and more, in between and beyond as a log-normal distribution has
	// it, at most longestLatency. Zero is no latency.
	P50, P99 time.Duration
}

const (
	maxPaces       = 100
	longestLatency = time.Minute
	// sigmasToP99 is how many standard deviations lie between P50 and P99.
	sigmasToP99 = 2.326
)

// latency draws how long one answer takes.
func (p Pace) latency() time.Duration {
	if p.P50 == 0 {
		return 0
	}
	sigma := math.Log(float64(p.P99)/float64(p.P50)) / sigmasToP99
	return time.Duration(min(float64(p.P50)*math.Exp(sigma*rand.NormFloat64()), float64(longestLatency)))
}

// paces are the standing orders, each with its limiter.
type paces struct {
	mu  sync.Mutex
	all []pacer
}

type pacer struct {
	Pace
	limiter *rate.Limiter // nil without a limit
}

// SetPace orders a pace. Of several that match a request, the newest counts.
func (s *Server) SetPace(p Pace) error {
	if _, err := path.Match(p.Path, "/"); err != nil || p.Path == "" {
		return fmt.Errorf("stripesim: the path of a pace must be a pattern such as /v1/payment_intents/*, not %q", p.Path)
	}
	switch {
	case p.PerSecond < 0 || p.P50 < 0 || p.P50 > longestLatency:
		return fmt.Errorf("stripesim: a pace needs a rate and a latency of at least zero and at most %s", longestLatency)
	case p.P99 < p.P50 || p.P50 == 0 && p.P99 != 0:
		return fmt.Errorf("stripesim: a pace needs p50 and p99, the second not below the first")
	case p.PerSecond == 0 && p.P50 == 0:
		return fmt.Errorf("stripesim: a pace needs a rate or a latency")
	}
	ordered := pacer{Pace: p}
	if p.PerSecond > 0 {
		ordered.limiter = rate.NewLimiter(rate.Limit(p.PerSecond), p.PerSecond)
	}
	s.paces.mu.Lock()
	defer s.paces.mu.Unlock()
	if len(s.paces.all) == maxPaces {
		return fmt.Errorf("stripesim: %d paces are ordered already", maxPaces)
	}
	s.paces.all = append(s.paces.all, ordered)
	return nil
}

// ResetPaces forgets all paces.
func (s *Server) ResetPaces() {
	s.paces.mu.Lock()
	defer s.paces.mu.Unlock()
	s.paces.all = nil
}

// Paces gives those in force, oldest first.
func (s *Server) Paces() []Pace {
	s.paces.mu.Lock()
	defer s.paces.mu.Unlock()
	all := make([]Pace, 0, len(s.paces.all))
	for _, p := range s.paces.all {
		all = append(all, p.Pace)
	}
	return all
}

// take gives how long the request's answer takes, and whether it is answered at all.
func (p *paces) take(method, requestPath string) (latency time.Duration, admitted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ordered := range slices.Backward(p.all) {
		if !matchesRoute(ordered.Method, ordered.Path, method, requestPath) {
			continue
		}
		return ordered.latency(), ordered.limiter == nil || ordered.limiter.Allow()
	}
	return 0, true
}
