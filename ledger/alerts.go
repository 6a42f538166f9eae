package ledger

import (
	"context"
	"time"

	"github.com/paystage/paystage/models"
)

// RaiseAlert raises an alert. The same trouble that is open already stays one.
func (l *Ledger) RaiseAlert(ctx context.Context, a models.Alert) error {
	_, err := l.exec(ctx, "raise alert", `
		insert into alerts (kind, subject, account_id, detail, raised_at) values ($1, $2, $3, $4, $5)
		on conflict (kind, subject) where resolved_at is null do nothing`,
		a.Kind, a.Subject, a.AccountID, a.Detail, a.RaisedAt)
	return err
}

// maxAlerts bounds a list of alerts.
const maxAlerts = 500

// OpenAlerts lists open alerts, oldest first.
func (l *Ledger) OpenAlerts(ctx context.Context) ([]models.Alert, error) {
	return many[models.Alert](ctx, l, "list alerts", `
		select id, kind, subject, account_id::text, detail, raised_at, resolved_at
		  from alerts where resolved_at is null order by raised_at, id limit $1`, maxAlerts)
}

// ResolveAlert closes an open alert, with the audit entry of who closed it, in
// one statement. ErrNotFound if there is none open with that id.
func (l *Ledger) ResolveAlert(ctx context.Context, id int64, audit models.AuditEntry) (models.Alert, error) {
	args := append(auditArgs(audit), id)
	return one[models.Alert](ctx, l, "resolve alert", `
		with resolved as (
			update alerts set resolved_at = $1 where id = $9 and resolved_at is null returning *),
		audited as (
			insert into audit_log (at, actor, role, action, account_id, subject, reason, detail)
			select $1, $2, $3, $4, coalesce($5, account_id), coalesce(nullif($6, ''), subject), $7, $8::jsonb from resolved)
		select id, kind, subject, account_id::text, detail, raised_at, resolved_at from resolved`, args...)
}

// How long a bank may let a purchase wait before somebody looks why: for the
// customer's answer a little longer than they have, which an authorization says where
// there is one, for a charge in processing
// longer than the day that some territories take.
const (
	actionPatience     = 75 * time.Minute
	processingPatience = 30 * time.Hour
)

// SweepStuckPurchases raises an alert for every purchase that has been going for
// longer than patience: since the bank approved (R18), or since it was made
// while nobody knows what the bank says (R20). A bank that was asked or is
// processing is given longer. The work itself goes on. Alerts of purchases that
// have ended are resolved. It answers how many alerts are new.
func (l *Ledger) SweepStuckPurchases(ctx context.Context, now time.Time, patience time.Duration) (int64, error) {
	return l.exec(ctx, "sweep stuck purchases", `
		with over as (
			update alerts a set resolved_at = $1
			  from purchases p
			 where a.resolved_at is null and a.kind in ('purchase_overdue', 'bank_unknown')
			   and a.account_id = p.account_id and a.subject = 'purchase/' || p.id and p.status <> 'pending')
		insert into alerts (kind, subject, account_id, detail, raised_at)
		select case when bank = 'approved' then 'purchase_overdue' else 'bank_unknown' end,
		       'purchase/' || id, account_id,
		       case when bank = 'waiting' then 'Not started: no worker has taken it up. Nothing was charged.'
		            when bank <> 'approved' then 'The bank''s answer is not known yet. Stripe is asked until it is; nothing is charged again.'
		            when invoice_ended_at is null then 'Paid, but the invoice stage is not done.'
		            when balance_ended_at is null then 'Paid, but the balance stage is not done.'
		            else 'Paid and credited, but not every gateway has acknowledged the tier.' end,
		       $1
		  from purchases
		 where status = 'pending' and created_at <= $1::timestamptz - $2::interval
		   and (bank in ('waiting', 'charging', 'unknown') or bank_ended_at <= $1::timestamptz - $2::interval
		        or bank = 'requires_action' and created_at <= $1::timestamptz - $3::interval
		           and not exists (select from authorizations a where a.purpose = 'purchase' and a.subject_id = purchases.id and a.attempt = 1
		                              and a.expires_at > $1::timestamptz - $2::interval)
		        or bank = 'processing' and created_at <= $1::timestamptz - $4::interval)
		on conflict (kind, subject) where resolved_at is null do nothing`, now, patience, actionPatience, processingPatience)
}

// maxMailAlerts bounds how many undelivered mails are told at once: a mail server
// that takes none would bury every other alert.
const maxMailAlerts = 100

