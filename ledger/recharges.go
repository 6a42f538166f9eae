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

// selectRecharge reads all that decides about an account's auto-recharge at $2. A
// purchase at the checkout that waits for its customer is not in flight: nobody is
// charged while they are away.
const selectRecharge = `
	select b.account_id::text, r.account_id is not null as configured, coalesce(r.enabled, false) as enabled,
	       coalesce(r.amount_cents, 0) as amount_cents, coalesce(r.threshold_cents, 0) as threshold_cents, r.monthly_cap_cents,
	       coalesce(r.confirmed_purchases, 0) as confirmed_purchases, r.confirmed_at,
	       b.free_micros + b.purchased_micros - b.accrued_micros as balance_micros,
	       f.in_flight_cents, m.spent_cents, m.made_last_hour, m.made_since_confirmed,
	       k.account_id is not null as has_card, coalesce(k.fingerprint, '') as fingerprint,
	       coalesce(c.halt, '') as card_halt, coalesce(c.decline_code, '') as card_decline_code, coalesce(c.tries, 0) as card_tries,
	       c.until_at as card_until,
	       d.declines as card_declines, d.oldest + $4::interval as card_declines_until,
	       coalesce(r.halt, '') as halt, r.halt_until, o.held,
	       p.id::text as purchase_id, coalesce(p.status, '') as purchase_status, p.created_at as purchase_at,
	       p.balance_ended_at is not null as purchase_credited,
	       coalesce(p.decline_code, case when z.id is not null then 'authentication_required' end, '') as purchase_decline,
	       coalesce(p.card_fingerprint, '') as purchase_card,
	       case when z.ended_at is null then z.expires_at end as approval_until, coalesce(z.state = 'replaced', false) as purchase_replaced
	  from balances b
	 cross join recharge_control o
	  left join auto_recharges r on r.account_id = b.account_id
	  left join cards k on k.account_id = b.account_id
	  left join recharge_cards c on c.account_id = b.account_id and c.fingerprint = k.fingerprint
	  left join purchases p on p.id = r.purchase_id
	  left join authorizations z on z.purpose = 'purchase' and z.subject_id = r.purchase_id and z.attempt = 1
	 cross join lateral (
		select coalesce(sum(amount_cents), 0)::bigint as in_flight_cents from purchases
		 where account_id = b.account_id and status = 'pending' and balance_ended_at is null
		   and not (origin = 'checkout' and bank = 'requires_action')) f
	 cross join lateral (
		select coalesce(sum(amount_cents) filter (where status in ('pending', 'completed')
		                                            and created_at >= date_trunc('month', $2 at time zone 'UTC') at time zone 'UTC'), 0)::bigint as spent_cents,
		       count(*) filter (where created_at > $2 - interval '1 hour') as made_last_hour,
		       count(*) filter (where created_at >= r.confirmed_at) as made_since_confirmed
		  from purchases
		 where account_id = b.account_id and origin = 'auto_recharge'
		   and created_at >= least(date_trunc('month', $2 at time zone 'UTC') at time zone 'UTC', $2 - interval '25 hours')) m
	 cross join lateral card_declines(k.fingerprint, $2::timestamptz - $4::interval, $3) d
	 where b.account_id = $1`

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readRecharge(ctx context.Context, q querier, accountID string, at time.Time) (models.Recharge, error) {
	rows, _ := q.Query(ctx, selectRecharge, accountID, at, billing.NetworkDeclines, billing.NetworkWindow) // CollectExactlyOneRow reports its error
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByNameLax[models.Recharge])
	return r, wrap("read auto-recharge", err)
}

// Recharge reads an account's auto-recharge as it is at that time, configured or not.
func (l *Ledger) Recharge(ctx context.Context, accountID string, at time.Time) (models.Recharge, error) {
	return readRecharge(ctx, l.pool, accountID, at)
}

// ConfigureRecharge stores what the customer asks for, with the number of purchases
// of the plan that they confirmed, and has the account's loop look if there is
// something to buy.
func (l *Ledger) ConfigureRecharge(ctx context.Context, accountID string, s models.RechargeSettings, confirmed int64, at time.Time) error {
	_, err := l.exec(ctx, "configure auto-recharge", `select recharge_configure($1, $2, $3, $4, $5, $6, $7)`,
		accountID, s.Enabled, s.AmountCents, s.ThresholdCents, s.MonthlyCapCents, confirmed, at)
	return err
}

