package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/models"
)

const (
	// maxReasons bounds each list of an as-of view.
	maxReasons = 200
	// maxTransactions bounds a page of ledger transactions.
	maxTransactions = 100
	// asOfTimeout: a million transactions of one account take seconds to sum.
	asOfTimeout = `set local statement_timeout = '60s'`
)

// booksAsOf are the balances of an account ($1) at an instant ($2), each time with
// one of the first grants ($3) of which something was left; one row without if there
// was none. What is left of a grant is its own entry and those that took from it. It
// reads every entry of the account, so it does so once.
const booksAsOf = `
	with moves as materialized (
		select e.book, coalesce(e.grant_id, case when e.book in ('free', 'purchased') then e.transaction_id end) as grant_id,
		       sum(e.amount_micros)::bigint as micros
		  from ledger_entries e join ledger_transactions t on t.id = e.transaction_id
		 where e.account_id = $1 and t.recorded_at <= $2
		 group by 1, 2),
	books as (
		select coalesce(sum(micros) filter (where book = 'free'), 0)::bigint      as free_micros,
		       coalesce(sum(micros) filter (where book = 'purchased'), 0)::bigint as purchased_micros,
		       -coalesce(sum(micros) filter (where book = 'accrued'), 0)::bigint  as accrued_micros,
		       -coalesce(sum(micros) filter (where book = 'payments'), 0)::bigint as lifetime_spend_micros,
		       -coalesce(sum(micros) filter (where book = 'invoiced'), 0)::bigint as invoiced_micros,
		       count(*) filter (where grant_id is not null and micros > 0)        as grant_count
		  from moves),
	open as (
		select m.grant_id as id, m.book::text, g.granted_micros, m.micros as left_micros, t.recorded_at as at
		  from moves m join credit_grants g on g.id = m.grant_id join ledger_transactions t on t.id = m.grant_id
		 where m.micros > 0
		 order by m.grant_id limit $3)
	select b.*, o.* from books b left join open o on true order by o.id`

// booksRow is one row of booksAsOf.
type booksRow struct {
	FreeMicros, PurchasedMicros, AccruedMicros, LifetimeSpendMicros, InvoicedMicros, GrantCount int64
	ID, GrantedMicros, LeftMicros                                                               *int64
	Book                                                                                        *string
	At                                                                                          *time.Time
}

const paymentsAsOf = `
	select t.id as transaction_id, substring(t.idempotency_key from '^purchase/(.+)$') as purchase_id,
	       substring(t.idempotency_key from '^invoice_payment/(.+)$') as invoice_id, -e.amount_micros as amount_micros,
	       -(sum(e.amount_micros) over (order by t.id))::bigint as lifetime_spend_micros, t.recorded_at as at, count(*) over () as payment_count
	  from ledger_entries e join ledger_transactions t on t.id = e.transaction_id
	 where e.account_id = $1 and e.book = 'payments' and t.recorded_at <= $2
	 order by t.id limit $3`

// paymentRow is one row of paymentsAsOf.
type paymentRow struct {
	models.PaymentAsOf
	PaymentCount int64
}

// entitlementAsOf is the newest change until then, and since when its block and its
// suspension had lasted.
const entitlementAsOf = `
	with known as (
		select version, tier, suspended, blocked, changed_at, recorded_at from entitlement_changes
		 where account_id = $1 and recorded_at <= $2)
	select n.version, n.tier, n.suspended, n.blocked and n.tier > 0 as blocked, n.changed_at,
	       case when n.blocked then (select min(k.recorded_at) from known k
	         where k.recorded_at > coalesce((select max(recorded_at) from known where not blocked), '-infinity')) end as blocked_since,
	       case when n.suspended then (select min(k.recorded_at) from known k
	         where k.recorded_at > coalesce((select max(recorded_at) from known where not suspended), '-infinity')) end as suspended_since
	  from known n order by n.recorded_at desc, n.version desc limit 1`

const termsAsOf = `
	select plan, support_limit_micros, customer_limit_micros, changed_by, reason, changed_at
	  from account_terms where account_id = $1 and recorded_at <= $2 order by id desc limit 1`

// AsOf reads how an account stood at an instant of the past, by the database's clock
// when each change was written (R53).
func (l *Ledger) AsOf(ctx context.Context, accountID string, at time.Time) (v models.AsOf, err error) {
	err = l.snapshot(ctx, "read account as of an instant", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, asOfTimeout); err != nil {
			return err
		}
		if err := readBooks(ctx, tx, &v, accountID, at); err != nil {
			return err
		}
		// An account that was not yet there had neither of the two.
		if v.Entitlement, err = oneIn[models.EntitlementAsOf](ctx, tx, entitlementAsOf, accountID, at); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		terms, err := oneIn[models.AccountTerms](ctx, tx, termsAsOf, accountID, at)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		v.Terms = &terms
		return err
	})
	return v, err
}

// readBooks reads the balances of then, the grants and the payments.
func readBooks(ctx context.Context, tx pgx.Tx, v *models.AsOf, accountID string, at time.Time) error {
	rows, err := manyIn[booksRow](ctx, tx, booksAsOf, accountID, at, maxReasons)
	if err != nil {
		return err
	}
	for _, r := range rows {
		v.FreeMicros, v.PurchasedMicros, v.AccruedMicros, v.LifetimeSpendMicros = r.FreeMicros, r.PurchasedMicros, r.AccruedMicros, r.LifetimeSpendMicros
		v.InvoicedMicros, v.GrantCount = r.InvoicedMicros, r.GrantCount
		if r.ID != nil {
			v.Grants = append(v.Grants, models.GrantAsOf{ID: *r.ID, Book: *r.Book, GrantedMicros: *r.GrantedMicros, LeftMicros: *r.LeftMicros, At: *r.At})
		}
	}
	payments, err := manyIn[paymentRow](ctx, tx, paymentsAsOf, accountID, at, maxReasons)
	for _, p := range payments {
		v.Payments, v.PaymentCount = append(v.Payments, p.PaymentAsOf), p.PaymentCount
	}
	return err
}

// LedgerLines lists the entries of a page of an account's ledger transactions, newest
// first, from those before the one with that id on (0 for the newest). Lines of one
// transaction follow each other.
func (l *Ledger) LedgerLines(ctx context.Context, accountID string, before int64) ([]models.LedgerLine, error) {
	return many[models.LedgerLine](ctx, l, "list ledger transactions", `
		select t.id as transaction_id, t.idempotency_key, t.kind, t.occurred_at, t.recorded_at, e.book::text, e.amount_micros, e.grant_id
		  from (select * from ledger_transactions where account_id = $1 and ($2 = 0 or id < $2) order by id desc limit $3) t
		  join ledger_entries e on e.transaction_id = t.id
		 order by t.id desc, e.line`, accountID, before, maxTransactions)
}
