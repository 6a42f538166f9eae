package sim

import "time"

// shelf keeps objects of one kind, oldest first.
type shelf[T any] struct {
	byID  map[string]T
	order []string
}

func newShelf[T any]() shelf[T] { return shelf[T]{byID: map[string]T{}} }

// put takes up an object; a later version of it replaces the earlier.
func (s *shelf[T]) put(id string, object T) {
	if _, known := s.byID[id]; !known {
		s.order = append(s.order, id)
	}
	s.byID[id] = object
}

func (s *shelf[T]) each(yield func(T) bool) bool {
	for _, id := range s.order {
		if !yield(s.byID[id]) {
			return false
		}
	}
	return true
}

// store is everything that the double remembers. Server.mu guards it.
type store struct {
	clockOffset time.Duration

	customers shelf[*customerObject]
	methods   shelf[*method]
	charges   shelf[*chargeObject]
	intents   shelf[*intent]
	setups    shelf[*setup]
	mandates  shelf[*mandate]
	refunds   shelf[*refund]
	disputes  shelf[*dispute]

	intentsOf       map[string][]string // by customer, oldest first
	authentications map[string]string   // page to PaymentIntent or SetupIntent
	timers          map[string]timer    // by the object they belong to

	events     map[string]*eventObject
	eventOrder []string // oldest first

	keys     map[string]*keptAnswer
	keyOrder []string // oldest first
}

func newStore() store {
	return store{
		customers: newShelf[*customerObject](), methods: newShelf[*method](), charges: newShelf[*chargeObject](),
		intents: newShelf[*intent](), setups: newShelf[*setup](), mandates: newShelf[*mandate](),
		refunds: newShelf[*refund](), disputes: newShelf[*dispute](),
		intentsOf: map[string][]string{}, authentications: map[string]string{}, timers: map[string]timer{},
		events: map[string]*eventObject{}, keys: map[string]*keptAnswer{},
	}
}

// batch is what one call changed: one line of the journal, all of it or nothing.
type batch struct {
	ClockOffset time.Duration     `json:"clock_offset,omitempty"`
	Customers   []*customerObject `json:"customers,omitempty"`
	Methods     []*method         `json:"methods,omitempty"`
	Charges     []*chargeObject   `json:"charges,omitempty"`
	Intents     []*intent         `json:"intents,omitempty"`
	Setups      []*setup          `json:"setups,omitempty"`
	Mandates    []*mandate        `json:"mandates,omitempty"`
	Refunds     []*refund         `json:"refunds,omitempty"`
	Disputes    []*dispute        `json:"disputes,omitempty"`
	Events      []*eventObject    `json:"events,omitempty"`
	// Sent are events that need no more delivery.
	Sent []string      `json:"sent,omitempty"`
	Keys []*keptAnswer `json:"keys,omitempty"`
}

func (b *batch) empty() bool {
	return b.ClockOffset == 0 && len(b.Sent)+len(b.Keys)+len(b.Events)+len(b.Customers)+len(b.Methods)+len(b.Charges)+
		len(b.Intents)+len(b.Setups)+len(b.Mandates)+len(b.Refunds)+len(b.Disputes) == 0
}

// apply takes up a batch; a later version of an object replaces the earlier.
func (s *store) apply(b *batch) {
	if b.ClockOffset != 0 {
		s.clockOffset = b.ClockOffset
	}
	each(b.Customers, s.putCustomer)
	each(b.Methods, s.putMethod)
	each(b.Charges, s.putCharge)
	each(b.Intents, s.putIntent)
	each(b.Setups, s.putSetup)
	each(b.Mandates, s.putMandate)
	each(b.Refunds, s.putRefund)
	each(b.Disputes, s.putDispute)
	each(b.Events, s.putEvent)
	each(b.Sent, s.markSent)
	each(b.Keys, s.putKey)
}

func each[T any](all []T, do func(T)) {
	for _, one := range all {
		do(one)
	}
}

func (s *store) putCustomer(cus *customerObject) { s.customers.put(cus.ID, cus) }
func (s *store) putMethod(m *method)             { s.methods.put(m.Object.ID, m) }
func (s *store) putCharge(ch *chargeObject)      { s.charges.put(ch.ID, ch) }

