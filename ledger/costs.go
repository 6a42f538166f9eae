package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/models"
)

// costLines are all the lines of an account's month ($1, $2), numbered from 0. A line
// has the micro-dollars by which the sum of the lines before it grows when it is
// added and the sum is rounded down: so the lines sum to their total, whatever part
// of them is taken, and none is a micro-dollar off what it cost.
const costLines = `
	with picos as (
		select 'usage' as part, p.sku, p.unit, t.resource, '' as name, t.events, t.quantity, t.picos
		  from usage_totals t join prices p on p.id = t.price_id where t.account_id = $1 and t.period = $2
		union all
		select 'deployments', p.sku, 'second', t.deployment_id::text, c.name, 0, t.seconds, t.picos
		  from deployment_totals t join prices p on p.id = t.price_id join creations c on c.id = t.deployment_id
		 where t.account_id = $1 and t.period = $2
		union all
		select case when d.id is null then 'jobs' else 'deployments' end, p.sku, p.unit, c.id::text, c.name, 1, 1, p.picos_per_unit
		  from creations c join prices p on p.id = c.price_id left join deployments d on d.id = c.id
		 where c.account_id = $1 and c.created_at >= $2::timestamp at time zone 'UTC'
		   and c.created_at < ($2::timestamp + interval '1 month') at time zone 'UTC'),
	summed as (
		select part, sku, unit, resource, name, sum(events)::bigint as events, sum(quantity) as quantity, sum(picos) as picos
		  from picos group by part, sku, unit, resource, name),
	lines as (
		select *, row_number() over line - 1 as number,
		       (div(sum(picos) over line, 1000000) - div(sum(picos) over line - picos, 1000000))::bigint as micros
		  from summed window line as (order by part, sku, unit, resource rows unbounded preceding))`

// maxCostPurchases bounds the purchases that are listed with a month's costs.
const maxCostPurchases = 200

// Costs reads what an account's month, which begins at period, cost and what was
// bought in it (R47). Of the lines it gives up to most, from number from on.
func (l *Ledger) Costs(ctx context.Context, accountID string, period time.Time, from, most int) (c models.Costs, err error) {
	err = l.snapshot(ctx, "read costs", func(tx pgx.Tx) error {
		if c.SKUs, err = manyIn[models.CostLine](ctx, tx, costLines+`
			select part, sku, unit, sum(events)::bigint as events, trim_scale(sum(quantity))::text as quantity, sum(micros)::bigint as micros
			  from lines group by part, sku, unit order by part, sku, unit`, accountID, period); err != nil {
			return err
		}
		if c.Lines, err = manyIn[models.CostLine](ctx, tx, costLines+`
			select part, sku, unit, resource, name, events, trim_scale(quantity)::text as quantity, micros
			  from lines where number >= $3 order by number limit $4`, accountID, period, from, most); err != nil {
			return err
		}
		const bought = ` from purchases where account_id = $1 and balance_ended_at >= $2::timestamp at time zone 'UTC'
			   and balance_ended_at < ($2::timestamp + interval '1 month') at time zone 'UTC'`
		if c.Purchases, err = manyIn[models.CreditPurchase](ctx, tx,
			`select id::text, captured_cents * 10000 as amount_micros, balance_ended_at as credited_at`+bought+` order by balance_ended_at desc, id limit $3`,
			accountID, period, maxCostPurchases); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `select count(*), coalesce(sum(captured_cents), 0)::bigint * 10000`+bought, accountID, period).
			Scan(&c.PurchaseCount, &c.PurchasedMicros)
	})
	return c, err
}
