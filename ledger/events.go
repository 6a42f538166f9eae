package ledger

import (
	"context"
	"time"
)

// StripeEvent is what is kept of a webhook event: enough to know it again and
// whom it concerns.
type StripeEvent struct {
	ID       string
	Type     string
	ObjectID string
	// PurchaseID is the purchase named in the object's metadata, "" for none.
	PurchaseID string
	// InvoiceID is the invoice named there, "" for none.
	InvoiceID  string
	CreatedAt  time.Time
	ReceivedAt time.Time
}

// RecordStripeEvent stores an event and puts the word to whoever waits for it into the
// outbox, in one transaction. It says whether the event is new; one that is not
// has no effect (F11).
func (l *Ledger) RecordStripeEvent(ctx context.Context, e StripeEvent) (fresh bool, err error) {
	return value[bool](ctx, l, "record Stripe event", `select stripe_event_record($1, $2, $3, $4, $5, $6, $7)`,
		e.ID, e.Type, e.ObjectID, orNull(e.PurchaseID), orNull(e.InvoiceID), e.CreatedAt, e.ReceivedAt)
}