func (s *store) putIntent(pi *intent) {
	id := pi.Object.ID
	if before, known := s.intents.byID[id]; !known {
		if customer := pi.Object.Customer.id; customer != "" {
			s.intentsOf[customer] = append(s.intentsOf[customer], id)
		}
	} else {
		delete(s.authentications, before.Authentication)
	}
	s.intents.put(id, pi)
	if pi.Authentication != "" {
		s.authentications[pi.Authentication] = id
	}
	s.setTimer(id, pi.SettleAt, func(c *call) { c.settle(pi, "") })
	s.setTimer("dispute of "+id, pi.DisputeAt, func(c *call) { c.disputeAsTheCardDoes(pi) })
}

func (s *store) putSetup(si *setup) {
	if before, known := s.setups.byID[si.Object.ID]; known {
		delete(s.authentications, before.Authentication)
	}
	s.setups.put(si.Object.ID, si)
	if si.Authentication != "" {
		s.authentications[si.Authentication] = si.Object.ID
	}
}

func (s *store) putMandate(m *mandate) {
	s.mandates.put(m.Object.ID, m)
	s.setTimer(m.Object.ID, m.ActiveAt, func(c *call) { c.changeMandate(m, mandateActive) })
}

func (s *store) putRefund(re *refund) {
	s.refunds.put(re.Object.ID, re)
	s.setTimer(re.Object.ID, re.EndAt, func(c *call) { c.endRefund(re) })
}

func (s *store) putDispute(dp *dispute) {
	s.disputes.put(dp.Object.ID, dp)
	s.setTimer(dp.Object.ID, dp.DecideAt, func(c *call) { c.decideDispute(dp) })
}

func (s *store) putEvent(ev *eventObject) {
	if _, known := s.events[ev.ID]; !known {
		s.eventOrder = append(s.eventOrder, ev.ID)
	}
	s.events[ev.ID] = ev
	if len(s.eventOrder) > maxEvents {
		delete(s.events, s.eventOrder[0])
		s.eventOrder = s.eventOrder[1:]
	}
}

func (s *store) markSent(id string) {
	if ev, kept := s.events[id]; kept {
		ev.PendingWebhooks = 0
	}
}

func (s *store) putKey(k *keptAnswer) {
	if _, known := s.keys[k.Key]; !known {
		s.keyOrder = append(s.keyOrder, k.Key)
	}
	s.keys[k.Key] = k
}

// contents gives everything as batches of one object each, oldest first: the
// compacted journal.
func (s *store) contents(yield func(*batch) bool) {
	_ = (s.clockOffset == 0 || yield(&batch{ClockOffset: s.clockOffset})) &&
		s.customers.each(func(o *customerObject) bool { return yield(&batch{Customers: []*customerObject{o}}) }) &&
		s.methods.each(func(o *method) bool { return yield(&batch{Methods: []*method{o}}) }) &&
		s.charges.each(func(o *chargeObject) bool { return yield(&batch{Charges: []*chargeObject{o}}) }) &&
		s.intents.each(func(o *intent) bool { return yield(&batch{Intents: []*intent{o}}) }) &&
		s.setups.each(func(o *setup) bool { return yield(&batch{Setups: []*setup{o}}) }) &&
		s.mandates.each(func(o *mandate) bool { return yield(&batch{Mandates: []*mandate{o}}) }) &&
		s.refunds.each(func(o *refund) bool { return yield(&batch{Refunds: []*refund{o}}) }) &&
		s.disputes.each(func(o *dispute) bool { return yield(&batch{Disputes: []*dispute{o}}) }) &&
		s.eventContents(yield)
}

func (s *store) eventContents(yield func(*batch) bool) bool {
	for _, id := range s.eventOrder {
		if !yield(&batch{Events: []*eventObject{s.events[id]}}) {
			return false
		}
	}
	for _, key := range s.keyOrder {
		if !yield(&batch{Keys: []*keptAnswer{s.keys[key]}}) {
			return false
		}
	}
	return true
}