// RechargeEvent reads a halt as it happened.
func (l *Ledger) RechargeEvent(ctx context.Context, id string) (models.RechargeEvent, error) {
	return one[models.RechargeEvent](ctx, l, "read recharge event", `
		select id, account_id::text, halt, decline_code, until_at as until, at from recharge_events where id = $1::text::bigint`, id)
}

// maxRechargeEvents bounds a list of events.
const maxRechargeEvents = 200

// RechargeEvents lists the newest halts of an account, newest first.
func (l *Ledger) RechargeEvents(ctx context.Context, accountID string) ([]models.RechargeEvent, error) {
	return many[models.RechargeEvent](ctx, l, "list recharge events", `
		select id, account_id::text, halt, decline_code, until_at as until, at
		  from recharge_events where account_id = $1 order by id desc limit $2`, accountID, maxRechargeEvents)
}

// WakeRecharges wakes up to limit loops that should have looked before the given
// time and did not, whatever kept them, and answers how many (R28). While all charges are held
// these are those alone that have a recharge to look at. They have until again to look; then they are found once more.
func (l *Ledger) WakeRecharges(ctx context.Context, before, again time.Time, limit int) (int64, error) {
	return value[int64](ctx, l, "wake recharges", `
		with due as materialized (
			select account_id from auto_recharges
			 where due_at <= $1 and (purchase_id is not null or not (select held from recharge_control))
			 order by due_at, account_id limit $3 for update skip locked),
		later as (
			update auto_recharges r set due_at = $2 from due where r.account_id = due.account_id),
		put as materialized (select outbox_put('recharge', account_id::text) from due)
		select count(*) from put`, before, again, limit)
}

// SweepRunawayRecharges raises an alert for each account that was charged by itself
// more often in the last hour than perAccount allows and its customer confirmed, and
// one if all together were more often than perHour. It resolves those that are over,
// and answers how many are new.
func (l *Ledger) SweepRunawayRecharges(ctx context.Context, now time.Time, perAccount, perHour int64) (int64, error) {
	return l.exec(ctx, "sweep runaway recharges", `
		with made as materialized (
			select account_id, count(*) as n from purchases
			 where origin = 'auto_recharge' and created_at > $1::timestamptz - interval '1 hour' group by account_id),
		runaway as materialized (
			select 'auto-recharge/' || m.account_id as subject, m.account_id,
			       format('%s automatic charges within an hour; %s are allowed. Hold them all with: starter auto-recharge pause --all', m.n, $2::bigint) as detail
			  from made m left join auto_recharges r on r.account_id = m.account_id
			 where m.n > $2 and m.n > coalesce(r.confirmed_purchases, 0)
			union all
			select 'auto-recharge', null, format('%s automatic charges within an hour, of %s accounts. Hold them all with: starter auto-recharge pause --all', sum(n), count(*))
			  from made having sum(n) > $3),
		over as (
			update alerts a set resolved_at = $1
			 where a.resolved_at is null and a.kind = 'recharge_runaway' and not exists (select from runaway r where r.subject = a.subject))
		insert into alerts (kind, subject, account_id, detail, raised_at)
		select 'recharge_runaway', subject, account_id, detail, $1 from runaway
		on conflict (kind, subject) where resolved_at is null do nothing`, now, perAccount, perHour)
}

// HoldRecharges holds all automatic charges, or lets them go on, with the audit
// entry of who said so. What is due meanwhile stays due.
func (l *Ledger) HoldRecharges(ctx context.Context, held bool, audit models.AuditEntry) error {
	args := append(auditArgs(audit), held)
	_, err := l.exec(ctx, "hold recharges", `
		with audited as (`+insertAudit+`)
		update recharge_control set held = $9`, args...)
	return err
}

// NewRecharge is what an account's loop may need for its next step.
type NewRecharge struct {
	AccountID string
	// PurchaseID is the id of the purchase, should one be made.
	PurchaseID string
	At         time.Time
	// Pace is the least time between two automatic charges of the whole system; 0 is
	// no bound.
	Pace time.Duration
}

