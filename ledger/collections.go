package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

// selectCollection reads all that decides about the collection of an invoice at $2.
const selectCollection = `
	select c.invoice_id::text, c.account_id::text, i.number, c.amount_cents, i.status, a.rules_territory, a.territory, coalesce(k.issued_in, '') as issued_in,
	       c.attempts, c.chased_from, c.due_at, c.card_changed, c.in_review, c.revision,
	       coalesce(f.attempt, 0) as in_flight, coalesce(f.bank, '') as in_flight_bank,
	       k.account_id is not null as has_card, coalesce(k.fingerprint, '') as fingerprint,
	       coalesce(l.decline_code, '') as decline_code, coalesce(l.card_fingerprint, '') as failed_card,
	       d.declines as card_declines
	  from invoice_collections c
	  join invoices i on i.id = c.invoice_id
	  join accounts a on a.id = c.account_id
	  left join cards k on k.account_id = c.account_id
	  left join invoice_payments f on f.invoice_id = c.invoice_id and f.bank not in ('approved', 'declined', 'canceled', 'expired')
	  left join lateral (
		select decline_code, card_fingerprint from invoice_payments
		 where invoice_id = c.invoice_id and bank in ('declined', 'canceled', 'expired')
		 order by attempt desc limit 1) l on true
	 cross join lateral card_declines(k.fingerprint, $2::timestamptz - $4::interval, $3) d
	 where c.invoice_id = $1`

func readCollection(ctx context.Context, q querier, invoiceID string, at time.Time) (models.Collection, error) {
	rows, _ := q.Query(ctx, selectCollection, invoiceID, at, billing.NetworkDeclines, billing.NetworkWindow) // CollectExactlyOneRow reports its error
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[models.Collection])
}

// Collection reads how an invoice is collected, as it is at that time. ErrNotFound if
// nothing was ever due on it.
func (l *Ledger) Collection(ctx context.Context, invoiceID string, at time.Time) (models.Collection, error) {
	c, err := readCollection(ctx, l.pool, invoiceID, at)
	return c, wrap("read collection", err)
}

// collect runs a step of an invoice's collection in one transaction. It holds the
// account's balances and then the collection, in the order of all who post, so that
// whatever else concerns the invoice comes before it or after.
func (l *Ledger) collect(ctx context.Context, operation, invoiceID string, at time.Time, step func(tx pgx.Tx, c models.Collection) error) error {
	_, err := conflictsAgain(ctx, func() (struct{}, error) {
		return struct{}{}, wrap(operation, pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
			_, err := queryOne[string](ctx, tx, `
				select b.account_id::text from invoice_collections c join balances b on b.account_id = c.account_id
				 where c.invoice_id = $1 for update of b`, invoiceID)
			if err == nil {
				_, err = tx.Exec(ctx, `select from invoice_collections where invoice_id = $1 for update`, invoiceID)
			}
			if err != nil {
				return err
			}
			c, err := readCollection(ctx, tx, invoiceID, at)
			if err != nil {
				return err
			}
			return step(tx, c)
		}))
	})
	return err
}

// Dunning is by what rules an unpaid invoice is chased.
type Dunning struct {
	// Days after the first failed try (R33).
	Days  []int
	Tiers models.TierRules
	// Pace is the least time between two charges of invoices of the whole system; 0 is
	// no bound.
	Pace time.Duration
}

// CollectionAdvance is how the collection of an invoice goes on.
type CollectionAdvance struct {
	// Close is a try that was declined, whose payment is to be canceled at Stripe before
	// anything else, nil if there is none.
	Close *models.InvoicePayment
	// Payment is the try to charge or to ask after, nil if there is none.
	Payment *models.InvoicePayment
	// Wait is how long to wait for a turn; 0 when there is nothing to wait for.
	Wait time.Duration
}