// SweepUndeliveredMails raises an alert for each mail that was tried and has not been
// delivered for longer than patience, the oldest first, and resolves those of mails
// that have left the outbox. Both go by the clock of the outbox (F24). It answers how
// many alerts are new.
func (l *Ledger) SweepUndeliveredMails(ctx context.Context, patience time.Duration) (int64, error) {
	return l.exec(ctx, "sweep undelivered mails", `
		with told as materialized (
			select id, subject from alerts where kind = $3 and resolved_at is null),
		over as (
			update alerts set resolved_at = clock_timestamp()
			 where id in (select id from told where subject not in (select kind || '/' || subject from outbox)))
		insert into alerts (kind, subject, account_id, detail, raised_at)
		select $3, o.kind || '/' || o.subject,
		       case when o.kind like 'mail\_purchase\_%' then (select account_id from purchases where id = o.subject::uuid)
		            when o.kind = 'mail_recharge_halted' then (select account_id from recharge_events where id = o.subject::bigint)
		            when o.kind = 'mail_tier_reached' then (select id from accounts where id = split_part(o.subject, '/', 1)::uuid) end,
		       format('Not delivered in %s tries: %s. It is tried again, at least every hour.', o.attempts, o.last_error),
		       clock_timestamp()
		  from outbox o
		 where o.kind like 'mail\_%' and o.last_error is not null and o.created_at <= clock_timestamp() - $1::interval
		   and o.kind || '/' || o.subject not in (select subject from told)
		 order by o.created_at, o.id
		 limit greatest(0, $2 - (select count(*) from told))
		on conflict (kind, subject) where resolved_at is null do nothing`, patience, maxMailAlerts, models.AlertMailUndelivered)
}

// RestartPending puts up to limit pending purchases, made before the given time
// and with ids above after, into the outbox to be started. A workflow that is
// there ignores it; one that Temporal lost begins again from the database (I6).
// It answers the last id, "" when there were no more.
func (l *Ledger) RestartPending(ctx context.Context, before time.Time, after string, limit int) (string, error) {
	return value[string](ctx, l, "restart pending purchases", `
		with page as materialized (
			select id from purchases
			 where status = 'pending' and created_at < $1 and id > coalesce(nullif($2, '')::uuid, '00000000-0000-0000-0000-000000000000')
			 order by id limit $3),
		put as materialized (select id, outbox_put('start_purchase', id::text) from page)
		select coalesce((select max(id::text) from put), '')`, before, after, limit)
}

// authorizationPatience is how long a customer may take to answer the bank about an
// invoice: longer than their link holds.
const authorizationPatience = 8 * 24 * time.Hour

// SweepStuckInvoices raises an alert for every try to have an invoice paid whose
// outcome has been unknown for longer than patience, and one if invoices have been due
// for longer than due while none was charged for as long as idle (I6). It resolves
// those that are over, and answers how many are new.
func (l *Ledger) SweepStuckInvoices(ctx context.Context, now time.Time, patience, due, idle time.Duration) (int64, error) {
	return l.exec(ctx, "sweep stuck payments of invoices", `
		with late as materialized (
			select 'invoice_payments_behind' as kind, 'invoices' as subject, null::uuid as account_id,
			       format('%s invoices have been due for over %s and none is being charged. Look whether a worker runs, and whether Stripe answers.', count(*), $3::interval) as detail
			  from invoice_collections
			 where due_at <= $1::timestamptz - $3::interval and wake_at is not null and not in_review
			   and not exists (select from invoice_payments where created_at > $1::timestamptz - $4::interval)
			having count(*) > 0),
		stuck as materialized (
			select 'bank_unknown' as kind, 'invoice/' || invoice_id as subject, account_id,
			       case when bank = 'waiting' then 'The payment of the invoice is not started: no worker has taken it up. Nothing was charged.'
			            else 'What became of the payment of the invoice is not known yet. Stripe is asked until it is; nothing is charged again.' end as detail
			  from invoice_payments
			 where bank not in ('approved', 'declined', 'canceled', 'expired') and created_at <= $1::timestamptz - $2::interval
			   and (bank in ('waiting', 'charging', 'unknown')
			        or bank = 'requires_action' and created_at <= $1::timestamptz - $5::interval
			        or bank = 'processing' and created_at <= $1::timestamptz - $6::interval)),
		over as (
			update alerts set resolved_at = $1
			 where resolved_at is null and kind = 'invoice_payments_behind' and not exists (select from late))
		insert into alerts (kind, subject, account_id, detail, raised_at)
		select kind, subject, account_id, detail, $1 from late union all select kind, subject, account_id, detail, $1 from stuck
		on conflict (kind, subject) where resolved_at is null do nothing`, now, patience, due, idle, authorizationPatience, processingPatience)
}
