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

const invoicePaymentColumns = `invoice_id::text, attempt, account_id::text, origin, amount_cents, stripe_customer_id, payment_method_id,
	card_fingerprint, mandate_id, bank, payment_intent_id, captured_cents, decline_code, decline_known, authorization_url,
	created_at, bank_started_at, bank_ended_at`

// InvoicePayments lists the tries to have an invoice paid, in their order.
func (l *Ledger) InvoicePayments(ctx context.Context, invoiceID string) ([]models.InvoicePayment, error) {
	return many[models.InvoicePayment](ctx, l, "list payments of invoice",
		`select `+invoicePaymentColumns+` from invoice_payments where invoice_id = $1 order by attempt`, invoiceID)
}

// InvoicePayment reads one try to have an invoice paid.
func (l *Ledger) InvoicePayment(ctx context.Context, invoiceID string, attempt int) (models.InvoicePayment, error) {
	return one[models.InvoicePayment](ctx, l, "read payment of invoice",
		`select `+invoicePaymentColumns+` from invoice_payments where invoice_id = $1 and attempt = $2`, invoiceID, attempt)
}

// PayInvoice has an invoice paid by hand: it makes a try and has it charged at once,
// or joins the one in flight, so that two at once charge once (R33). The same key
// answers the same try, for ever; for another invoice it is ErrIdempotencyMismatch.
// Attempt is 0 for an invoice that was paid before, and ErrInvoiceNotOwed one that is
// not owed. A *billing.Refusal says why the card is not charged.
func (l *Ledger) PayInvoice(ctx context.Context, invoiceID, key string, at time.Time) (attempt int, err error) {
	err = l.collect(ctx, "pay invoice", invoiceID, at, func(tx pgx.Tx, c models.Collection) error {
		attempt, err = paidUnderKey(ctx, tx, c, key)
		if err != nil || attempt != 0 || c.Status == models.InvoicePaid {
			return err
		}
		if !c.Owed() {
			return ErrInvoiceNotOwed
		}
		attempt = c.InFlight
		if attempt == 0 {
			if err := billing.CheckInvoicePayment(c); err != nil {
				return err
			}
			if attempt, err = makePayment(ctx, tx, c, models.PaidByHand, at); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `select outbox_put('invoice_payment_now', $1)`, c.InvoiceID); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `insert into invoice_payment_keys (account_id, idempotency_key, invoice_id, attempt) values ($1, $2, $3, $4)`,
			c.AccountID, key, c.InvoiceID, attempt)
		return err
	})
	return attempt, err
}

// paidUnderKey is the try that was asked for under the key, 0 if there is none.
func paidUnderKey(ctx context.Context, tx pgx.Tx, c models.Collection, key string) (int, error) {
	known, err := oneIn[struct {
		InvoiceID string
		Attempt   int
	}](ctx, tx, `select invoice_id::text, attempt from invoice_payment_keys where account_id = $1 and idempotency_key = $2`, c.AccountID, key)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err == nil && known.InvoiceID != c.InvoiceID {
		err = ErrIdempotencyMismatch
	}
	return known.Attempt, err
}

// InvoiceAnswer is what the bank said of a try to have an invoice paid.
type InvoiceAnswer struct {
	InvoiceID string
	Attempt   int
	BankAnswer
	// Unanswered: the bank asked its customer, who did not answer in time (R38).
	Unanswered bool
}

// NoteInvoicePayment stores what a try waits for. After a final answer it is late, and
// says nothing.
func (l *Ledger) NoteInvoicePayment(ctx context.Context, a InvoiceAnswer) error {
	return l.RecordInvoicePayment(ctx, a, Dunning{})
}

// RecordInvoicePayment stores what the bank said, with all that follows from it, in
// one transaction: an approval pays the invoice and restores the account, anything
// else has the schedule go on. A repeat is nothing, and a final answer stands: one
// that differs is ErrNotAsRecorded (I2).
func (l *Ledger) RecordInvoicePayment(ctx context.Context, a InvoiceAnswer, d Dunning) error {
	return l.collect(ctx, "record payment of invoice", a.InvoiceID, a.At, func(tx pgx.Tx, c models.Collection) error {
		return recordInvoicePayment(ctx, tx, c, a, failure{}, d)
	})
}