// RechargeAdvance is how an account's loop goes on.
type RechargeAdvance struct {
	Action billing.RechargeAction
	// Wait is how long to wait for a turn or for what is in flight; 0 when the loop
	// has nothing to wait for.
	Wait time.Duration
}

// rechargeInFlight is how long the gateways may answer that credits are on their
// way (R55), from the beginning of each recharge.
const rechargeInFlight = 15 * time.Minute

// AdvanceRecharge takes the next step of an account's loop, in one transaction: it
// looks at how the last recharge ended, decides, and makes the next one or notes
// why not. The second time it finds what the first one did.
func (l *Ledger) AdvanceRecharge(ctx context.Context, n NewRecharge) (RechargeAdvance, error) {
	return conflictsAgain(ctx, func() (RechargeAdvance, error) {
		advance := RechargeAdvance{Action: billing.RechargeRest}
		err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
			// Held from here on: whoever crosses the threshold meanwhile waits, and has
			// the loop look once more.
			if _, err := queryOne[string](ctx, tx, `select account_id::text from auto_recharges where account_id = $1 for update`, n.AccountID); err != nil {
				return err
			}
			var err error
			advance, err = advanceRecharge(ctx, tx, n)
			return err
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return RechargeAdvance{Action: billing.RechargeRest}, nil
		}
		return advance, wrap("advance recharge", err)
	})
}

func queryOne[T any](ctx context.Context, tx pgx.Tx, sql string, args ...any) (T, error) {
	rows, _ := tx.Query(ctx, sql, args...) // CollectExactlyOneRow reports its error
	return pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
}

func advanceRecharge(ctx context.Context, tx pgx.Tx, n NewRecharge) (RechargeAdvance, error) {
	r, err := readRecharge(ctx, tx, n.AccountID, n.At)
	if err == nil && r.PurchaseID != nil && (r.PurchaseCredited || r.PurchaseStatus != models.PurchasePending) {
		if err = settleRecharge(ctx, tx, r, n.At); err == nil {
			r, err = readRecharge(ctx, tx, n.AccountID, n.At)
		}
	}
	if err != nil {
		return RechargeAdvance{}, err
	}
	step, err := billing.NextRecharge(r, n.At)
	if err != nil {
		return RechargeAdvance{}, err
	}
	switch step.Action {
	case billing.RechargeBuy:
		return buyRecharge(ctx, tx, n)
	case billing.RechargeAwait:
		wait := recheckAfter(n.At.Sub(*r.PurchaseAt))
		return RechargeAdvance{Action: step.Action, Wait: wait}, lookAgain(ctx, tx, n, new(n.At.Add(wait)))
	case billing.RechargeHalted:
		return RechargeAdvance{Action: step.Action}, noteHalt(ctx, tx, r, step, n)
	case billing.RechargeRest:
		return RechargeAdvance{Action: step.Action}, noteRest(ctx, tx, r, n)
	}
	return RechargeAdvance{}, fmt.Errorf("no such step: %s", step.Action)
}

// The end of a recharge wakes the loop. Looking without that is for what got lost,
// ever more rarely: a bank may hold a charge for a day.
func recheckAfter(age time.Duration) time.Duration {
	return min(max(age, time.Minute), 30*time.Minute)
}

// lookAgain notes when the loop is to look at the latest, with nil not before it is woken.
func lookAgain(ctx context.Context, tx pgx.Tx, n NewRecharge, due *time.Time) error {
	_, err := tx.Exec(ctx, `update auto_recharges set due_at = $2 where account_id = $1`, n.AccountID, due)
	return err
}

