package sim

import (
	"cmp"
	"fmt"
	"time"
)

// timer is what is to happen to an object at a moment of the double's clock. It is
// made anew from the object whenever that is stored, so the journal needs none.
type timer struct {
	at   int64 // in nanoseconds of Unix time
	fire func(*call)
}

// setTimer sets the one timer of an object; a moment of zero takes it away.
func (s *store) setTimer(id string, at int64, fire func(*call)) {
	if at == 0 {
		delete(s.timers, id)
		return
	}
	s.timers[id] = timer{at: at, fire: fire}
}

// nextTimer is the earliest; of several at one moment, the one of the lowest id.
func (s *store) nextTimer() (id string, next timer, any bool) {
	for candidate, t := range s.timers {
		if !any || cmp.Or(cmp.Compare(t.at, next.at), cmp.Compare(candidate, id)) < 0 {
			id, next, any = candidate, t, true
		}
	}
	return id, next, any
}

// after is the moment so much later, on the double's clock.
func (c *call) after(pause time.Duration) int64 { return c.now.Add(pause).UnixNano() }

// runTimers fires timers when their time has come.
func (s *Server) runTimers() {
	defer s.background.Done()
	for {
		var alarm <-chan time.Time
		if next, any := s.fireDue(); any {
			alarm = time.After(next)
		}
		select {
		case <-alarm:
		case <-s.timersChanged:
		case <-s.closing:
			return
		}
	}
}

func (s *Server) wakeTimers() {
	select {
	case s.timersChanged <- struct{}{}:
	default: // awake already
	}
}

// fireDue fires what is due, in order, and gives the time until the next.
func (s *Server) fireDue() (next time.Duration, any bool) {
	for {
		fired := false
		s.transact(&call{}, func(c *call) {
			var id string
			var t timer
			if id, t, any = c.nextTimer(); !any {
				return
			}
			if next = time.Unix(0, t.at).Sub(c.now); next > 0 {
				return
			}
			fired = true
			delete(c.timers, id)
			t.fire(c)
		})
		if !fired {
			return next, any
		}
	}
}

// Advance moves the double's clock forward: idempotency keys are forgotten, and
// all that falls due in between happens in its order, each at its own moment, what
// follows from it included. Deliveries that wait to be tried again are tried.
func (s *Server) Advance(by time.Duration) error {
	if by < 0 {
		return fmt.Errorf("stripesim: the clock only moves forward, not by %s", by)
	}
	s.advancing.Lock()
	defer s.advancing.Unlock()
	target := s.Now().Add(by)
	for s.stepTowards(target) {
		s.fireDue()
	}
	s.webhooks.retryDue(s.Now())
	s.wakeTimers()
	return nil
}

// stepTowards moves the clock to the next timer before the target, or to the
// target itself, and tells whether anything is left to fire on the way.
func (s *Server) stepTowards(target time.Time) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := target
	if _, t, any := s.nextTimer(); any && t.at <= target.UnixNano() {
		to, more = time.Unix(0, t.at), true
	}
	if to.After(s.now()) {
		s.clockOffset = to.Sub(s.opts.Now())
		s.commit(&batch{ClockOffset: s.clockOffset})
	}
	return more
}