// AdvanceCollection takes the next step of an invoice's collection, in one
// transaction: it answers the try in flight, makes the next one, or notes why not. A
// try is stored before it is charged, so the second time the first one's is found.
func (l *Ledger) AdvanceCollection(ctx context.Context, invoiceID string, d Dunning, at time.Time) (advance CollectionAdvance, err error) {
	err = l.collect(ctx, "advance collection", invoiceID, at, func(tx pgx.Tx, c models.Collection) error {
		advance = CollectionAdvance{}
		open, err := manyIn[models.InvoicePayment](ctx, tx, `
			select `+invoicePaymentColumns+` from invoice_payments
			 where invoice_id = $1 and payment_intent_id = (select open_payment from invoice_collections where invoice_id = $1)`, c.InvoiceID)
		if err != nil || len(open) > 0 {
			if err == nil {
				advance.Close = &open[0]
			}
			return err
		}
		step := billing.NextDunning(c, at)
		switch step.Action {
		case billing.DunningAwait:
			return beginPayment(ctx, tx, c.InvoiceID, c.InFlight, at, &advance)
		case billing.DunningCharge:
			return chargeInTurn(ctx, tx, c, step.Origin, d, at, &advance)
		case billing.DunningPass:
			return failCollection(ctx, tx, c, failure{}, d, at)
		case billing.DunningRest:
			_, err := tx.Exec(ctx, `
				update invoice_collections set card_changed = false, wake_at = case when due_at > $2 then due_at end where invoice_id = $1`, c.InvoiceID, at)
			return err
		}
		return fmt.Errorf("no such step: %s", step.Action)
	})
	if errors.Is(err, ErrNotFound) { // nothing was ever due
		return CollectionAdvance{}, nil
	}
	return advance, err
}

// ClosedInvoicePayment notes that a declined payment needs canceling no more.
func (l *Ledger) ClosedInvoicePayment(ctx context.Context, invoiceID, paymentIntentID string) error {
	_, err := l.exec(ctx, "note closed payment", `
		update invoice_collections set open_payment = null where invoice_id = $1 and open_payment = $2`, invoiceID, paymentIntentID)
	return err
}

// chargeInTurn makes the next try, or waits for its turn to.
func chargeInTurn(
	ctx context.Context, tx pgx.Tx, c models.Collection, origin models.InvoicePaymentOrigin, d Dunning, at time.Time, advance *CollectionAdvance,
) error {
	slot, err := queryOne[*time.Time](ctx, tx, `select charge_turn('invoices', slot_at, $2) from invoice_collections where invoice_id = $1`, c.InvoiceID, d.Pace)
	if err != nil {
		return err
	}
	if slot != nil {
		wait, err := queryOne[int64](ctx, tx, `
			update invoice_collections set slot_at = $2, wake_at = $3
			 where invoice_id = $1 returning greatest(1000, ceil(extract(epoch from $2 - clock_timestamp()) * 1000000)::bigint)`,
			c.InvoiceID, slot, at.Add(wakeAgain))
		advance.Wait = time.Duration(wait) * time.Microsecond
		return err
	}
	attempt, err := makePayment(ctx, tx, c, origin, at)
	if err != nil {
		return err
	}
	return beginPayment(ctx, tx, c.InvoiceID, attempt, at, advance)
}

// makePayment stores the next try with the card that the account has now.
func makePayment(ctx context.Context, tx pgx.Tx, c models.Collection, origin models.InvoicePaymentOrigin, at time.Time) (attempt int, err error) {
	return queryOne[int](ctx, tx, `
		with numbered as (
			update invoice_collections
			   set attempts = attempts + 1, card_changed = false, slot_at = null, wake_at = null, revision = revision + 1
			 where invoice_id = $1
			returning *)
		insert into invoice_payments (invoice_id, attempt, account_id, origin, amount_cents, stripe_customer_id, payment_method_id, card_fingerprint, mandate_id, created_at)
		select n.invoice_id, n.attempts, n.account_id, $2, n.amount_cents, a.stripe_customer_id, k.payment_method_id, k.fingerprint, k.mandate_id, $3
		  from numbered n join accounts a on a.id = n.account_id join cards k on k.account_id = n.account_id
		returning attempt`, c.InvoiceID, origin, at)
}

// beginPayment marks a try as being charged, once, and answers it.
func beginPayment(ctx context.Context, tx pgx.Tx, invoiceID string, attempt int, at time.Time, advance *CollectionAdvance) error {
	_, err := tx.Exec(ctx, `
		update invoice_payments set bank = 'charging', bank_started_at = $3
		 where invoice_id = $1 and attempt = $2 and bank = 'waiting'`, invoiceID, attempt, at)
	if err != nil {
		return err
	}
	p, err := oneIn[models.InvoicePayment](ctx, tx, `select `+invoicePaymentColumns+` from invoice_payments where invoice_id = $1 and attempt = $2`, invoiceID, attempt)
	advance.Payment = &p
	return err
}

