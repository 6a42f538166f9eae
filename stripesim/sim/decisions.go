package sim

import (
	"cmp"
	"fmt"
	"slices"
)

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

// Approve is the customer's approval: on the authentication page of a PaymentIntent
// or a SetupIntent, or at the notice of a payment under a mandate.
func (s *Server) Approve(id string) error { return s.answerBank(id, true) }

// Refuse is the customer's refusal, at the same places.
func (s *Server) Refuse(id string) error { return s.answerBank(id, false) }

func (s *Server) answerBank(id string, approved bool) (err error) {
	s.transact(&call{}, func(c *call) {
		pi, paying := c.intents.byID[id]
		si, saving := c.setups.byID[id]
		switch {
		case paying && pi.Object.Status == statusRequiresAction:
			c.authenticate(pi, approved)
		case paying && pi.Object.Status == statusProcessing && pi.Object.Processing != nil:
			c.answerNotice(pi, approved)
		case saving && si.Object.Status == statusRequiresAction:
			c.authenticateSetup(si, approved)
		case paying:
			err = fmt.Errorf("stripesim: PaymentIntent %s is %s and asks nothing", id, pi.Object.Status)
		case saving:
			err = fmt.Errorf("stripesim: SetupIntent %s is %s and asks nothing", id, si.Object.Status)
		default:
			err = fmt.Errorf("stripesim: no such PaymentIntent or SetupIntent: %q", id)
		}
	})
	return err
}

// answerNotice: an approval counts when the time of the notice is over, a refusal
// at once.
func (c *call) answerNotice(pi *intent, approved bool) {
	if !approved {
		c.settle(pi, "transaction_not_approved")
		return
	}
	pi.Approved = true
	c.saveIntent(pi)
}

// Dispute raises a dispute of a captured charge, by the charge's id or its
// PaymentIntent's, and gives its id. An inquiry takes no money. An empty reason is
// fraudulent.
func (s *Server) Dispute(id, reason string, inquiry bool) (disputeID string, err error) {
	reason = cmp.Or(reason, "fraudulent")
	s.transact(&call{}, func(c *call) {
		if pi, found := c.intents.byID[id]; found {
			id = pi.Object.LatestCharge.id
		}
		ch, found := c.charges.byID[id]
		switch {
		case !found:
			err = fmt.Errorf("stripesim: no such charge: %q", id)
		case !ch.Captured || ch.AmountCaptured == ch.AmountRefunded:
			err = fmt.Errorf("stripesim: charge %s holds no money to dispute", id)
		case ch.Disputed:
			err = fmt.Errorf("stripesim: charge %s is disputed already", id)
		case !slices.Contains(disputeReasons, reason):
			err = fmt.Errorf("stripesim: no such reason of a dispute: %q", reason)
		default:
			disputeID = c.openDispute(ch, reason, inquiry).Object.ID
		}
	})
	return disputeID, err
}

// CloseDispute is the bank's decision. An inquiry closes without one.
func (s *Server) CloseDispute(id string, won bool) (err error) {
	s.transact(&call{}, func(c *call) {
		dp, found := c.disputes.byID[id]
		switch {
		case !found:
			err = fmt.Errorf("stripesim: no such dispute: %q", id)
		case dp.closed():
			err = fmt.Errorf("stripesim: dispute %s is %s already", id, dp.Object.Status)
		case dp.inquiry():
			c.closeDispute(dp, disputeWarningClosed)
		case won:
			c.closeDispute(dp, disputeWon)
		default:
			c.closeDispute(dp, disputeLost)
		}
	})
	return err
}

// FailRefund: the bank returns the money of a refund that was given or is pending.
func (s *Server) FailRefund(id string) (err error) {
	s.transact(&call{}, func(c *call) {
		re, found := c.refunds.byID[id]
		switch {
		case !found:
			err = fmt.Errorf("stripesim: no such refund: %q", id)
		case re.Object.Status == refundFailed:
			err = fmt.Errorf("stripesim: refund %s has failed already", id)
		default:
			c.failRefund(re, "lost_or_stolen_card")
		}
	})
	return err
}

// RevokeMandate is the customer's ending of a mandate at the bank.
func (s *Server) RevokeMandate(id string) (err error) {
	s.transact(&call{}, func(c *call) {
		m, found := c.mandates.byID[id]
		if !found || m.Object.Status == mandateInactive {
			err = fmt.Errorf("stripesim: no such mandate in force: %q", id)
			return
		}
		c.changeMandate(m, mandateInactive)
	})
	return err
}

// decide runs a decision of the bank on a PaymentIntent that waits for it.
func (s *Server) decide(id, waiting string, run func(*call, *intent)) (err error) {
	s.transact(&call{}, func(c *call) {
		pi, found := c.intents.byID[id]
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
