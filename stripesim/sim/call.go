package sim

import (
	"slices"
	"time"
)

// call is one transaction on the store: a request that reached its endpoint, or
// a decision of the bank. It holds Server.mu from begin to end.
type call struct {
	*Server
	now    time.Time
	base   string // of the authentication pages
	id     string // the {id} of the path
	params params
	origin origin

	changes batch
	toSend  []*eventObject
	emitted [][]byte // for OnEvent
}

// transact runs one call, commits what it changed, and tells of its events.
func (s *Server) transact(c *call, run func(*call)) {
	s.runAndCommit(c, run)
	for _, event := range c.emitted {
		s.opts.OnEvent(event)
	}
}

func (s *Server) runAndCommit(c *call, run func(*call)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Server, c.now = s, s.now()
	run(c)
	s.commit(&c.changes)
	s.webhooks.send(c.toSend)
}

// commit writes the batch to the journal. Server.mu is held, so that the journal
// has the order of the calls.
func (s *Server) commit(b *batch) {
	if s.journal == nil || b.empty() {
		return
	}
	if err := s.journal.append(b); err != nil {
		s.opts.Log.Error("stripesim: the state could not be written and will be lost at the end", "error", err)
	}
}

func (c *call) expands(property string) bool {
	return slices.Contains(c.params["expand[]"], property)
}

func (c *call) saveCustomer(cus *customerObject) {
	c.customers[cus.ID] = cus
	c.changes.Customers = append(c.changes.Customers, cus)
}

func (c *call) saveMethod(m *method) {
	c.methods[m.Object.ID] = m
	c.changes.Methods = append(c.changes.Methods, m)
}

func (c *call) saveCharge(ch *chargeObject) {
	c.charges[ch.ID] = ch
	c.changes.Charges = append(c.changes.Charges, ch)
}

func (c *call) saveIntent(pi *intent) {
	c.putIntent(pi)
	if !slices.Contains(c.changes.Intents, pi) {
		c.changes.Intents = append(c.changes.Intents, pi)
	}
}

func (c *call) saveEvent(ev *eventObject) {
	c.putEvent(ev)
	c.changes.Events = append(c.changes.Events, ev)
}

func (c *call) saveKey(k *keptAnswer) {
	c.putKey(k)
	c.changes.Keys = append(c.changes.Keys, k)
}