// settleRecharge draws the conclusion from how the last recharge ended: its card is
// good, or there is a halt to note and to tell (R27). One that ended without a word
// of the bank counts as declined without a reason; one that another card replaced says
// nothing of any card.
func settleRecharge(ctx context.Context, tx pgx.Tx, r models.Recharge, at time.Time) error {
	if _, err := tx.Exec(ctx, `update auto_recharges set purchase_id = null where account_id = $1`, r.AccountID); err != nil {
		return err
	}
	if r.PurchaseCredited {
		_, err := tx.Exec(ctx, `delete from recharge_cards where account_id = $1 and fingerprint = $2`, r.AccountID, r.PurchaseCard)
		return err
	}
	if r.PurchaseReplaced {
		return nil
	}
	tries, err := queryOne[int](ctx, tx, `
		select coalesce((select tries from recharge_cards where account_id = $1 and fingerprint = $2), 0)`, r.AccountID, r.PurchaseCard)
	if err != nil {
		return err
	}
	halt := billing.AfterDecline(r.PurchaseDecline, tries, at)
	_, err = tx.Exec(ctx, `
		insert into recharge_cards (account_id, fingerprint, halt, decline_code, tries, until_at, at) values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (account_id, fingerprint) do update
		   set halt = excluded.halt, decline_code = excluded.decline_code, tries = excluded.tries, until_at = excluded.until_at, at = excluded.at`,
		r.AccountID, r.PurchaseCard, halt.Halt, halt.DeclineCode, halt.Tries, halt.Until, at)
	if err != nil {
		return err
	}
	return tellHalt(ctx, tx, r.AccountID, halt, r.PurchaseID, at)
}

func tellHalt(ctx context.Context, tx pgx.Tx, accountID string, halt models.CardHalt, purchaseID *string, at time.Time) error {
	_, err := tx.Exec(ctx, `select recharge_tell($1, $2, $3, $4, $5, $6)`, accountID, halt.Halt, halt.DeclineCode, halt.Until, purchaseID, at)
	return err
}

// buyRecharge makes the next purchase, or waits for its turn to.
func buyRecharge(ctx context.Context, tx pgx.Tx, n NewRecharge) (RechargeAdvance, error) {
	wait, err := queryOne[int64](ctx, tx, `select recharge_buy($1, $2, $3, $4, $5)`,
		n.AccountID, n.PurchaseID, n.Pace, rechargeInFlight, n.At)
	if err != nil {
		return RechargeAdvance{}, err
	}
	if wait > 0 {
		return RechargeAdvance{Action: billing.RechargeBuy, Wait: time.Duration(wait) * time.Microsecond}, nil
	}
	wakeUp := recheckAfter(0)
	return RechargeAdvance{Action: billing.RechargeAwait, Wait: wakeUp}, lookAgain(ctx, tx, n, new(n.At.Add(wakeUp)))
}

// noteHalt notes why nothing is bought, and tells it if it is news. What the company
// holds stays due: it is no trouble of the account's.
func noteHalt(ctx context.Context, tx pgx.Tx, r models.Recharge, step billing.RechargeStep, n NewRecharge) error {
	if err := announce(ctx, tx, n); err != nil {
		return err
	}
	switch {
	case step.Halt == models.HaltHeld:
		return lookAgain(ctx, tx, n, &n.At)
	case step.Halt.OfCard(): // told when the card was declined
		return lookAgain(ctx, tx, n, step.Until)
	}
	known := r.Halt == step.Halt && r.HaltUntil != nil && r.HaltUntil.Equal(*step.Until)
	_, err := tx.Exec(ctx, `update auto_recharges set halt = $2, halt_until = $3, due_at = $3 where account_id = $1`,
		n.AccountID, step.Halt, step.Until)
	if err != nil || known {
		return err
	}
	return tellHalt(ctx, tx, n.AccountID, models.CardHalt{Halt: step.Halt, Until: step.Until}, nil, n.At)
}

// noteRest ends the loop. Where the balance is still below the threshold because a
// customer is buying, it looks again in a minute: they may not finish.
func noteRest(ctx context.Context, tx pgx.Tx, r models.Recharge, n NewRecharge) error {
	if err := announce(ctx, tx, n); err != nil {
		return err
	}
	var due *time.Time
	if r.Enabled && r.InFlightCents > 0 {
		due = new(n.At.Add(time.Minute))
	}
	_, err := tx.Exec(ctx, `update auto_recharges set halt = null, halt_until = null, slot_at = null, due_at = $2 where account_id = $1`,
		n.AccountID, due)
	return err
}

// announce has the gateways know that nothing is in flight any more (R55).
func announce(ctx context.Context, tx pgx.Tx, n NewRecharge) error {
	_, err := tx.Exec(ctx, `select recharge_announce($1, null, $2)`, n.AccountID, n.At)
	return err
}
