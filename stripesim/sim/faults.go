package sim

import (
	"fmt"
	"path"
	"slices"
	"sync"
	"time"
)

// FaultKind is what goes wrong with a request.
type FaultKind string

// The faults that can be ordered. "Before" has no effect on the state; "after"
// has its full effect, which the caller is not told of.
const (
	// FaultTimeoutAfter withholds the answer until the caller gives up, or for
	// Duration, then cuts the connection. The key already holds the answer.
	FaultTimeoutAfter FaultKind = "timeout_after"
	// FaultErrorBefore answers 500, kept under the key.
	FaultErrorBefore FaultKind = "error_before"
	// FaultErrorAfter answers 500, kept under the key in place of the answer.
	FaultErrorAfter FaultKind = "error_after"
	// FaultRateLimit answers 429; the key stays free.
	FaultRateLimit FaultKind = "rate_limit"
	// FaultSlow waits for Duration, the key in use, and then goes on.
	FaultSlow FaultKind = "slow"
	// FaultCutBefore cuts the connection; the key stays free.
	FaultCutBefore FaultKind = "cut_before"
	// FaultCutAfter cuts the connection; the key holds the answer.
	FaultCutAfter FaultKind = "cut_after"
)

var faultKinds = []FaultKind{
	FaultTimeoutAfter, FaultErrorBefore, FaultErrorAfter, FaultRateLimit, FaultSlow, FaultCutBefore, FaultCutAfter,
}

const (
	maxFaults       = 1000
	longestWithheld = 5 * time.Minute
)

// Fault is an order for the next requests that match.
type Fault struct {
	// Method of the requests; empty is every method.
	Method string
	// Path of the requests, in which * stands for one segment.
	Path string
	Kind FaultKind
	// Times is how many requests it hits; zero is one.
	Times int
	// Duration of FaultSlow, and at most of FaultTimeoutAfter (5 min by default).
	Duration time.Duration
}

// matchesRoute tells whether an order for a method and a pattern of paths is one
// for this request.
func matchesRoute(orderedMethod, pattern, method, requestPath string) bool {
	matched, _ := path.Match(pattern, requestPath) // the pattern was checked when ordered
	return matched && (orderedMethod == "" || orderedMethod == method)
}

// forReplay tells whether the fault can hit a request that is answered from its
// key: a kept answer cannot turn into another.
func (f Fault) forReplay() bool { return f.Kind != FaultErrorBefore && f.Kind != FaultErrorAfter }

// faults are the orders that wait, oldest first.
type faults struct {
	mu      sync.Mutex
	waiting []Fault
}

// OrderFault orders a fault. Of several that match, the oldest hits.
func (s *Server) OrderFault(f Fault) error {
	if !slices.Contains(faultKinds, f.Kind) {
		return fmt.Errorf("stripesim: no such fault: %q", f.Kind)
	}
	if _, err := path.Match(f.Path, "/"); err != nil || f.Path == "" {
		return fmt.Errorf("stripesim: the path of a fault must be a pattern such as /v1/payment_intents/*, not %q", f.Path)
	}
	if f.Times < 0 || f.Duration < 0 || (f.Kind == FaultSlow && f.Duration == 0) {
		return fmt.Errorf("stripesim: a fault needs a count and a duration above zero")
	}
	f.Times = max(f.Times, 1)
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	if len(s.faults.waiting) == maxFaults {
		return fmt.Errorf("stripesim: %d faults wait already", maxFaults)
	}
	s.faults.waiting = append(s.faults.waiting, f)
	return nil
}

// ResetFaults forgets the faults that wait.
func (s *Server) ResetFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.waiting = nil
}

// Faults gives those that wait, with the times that are left.
func (s *Server) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return slices.Clone(s.faults.waiting)
}

// take gives the fault that hits this request, and counts it off; the zero Fault is none.
func (f *faults) take(method, requestPath string, replay bool) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.waiting {
		hit := f.waiting[i]
		if !matchesRoute(hit.Method, hit.Path, method, requestPath) || (replay && !hit.forReplay()) {
			continue
		}
		if f.waiting[i].Times--; f.waiting[i].Times == 0 {
			f.waiting = slices.Delete(f.waiting, i, i+1)
		}
		return hit
	}
	return Fault{}
}
