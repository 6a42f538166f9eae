package sim

import "time"

// store is everything that the double remembers. Server.mu guards it.
type store struct {
	clockOffset time.Duration

	customers map[string]*customerObject
	methods   map[string]*method
	charges   map[string]*chargeObject

	intents         map[string]*intent
	intentOrder     []string            // oldest first
	intentsOf       map[string][]string // by customer, oldest first
	authentications map[string]string   // page to PaymentIntent
	processing      map[string]bool     // PaymentIntents with an end of processing set

	events     map[string]*eventObject
	eventOrder []string // oldest first

	keys     map[string]*keptAnswer
	keyOrder []string // oldest first
}

func newStore() store {
	return store{
		customers: map[string]*customerObject{}, methods: map[string]*method{}, charges: map[string]*chargeObject{},
		intents: map[string]*intent{}, intentsOf: map[string][]string{}, authentications: map[string]string{}, processing: map[string]bool{},
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
	Events      []*eventObject    `json:"events,omitempty"`
	// Sent are events that need no more delivery.
	Sent []string      `json:"sent,omitempty"`
	Keys []*keptAnswer `json:"keys,omitempty"`
}

func (b *batch) empty() bool {
	return b.ClockOffset == 0 && len(b.Customers)+len(b.Methods)+len(b.Charges)+len(b.Intents)+len(b.Events)+len(b.Sent)+len(b.Keys) == 0
}

// apply takes up a batch; a later version of an object replaces the earlier.
func (s *store) apply(b *batch) {
	if b.ClockOffset != 0 {
		s.clockOffset = b.ClockOffset
	}
	for _, cus := range b.Customers {
		s.customers[cus.ID] = cus
	}
	for _, m := range b.Methods {
		s.methods[m.Object.ID] = m
	}
	for _, ch := range b.Charges {
		s.charges[ch.ID] = ch
	}
	for _, pi := range b.Intents {
		s.putIntent(pi)
	}
	for _, ev := range b.Events {
		s.putEvent(ev)
	}
	for _, id := range b.Sent {
		s.markSent(id)
	}
	for _, k := range b.Keys {
		s.putKey(k)
	}
}

func (s *store) putIntent(pi *intent) {
	id := pi.Object.ID
	if before, known := s.intents[id]; !known {
		s.intentOrder = append(s.intentOrder, id)
		if customer := pi.Object.Customer.id; customer != "" {
			s.intentsOf[customer] = append(s.intentsOf[customer], id)
		}
	} else {
		delete(s.authentications, before.Authentication)
	}
	s.intents[id] = pi
	if pi.Authentication != "" {
		s.authentications[pi.Authentication] = id
	}
	delete(s.processing, id)
	if pi.SettleAt != 0 {
		s.processing[id] = true
	}
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
	if s.clockOffset != 0 && !yield(&batch{ClockOffset: s.clockOffset}) {
		return
	}
	for _, cus := range s.customers {
		if !yield(&batch{Customers: []*customerObject{cus}}) {
			return
		}
	}
	for _, m := range s.methods {
		if !yield(&batch{Methods: []*method{m}}) {
			return
		}
	}
	for _, ch := range s.charges {
		if !yield(&batch{Charges: []*chargeObject{ch}}) {
			return
		}
	}
	for _, id := range s.intentOrder {
		if !yield(&batch{Intents: []*intent{s.intents[id]}}) {
			return
		}
	}
	for _, id := range s.eventOrder {
		if !yield(&batch{Events: []*eventObject{s.events[id]}}) {
			return
		}
	}
	for _, key := range s.keyOrder {
		if !yield(&batch{Keys: []*keptAnswer{s.keys[key]}}) {
			return
		}
	}
}
