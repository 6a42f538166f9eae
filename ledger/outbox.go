package ledger

import (
	"context"
	"time"
)

// MessageKind says what an outbox row asks for. Its subject is the id of a
// purchase, of an account, of a card setup, of an authorization, of an invoice or of
// an event of auto-recharge, as the kind's name says; that of a tier is an account and the version
// that the gateways hold, "id/2".
type MessageKind string

// The kinds of outbox rows.
const (
	MessageStartPurchase        MessageKind = "start_purchase"
	MessagePaymentChanged       MessageKind = "payment_changed"
	MessageTierPropagated       MessageKind = "tier_propagated"
	MessagePropagate            MessageKind = "propagate"
	MessageForceSync            MessageKind = "force_sync"
	MessageRecharge             MessageKind = "recharge"
	MessageRechargeEnded        MessageKind = "recharge_ended"
	MessageStartRecharge        MessageKind = "start_recharge"
	MessageCardSetup            MessageKind = "card_setup"
	MessageMailPurchaseApproved MessageKind = "mail_purchase_approved"
	MessageMailPurchaseDeclined MessageKind = "mail_purchase_declined"
	MessageMailPurchaseExpired  MessageKind = "mail_purchase_expired"
	MessageMailRechargeHalted   MessageKind = "mail_recharge_halted"
	MessageMailTierReached      MessageKind = "mail_tier_reached"
)

// The kinds of outbox rows about invoices: to collect one in its turn, or at once
// because a customer waits; to go on with a try; to look at its payment again; to tell
// what became of it; to tell that it was issued.
const (
	MessageInvoicePayment        MessageKind = "invoice_payment"
	MessageInvoicePaymentNow     MessageKind = "invoice_payment_now"
	MessageStartInvoicePayment   MessageKind = "start_invoice_payment"
	MessageInvoicePaymentChanged MessageKind = "invoice_payment_changed"
	MessageMailInvoiceEvent      MessageKind = "mail_invoice_event"
	MessageMailInvoice           MessageKind = "mail_invoice"
)

// The kinds of outbox rows about authorizations: to look after one, to mail its link,
// to remind of it.
const (
	MessageAuthorizationChanged      MessageKind = "authorization_changed"
	MessageMailAuthorization         MessageKind = "mail_authorization"
	MessageMailAuthorizationReminder MessageKind = "mail_authorization_reminder"
)

// Message is an outbox row on its way out.
type Message struct {
	ID       int64
	Kind     MessageKind
	Subject  string
	Revision int64
	// Attempts counts the deliveries tried, this one included.
	Attempts int32
}

// Lane is messages that go to one place. A place that is slow holds up its lane and
// no other.
type Lane string

// The lanes.
const (
	LaneWorkflows Lane = "workflows"
	LaneMail      Lane = "mail"
	// LaneRecharges goes to Temporal as well: the loops of auto-recharge that are to
	// begin. A thousand accounts that cross their threshold at once must not hold up
	// what a customer waits for.
	LaneRecharges Lane = "recharges"
	// LaneInvoices is the same for invoices whose day has come.
	LaneInvoices Lane = "invoices"
)

// ClaimMessages takes up to limit due messages of the lanes, of all lanes if none
// is named, for the time of the lease. Those that are neither delivered nor given
// back by then are due again, so that a relay that dies loses nothing. They are
// read once, apart from the update: joined with it the limit could be applied anew
// for each row.
func (l *Ledger) ClaimMessages(ctx context.Context, limit int, lease time.Duration, lanes ...Lane) ([]Message, error) {
	return many[Message](ctx, l, "claim outbox messages", `
		with due as materialized (
			select id from outbox where due_at <= clock_timestamp()
			   and ($3::text[] is null or case when kind like 'mail\_%' then 'mail' when kind = 'recharge' then 'recharges' when kind = 'invoice_payment' then 'invoices' else 'workflows' end = any($3))
			 order by due_at, id limit $1 for update skip locked)
		update outbox o set due_at = clock_timestamp() + $2::interval, attempts = o.attempts + 1
		  from due where o.id = due.id
		returning o.id, o.kind, o.subject, o.revision, o.attempts`, limit, lease, lanes)
}

// MessageDelivered takes a message out of the outbox, unless it was asked for
// again since it was claimed: then it stays, due when that asked for it.
func (l *Ledger) MessageDelivered(ctx context.Context, m Message) error {
	_, err := l.exec(ctx, "take message out of outbox", `
		with gone as (delete from outbox where id = $1 and revision = $2)
		update outbox set attempts = 0, last_error = null where id = $1 and revision <> $2`, m.ID, m.Revision)
	return err
}

// MessageFailed gives a message back, due after the delay, or at once if it was
// asked for again since it was claimed.
func (l *Ledger) MessageFailed(ctx context.Context, m Message, reason string, delay time.Duration) error {
	_, err := l.exec(ctx, "give message back to outbox", `
		update outbox set due_at = case when revision = $5 then clock_timestamp() + $2::interval else due_at end,
		       last_error = left($3, $4) where id = $1`,
		m.ID, delay, reason, maxErrorLength, m.Revision)
	return err
}
