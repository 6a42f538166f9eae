package ledger

import (
	"context"

	"github.com/paystage/paystage/models"
)

// maxTierPayments bounds a list of payments; all that moved the tier are kept
// before others.
const maxTierPayments = 200

// TierPayments lists the payments that made an account's tier (R13, R53), oldest
// first: each that moved it, and the newest of the others. tiers are the thresholds
// of tiers 1, 2, ... in micro-dollars.
func (l *Ledger) TierPayments(ctx context.Context, accountID string, tiers []int64) ([]models.TierPayment, error) {
	return many[models.TierPayment](ctx, l, "read tier payments", `
		with paid as (
			select t.id, t.idempotency_key, t.kind, t.occurred_at, -sum(e.amount_micros)::bigint as amount
			  from ledger_transactions t join ledger_entries e on e.transaction_id = t.id
			 where t.account_id = $1 and e.book = 'payments'
			 group by t.id),
		summed as (
			select p.*, sum(amount) over (order by id)::bigint as lifetime from paid p),
		tiered as (
			select s.*, (select count(*) from unnest($2::bigint[]) as threshold where s.lifetime >= threshold) as tier from summed s),
		moved as (
			select t.*, tier <> coalesce(lag(tier) over (order by id), 0) as moved from tiered t),
		kept as (select * from moved order by moved desc, id desc limit $3)
		select id as transaction_id, idempotency_key as key, kind, amount as amount_micros, occurred_at,
		       lifetime as lifetime_micros, tier, moved
		  from kept order by id`, accountID, tiers, maxTierPayments)
}
