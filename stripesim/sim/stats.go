package sim

import "time"

// purchaseKey is the metadata under which Paystage names the purchase.
const purchaseKey = "purchase_id"

// PaymentIntent is what a test wants to know of one.
type PaymentIntent struct {
	ID             string            `json:"id"`
	Status         string            `json:"status"`
	Customer       string            `json:"customer"`
	AmountCents    int64             `json:"amount_cents"`
	ReceivedCents  int64             `json:"received_cents"`
	Metadata       map[string]string `json:"metadata"`
	IdempotencyKey string            `json:"idempotency_key"` // that it was created under
	LatestCharge   string            `json:"latest_charge"`
	Created        time.Time         `json:"created"`
}

// PaymentIntents gives all of them, oldest first.
func (s *Server) PaymentIntents() []PaymentIntent {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]PaymentIntent, 0, len(s.intents.order))
	for _, id := range s.intents.order {
		pi := s.intents.byID[id]
		all = append(all, PaymentIntent{
			ID: id, Status: pi.Object.Status, Customer: pi.Object.Customer.id, AmountCents: pi.Object.Amount,
			ReceivedCents: pi.Object.AmountReceived, Metadata: cloneMetadata(pi.Object.Metadata),
			IdempotencyKey: pi.CreatedByKey, LatestCharge: pi.Object.LatestCharge.id, Created: time.Unix(pi.Object.Created, 0),
		})
	}
	return all
}

// Tally counts what became of PaymentIntents.
type Tally struct {
	PaymentIntents int   `json:"payment_intents"`
	Captures       int   `json:"captures"` // charges that moved money
	CapturedCents  int64 `json:"captured_cents"`
}

// Captures gives the tally of each purchase, by metadata purchase_id; those
// without one stand under "". The captures are counted from the charges, not
// from the PaymentIntents (I2).
func (s *Server) Captures() map[string]Tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	byPurchase := make(map[string]Tally)
	for _, pi := range s.intents.byID {
		t := byPurchase[pi.Object.Metadata[purchaseKey]]
		t.PaymentIntents++
		byPurchase[pi.Object.Metadata[purchaseKey]] = t
	}
	for _, ch := range s.charges.byID {
		if !ch.Captured {
			continue
		}
		t := byPurchase[ch.Metadata[purchaseKey]]
		t.Captures++
		t.CapturedCents += ch.AmountCaptured
		byPurchase[ch.Metadata[purchaseKey]] = t
	}
	return byPurchase
}

// Total is the tally of everything.
func (s *Server) Total() Tally {
	var total Tally
	for _, t := range s.Captures() {
		total.PaymentIntents += t.PaymentIntents
		total.Captures += t.Captures
		total.CapturedCents += t.CapturedCents
	}
	return total
}