func recordInvoicePayment(ctx context.Context, tx pgx.Tx, c models.Collection, a InvoiceAnswer, f failure, d Dunning) error {
	var known *bool
	if a.State == models.BankDeclined {
		known = &a.DeclineKnown
	}
	changed, err := queryOne[bool](ctx, tx, `select invoice_payment_record_bank($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		a.InvoiceID, a.Attempt, a.State, orNull(a.PaymentIntentID), a.CapturedCents, orNull(a.DeclineCode), known, orNull(a.AuthorizationURL), a.At)
	if err != nil {
		return err
	}
	p, err := oneIn[models.InvoicePayment](ctx, tx,
		`select `+invoicePaymentColumns+` from invoice_payments where invoice_id = $1 and attempt = $2`, a.InvoiceID, a.Attempt)
	switch {
	case err != nil:
		return err
	case !changed:
		return contradiction(p, a)
	case !a.State.Final():
		return nil
	case a.State == models.BankApproved:
		_, err = tx.Exec(ctx, `select invoice_paid($1, $2, $3, $4, $5)`, a.InvoiceID, a.Attempt, d.Tiers.Thresholds, d.Tiers.Limits, a.At)
		return err
	}
	f.attempt, f.byHand, f.decline, f.unanswered = a.Attempt, p.Origin == models.PaidByHand, a.DeclineCode, a.Unanswered
	return failCollection(ctx, tx, c, f, d, a.At)
}

// contradiction says whether an answer that changed nothing says otherwise than the
// final one that there is.
func contradiction(p models.InvoicePayment, a InvoiceAnswer) error {
	switch {
	case a.State.Final() && p.Bank != a.State:
		return fmt.Errorf("payment %d of invoice %s is %s already, not %s: %w", p.Attempt, p.InvoiceID, p.Bank, a.State, ErrNotAsRecorded)
	case a.State == models.BankApproved && *p.PaymentIntentID != a.PaymentIntentID:
		return fmt.Errorf("payment %d of invoice %s is paid by %s already, not %s: %w", p.Attempt, p.InvoiceID, *p.PaymentIntentID, a.PaymentIntentID, ErrNotAsRecorded)
	}
	return nil
}

// ReviewInvoicePayment puts an answer before a person that contradicts the invoice or
// what is settled of it (I3). A try that has not ended ends without money, and nothing
// more is charged for the invoice until the alert is resolved. Between two ends
// without money there is nothing to review: the first one stands.
func (l *Ledger) ReviewInvoicePayment(ctx context.Context, a InvoiceAnswer, d Dunning) error {
	return l.collect(ctx, "review payment of invoice", a.InvoiceID, a.At, func(tx pgx.Tx, c models.Collection) error {
		p, err := oneIn[models.InvoicePayment](ctx, tx,
			`select `+invoicePaymentColumns+` from invoice_payments where invoice_id = $1 and attempt = $2`, a.InvoiceID, a.Attempt)
		if err != nil || p.Bank.Final() && p.Bank != models.BankApproved && a.State != models.BankApproved {
			return err
		}
		_, err = tx.Exec(ctx, `
			insert into alerts (kind, subject, account_id, detail, raised_at) values ('capture_in_review', 'invoice/' || $1::text, $2, $3, $4)
			on conflict (kind, subject) where resolved_at is null do nothing`, c.InvoiceID, c.AccountID, fmt.Sprintf(
			"Stripe says %s of %s with %d cents captured; the invoice is of %d cents and %s. Refund it, and resolve this alert to have the invoice charged again; or void the invoice.",
			a.State, a.PaymentIntentID, a.CapturedCents, c.AmountCents, c.Status), a.At)
		if err != nil {
			return err
		}
		if p.Bank.Final() {
			_, err = tx.Exec(ctx, `update invoice_collections set in_review = $2 where invoice_id = $1`, c.InvoiceID, c.Owed())
			return err
		}
		ending := InvoiceAnswer{InvoiceID: a.InvoiceID, Attempt: a.Attempt, BankAnswer: BankAnswer{State: models.BankCanceled, At: a.At}}
		if p.PaymentIntentID == nil {
			ending.PaymentIntentID = a.PaymentIntentID
		}
		return recordInvoicePayment(ctx, tx, c, ending, failure{review: true}, d)
	})
}

// WriteOff is how support ends an unpaid invoice.
type WriteOff struct {
	InvoiceID string
	// Status is void or uncollectible.
	Status models.InvoiceStatus
	// Restore lets an account go on that the invoice would keep suspended.
	Restore bool
	Audit   models.AuditEntry
}

// WriteOffInvoice ends an unpaid invoice without money, with the audit entry of who
// said so and why. ErrPaymentInFlight while a payment has not ended: what becomes of
// the invoice hangs on that. An invoice that has ended otherwise is ErrInvoicePaid or
// ErrInvoiceNotOwed; one that has ended so is left as it is, and no second entry.
func (l *Ledger) WriteOffInvoice(ctx context.Context, w WriteOff, rules models.TierRules) error {
	at := w.Audit.At
	return l.collect(ctx, "write off invoice", w.InvoiceID, at, func(tx pgx.Tx, c models.Collection) error {
		switch {
		case c.InFlight != 0:
			return ErrPaymentInFlight
		case c.Status == models.InvoicePaid:
			return ErrInvoicePaid
		case !c.Owed() && c.Status != w.Status:
			return ErrInvoiceNotOwed
		}
		changed, err := queryOne[bool](ctx, tx, `select invoice_write_off($1, $2, $3, $4, $5, $6, $7, $8)`,
			c.InvoiceID, c.AccountID, w.Status, w.Audit.Reason, w.Restore, rules.Thresholds, rules.Limits, at)
		if err != nil || !changed {
			return err
		}
		_, err = tx.Exec(ctx, insertAudit, auditArgs(w.Audit)...)
		return err
	})
}

// InvoiceEvent reads what was to be told of an invoice.
func (l *Ledger) InvoiceEvent(ctx context.Context, id string) (models.InvoiceEvent, error) {
	return one[models.InvoiceEvent](ctx, l, "read event of invoice", `
		select id, invoice_id::text, account_id::text, kind, coalesce(decline_code, '') as decline_code, next_at, at
		  from invoice_events where id = $1::text::bigint`, id)
}