// failure is how a try ended without money; the zero one is no try at all, for want of
// a card to charge.
type failure struct {
	attempt int
	// byHand: the customer was there and has the answer.
	byHand bool
	// decline is the bank's code, "" if no bank declined.
	decline string
	// unanswered: the bank's question was never answered (R38).
	unanswered bool
	// review: money came that does not fit, and a person decides how to go on.
	review bool
}

// failCollection draws the conclusion from a try that ended without money: when the
// next one is, told by mail each time, or that the invoice is past due (R33).
func failCollection(ctx context.Context, tx pgx.Tx, c models.Collection, f failure, d Dunning, at time.Time) error {
	from, next := billing.AfterFailure(c, d.Days, at)
	if f.unanswered {
		next = nil
	}
	// Another card that was put meanwhile is tried now, whatever the schedule says.
	_, err := tx.Exec(ctx, `
		update invoice_collections
		   set chased_from = $2, due_at = $3::timestamptz, wake_at = case when card_changed then '-infinity' else $3::timestamptz end, slot_at = null,
		       in_review = in_review or $4, card_changed = card_changed and $5, revision = revision + 1
		 where invoice_id = $1`, c.InvoiceID, from, next, f.review, f.attempt != 0)
	if err != nil || f.review || !c.Owed() || c.Status == models.InvoicePastDue {
		return err
	}
	var attempt *int
	if f.attempt != 0 {
		attempt = &f.attempt
	}
	if next == nil {
		_, err = tx.Exec(ctx, `select invoice_past_due($1, $2, $3, $4, $5, $6, $7)`,
			c.InvoiceID, c.AccountID, attempt, orNull(f.decline), d.Tiers.Thresholds, d.Tiers.Limits, at)
	} else if !f.byHand && !(f.decline == "" && c.CardChanged) { // given up for another card, which is tried now
		_, err = tx.Exec(ctx, `select invoice_tell($1, $2, 'payment_failed', $3, $4, $5, $6)`,
			c.InvoiceID, c.AccountID, attempt, orNull(f.decline), next, at)
	}
	return err
}

// wakeAgain is how long an invoice that was woken has to look before it is woken
// again; its workflow may stand in line for its turn.
const wakeAgain = 15 * time.Minute

// WakeCollections wakes up to limit invoices whose time has come by then and of which
// nobody looked, the oldest first, but each account's first before anybody's second
// (I6). Those in review are woken when their alert is resolved. It answers how many.
func (l *Ledger) WakeCollections(ctx context.Context, now time.Time, limit int) (int64, error) {
	return value[int64](ctx, l, "wake collections", `
		with reviewed as materialized (
			select c.invoice_id from invoice_collections c
			 where c.in_review and not exists (
				select from alerts a where a.kind = 'capture_in_review' and a.subject = 'invoice/' || c.invoice_id and a.resolved_at is null)
			 for update of c skip locked),
		released as (
			update invoice_collections c
			   set in_review = false, due_at = coalesce(c.due_at, $1), wake_at = coalesce(c.due_at, $1), revision = c.revision + 1
			  from reviewed r where c.invoice_id = r.invoice_id),
		due as materialized (
			select invoice_id, account_id, wake_at from invoice_collections
			 where wake_at <= $1 and not in_review order by wake_at, invoice_id limit $3 for update skip locked),
		later as (
			update invoice_collections c set wake_at = $2 from due where c.invoice_id = due.invoice_id),
		put as materialized (
			select outbox_put('invoice_payment', invoice_id::text) from (
				select invoice_id from due
				 order by row_number() over (partition by account_id order by wake_at, invoice_id), wake_at, invoice_id) fair)
		select count(*) from put`, now, now.Add(wakeAgain), limit)
}

// RestartInvoicePayments puts up to limit tries in flight, made before the given time
// and of invoices above after, into the outbox to be gone on with, as
// [Ledger.RestartPending] does purchases (I6). It answers the last invoice's id, ""
// when there were no more.
func (l *Ledger) RestartInvoicePayments(ctx context.Context, before time.Time, after string, limit int) (string, error) {
	return value[string](ctx, l, "restart payments of invoices", `
		with page as materialized (
			select invoice_id from invoice_payments
			 where bank not in ('approved', 'declined', 'canceled', 'expired') and created_at < $1
			   and invoice_id > coalesce(nullif($2, '')::uuid, '00000000-0000-0000-0000-000000000000')
			 order by invoice_id limit $3),
		put as materialized (select invoice_id, outbox_put('start_invoice_payment', invoice_id::text) from page)
		select coalesce((select max(invoice_id::text) from put), '')`, before, after, limit)
}
