package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

// NoteSeller notes who sells from now on, unless that is who sold before. The first
// holds for all that came before it.
func (l *Ledger) NoteSeller(ctx context.Context, seller models.Seller) error {
	_, err := l.exec(ctx, "note seller", `
		insert into sellers (name, details, from_at)
		select $1, coalesce($2::text[], '{}'), case when exists (select from sellers) then clock_timestamp() else '-infinity' end
		 where not exists (select from (select name, details from sellers order by id desc limit 1) s where s.name = $1 and s.details = coalesce($2::text[], '{}'))`,
		seller.Name, seller.Details)
	return err
}

// Seller is who sold at an instant; ErrNotFound before anybody was noted.
func (l *Ledger) Seller(ctx context.Context, at time.Time) (models.Seller, error) {
	return one[models.Seller](ctx, l, "read seller", `select name, details from sellers where from_at <= $1 order by id desc limit 1`, at)
}

// InvoicesBefore lists an account's invoices that come behind the one with id before,
// newest first, up to MaxInvoices.
func (l *Ledger) InvoicesBefore(ctx context.Context, accountID, before string) ([]models.Invoice, error) {
	return many[models.Invoice](ctx, l, "list invoices", `
		select `+invoiceColumns+` from invoices
		 where account_id = $1 and exists (
			select from invoices b where b.id = $2 and b.account_id = $1
			   and (invoices.issued_at < b.issued_at or invoices.issued_at = b.issued_at and invoices.id > b.id))
		 order by issued_at desc, id limit $3`, accountID, before, MaxInvoices)
}

// notInvoiced is what an account ($1) would be invoiced now, were its month over, and
// whom that would be made out to.
const notInvoiced = `
	select b.account_id::text, 'monthly' as kind, r.bill_to, b.accrued_micros as total_micros,
	       coalesce(m.used_micros - m.invoiced_micros, 0) as usage_micros, coalesce(m.carried_micros, 0) as carried_in_micros,
	       coalesce(m.free_used_micros - m.free_invoiced_micros, 0) as free_micros,
	       coalesce(m.purchased_used_micros - m.purchased_invoiced_micros, 0) as purchased_micros
	  from balances b join invoice_recipients r on r.account_id = b.account_id left join usage_meters m on m.account_id = b.account_id
	 where b.account_id = $1`

// notInvoicedLines are the lines of that, in the order and with the rounding of
// monthly_invoice.
const notInvoicedLines = `
	with meter as (
		select coalesce(max(invoiced_through), '-infinity') as through, coalesce(max(invoiced_remainder_picos), 0) as remainder
		  from usage_meters where account_id = $1),
	used as (
		select 'usage'::invoice_section as section, t.price_id, t.resource, '' as name, t.period, t.events, t.quantity, t.picos
		  from meter m join usage_totals t on t.account_id = $1 and t.invoice_period > m.through
		union all
		select 'deployment', t.price_id, t.deployment_id::text, c.name, t.period, 0, t.seconds, t.picos
		  from meter m join deployment_totals t on t.account_id = $1 and t.invoice_period > m.through join creations c on c.id = t.deployment_id
		union all
		select 'creation', c.price_id, c.id::text, c.name, date_trunc('month', c.created_at at time zone 'UTC')::date, 1, 1, p.picos_per_unit
		  from meter m join creations c on c.account_id = $1 and c.invoice_period > m.through join prices p on p.id = c.price_id),
	summed as (
		select u.section, p.sku collate "C" as sku, case u.section when 'deployment' then 'second' else p.unit end as unit,
		       u.resource collate "C" as resource, u.name, u.period,
		       sum(u.events)::bigint as events, sum(u.quantity) as quantity, sum(u.picos) as picos
		  from used u join prices p on p.id = u.price_id
		 group by 1, 2, 3, 4, 5, 6)
	select row_number() over line as line, s.section::text, s.sku, s.unit, s.resource, s.name, s.period, s.events,
	       trim_scale(s.quantity)::text as quantity,
	       (div(m.remainder + sum(s.picos) over line, 1000000) - div(m.remainder + sum(s.picos) over line - s.picos, 1000000))::bigint as amount_micros
	  from summed s cross join meter m
	window line as (order by s.section, s.sku, s.resource, s.name, s.unit, s.period rows unbounded preceding)
	 order by line limit $2`

// NotInvoiced is what an account used, and what paid for it, that is on no invoice yet,
// as an invoice that has neither id nor number, with up to most of its lines. All of it is
// of one instant.
func (l *Ledger) NotInvoiced(ctx context.Context, accountID string, most int) (i models.Invoice, lines []models.InvoiceLine, err error) {
	err = l.snapshot(ctx, "read what is not invoiced", func(tx pgx.Tx) error {
		if i, err = oneIn[models.Invoice](ctx, tx, notInvoiced, accountID); err != nil {
			return err
		}
		lines, err = manyIn[models.InvoiceLine](ctx, tx, notInvoicedLines, accountID, most)
		return err
	})
	for n := range lines {
		lines[n].Model = billing.ModelOf(lines[n].SKU, lines[n].Unit)
	}
	return i, lines, err
}

// exportPage is how many invoices an export reads at once.
const exportPage = 1000

// ExportedInvoice is an invoice as finance takes it away, with the number of the
// credit note that took it back.
type ExportedInvoice struct {
	models.Invoice
	CreditNote *string
}

// ExportInvoices gives take each invoice of a month, as all of them were at one instant:
// those for the month by account, then those of purchases in it by time. It holds a page
// of them in memory.
func (l *Ledger) ExportInvoices(ctx context.Context, period time.Time, take func(ExportedInvoice) error) error {
	month := `'` + period.Format(time.DateOnly) + `'::date`
	return l.snapshot(ctx, "export invoices", func(tx pgx.Tx) error {
		for _, of := range []string{
			`kind = 'monthly' and period = ` + month + ` order by account_id`,
			`kind = 'purchase' and issued_at >= ` + month + `::timestamp at time zone 'UTC'
			    and issued_at < (` + month + `::timestamp + interval '1 month') at time zone 'UTC' order by issued_at, id`,
		} {
			if _, err := tx.Exec(ctx, `declare export no scroll cursor for select `+invoiceColumns+`,
				(select n.number from credit_notes n where n.invoice_id = invoices.id) as credit_note from invoices where `+of); err != nil {
				return err
			}
			if err := takePages(ctx, tx, take); err != nil {
				return err
			}
		}
		return nil
	})
}

// takePages gives take what the cursor export holds, and closes it.
func takePages(ctx context.Context, tx pgx.Tx, take func(ExportedInvoice) error) error {
	for {
		page, err := manyIn[ExportedInvoice](ctx, tx, fmt.Sprintf(`fetch %d from export`, exportPage))
		if err != nil {
			return err
		}
		for _, i := range page {
			if err := take(i); err != nil {
				return err
			}
		}
		if len(page) < exportPage {
			_, err := tx.Exec(ctx, `close export`)
			return err
		}
	}
}
