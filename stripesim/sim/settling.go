package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// settleInTime ends processing PaymentIntents when their time has come.
func (s *Server) settleInTime() {
	defer s.background.Done()
	for {
		var alarm <-chan time.Time
		if next, any := s.settleDue(); any {
			alarm = time.After(next)
		}
		select {
		case <-alarm:
		case <-s.settlerWake:
		case <-s.closing:
			return
		}
	}
}

func (s *Server) wakeSettler() {
	select {
	case s.settlerWake <- struct{}{}:
	default: // awake already
	}
}

// settleDue settles what is due, and gives the time until the next.
func (s *Server) settleDue() (next time.Duration, any bool) {
	s.transact(&call{}, func(c *call) {
		var due []*intent
		for id := range c.processing {
			pi := c.intents[id]
			wait := time.Unix(0, pi.SettleAt).Sub(c.now)
			if wait <= 0 {
				due = append(due, pi)
			} else if !any || wait < next {
				next, any = wait, true
			}
		}
		slices.SortFunc(due, func(a, b *intent) int {
			return cmp.Or(cmp.Compare(a.SettleAt, b.SettleAt), cmp.Compare(a.Object.ID, b.Object.ID))
		})
		for _, pi := range due {
			c.settle(pi, "")
		}
	})
	return next, any
}

// Settle ends a processing PaymentIntent now, as its card has it: succeeded, or
// declined for pm_sim_processing_fails.
func (s *Server) Settle(paymentIntentID string) error {
	return s.decide(paymentIntentID, statusProcessing, func(c *call, pi *intent) { c.settle(pi, "") })
}

// Fail ends a processing PaymentIntent in a decline; an empty code is generic_decline.
func (s *Server) Fail(paymentIntentID, declineCode string) error {
	return s.decide(paymentIntentID, statusProcessing, func(c *call, pi *intent) {
		c.settle(pi, cmp.Or(declineCode, "generic_decline"))
	})
}

// Approve is the customer's approval on the authentication page.
func (s *Server) Approve(paymentIntentID string) error {
	return s.decide(paymentIntentID, statusRequiresAction, func(c *call, pi *intent) { c.authenticate(pi, true) })
}

// Refuse is the customer's refusal on the authentication page.
func (s *Server) Refuse(paymentIntentID string) error {
	return s.decide(paymentIntentID, statusRequiresAction, func(c *call, pi *intent) { c.authenticate(pi, false) })
}

// decide runs a decision of the bank on a PaymentIntent that waits for it.
func (s *Server) decide(id, waiting string, run func(*call, *intent)) (err error) {
	s.transact(&call{}, func(c *call) {
		pi, found := c.intents[id]
		switch {
		case !found:
			err = fmt.Errorf("stripesim: no such PaymentIntent: %q", id)
		case pi.Object.Status != waiting:
			err = fmt.Errorf("stripesim: PaymentIntent %s is %s, not %s", id, pi.Object.Status, waiting)
		default:
			run(c, pi)
		}
	})
	return err
}
