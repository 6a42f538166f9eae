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

func (c *call) saveCustomer(cus *customerObject) { save(cus, c.putCustomer, &c.changes.Customers) }
func (c *call) saveMethod(m *method)             { save(m, c.putMethod, &c.changes.Methods) }
func (c *call) saveCharge(ch *chargeObject)      { save(ch, c.putCharge, &c.changes.Charges) }
func (c *call) saveIntent(pi *intent)            { save(pi, c.putIntent, &c.changes.Intents) }
func (c *call) saveSetup(si *setup)              { save(si, c.putSetup, &c.changes.Setups) }
func (c *call) saveMandate(m *mandate)           { save(m, c.putMandate, &c.changes.Mandates) }
func (c *call) saveRefund(re *refund)            { save(re, c.putRefund, &c.changes.Refunds) }
func (c *call) saveDispute(dp *dispute)          { save(dp, c.putDispute, &c.changes.Disputes) }
func (c *call) saveEvent(ev *eventObject)        { save(ev, c.putEvent, &c.changes.Events) }
func (c *call) saveKey(k *keptAnswer)            { save(k, c.putKey, &c.changes.Keys) }

// save stores an object and notes it, once, among what the call changed.
func save[T comparable](object T, put func(T), changed *[]T) {
	put(object)
	if !slices.Contains(*changed, object) {
		*changed = append(*changed, object)
	}
}
