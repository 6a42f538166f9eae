package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/models"
)

// monthSums sums up a month's invoices ($1), and what the ledger has under their keys.
const monthSums = `
	with i as materialized (select * from invoices where kind = 'monthly' and period = $1),
	posted as (
		select t.kind, sum(e.amount_micros) as micros
		  from i
		 cross join (values ('invoice'), ('invoice_payment'), ('invoice_void'), ('invoice_loss')) as k (kind)
		  join ledger_transactions t on t.idempotency_key = k.kind || '/' || i.id
		  join ledger_entries e on e.transaction_id = t.id and e.book = 'invoiced'
		 where i.due_cents > 0
		 group by t.kind)
	select coalesce(sum(usage_micros), 0)::bigint as usage_micros, coalesce(sum(carried_in_micros), 0)::bigint as carried_in_micros,
	       coalesce(sum(free_micros), 0)::bigint as free_micros, coalesce(sum(purchased_micros), 0)::bigint as purchased_micros,
	       coalesce(sum(carried_out_micros), 0)::bigint as carried_out_micros, count(*) filter (where due_cents = 0) as nothing_due,
	       coalesce((select -micros from posted where kind = 'invoice'), 0)::bigint         as ledger_invoiced_micros,
	       coalesce((select micros from posted where kind = 'invoice_payment'), 0)::bigint as ledger_collected_micros,
	       coalesce((select micros from posted where kind = 'invoice_void'), 0)::bigint    as ledger_void_micros,
	       coalesce((select micros from posted where kind = 'invoice_loss'), 0)::bigint    as ledger_loss_micros
	  from i having count(*) > 0`

const monthGroups = `
	select status, coalesce(reason, '') as reason, count(*) as invoices, sum(total_micros)::bigint as micros
	  from invoices where kind = 'monthly' and period = $1 and due_cents > 0
	 group by 1, 2 order by 1, 4 desc, 2 limit 1000`

// MonthReport sums up a month's invoices and sets them against the ledger, in one
// snapshot; ErrNotFound if it has none.
func (l *Ledger) MonthReport(ctx context.Context, period time.Time) (r models.MonthReport, err error) {
	err = l.snapshot(ctx, "report month", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, asOfTimeout); err != nil {
			return err
		}
		if r, err = oneIn[models.MonthReport](ctx, tx, monthSums, period); err != nil {
			return err
		}
		r.Groups, err = manyIn[models.InvoiceGroup](ctx, tx, monthGroups, period)
		return err
	})
	return r, err
}
