package ledger

import (
	"context"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

const (
	// MaxInvoices bounds a page of invoices.
	MaxInvoices = 200
	// MaxInvoiceLines bounds a page of an invoice's lines.
	MaxInvoiceLines = 1000
)

const invoiceColumns = `id::text, number, account_id::text, kind, purchase_id::text, description, total_micros, status, issued_at,
	coalesce(paid_at, case when kind = 'purchase' then issued_at end) as paid_at, reason, revision, bill_to, period,
	coalesce(usage_micros, 0) as usage_micros, coalesce(carried_in_micros, 0) as carried_in_micros, coalesce(free_micros, 0) as free_micros,
	coalesce(purchased_micros, 0) as purchased_micros, coalesce(due_cents, 0) as due_cents, coalesce(carried_out_micros, 0) as carried_out_micros`

// Invoice reads one invoice.
func (l *Ledger) Invoice(ctx context.Context, id string) (models.Invoice, error) {
	return one[models.Invoice](ctx, l, "read invoice", `select `+invoiceColumns+` from invoices where id = $1`, id)
}

// Invoices lists an account's newest invoices, newest first.
func (l *Ledger) Invoices(ctx context.Context, accountID string) ([]models.Invoice, error) {
	return many[models.Invoice](ctx, l, "list invoices",
		`select `+invoiceColumns+` from invoices where account_id = $1 order by issued_at desc, id limit $2`, accountID, MaxInvoices)
}

// InvoiceLines lists the lines of an invoice in their order, up to most of them, from
// the one after number after on. An invoice of a purchase has none.
func (l *Ledger) InvoiceLines(ctx context.Context, invoiceID string, after, most int) ([]models.InvoiceLine, error) {
	lines, err := many[models.InvoiceLine](ctx, l, "list invoice lines", `
		select line, section::text, sku, unit, resource, name, period, events, trim_scale(quantity)::text as quantity, amount_micros
		  from invoice_lines where invoice_id = $1 and line > $2 order by line limit $3`, invoiceID, after, most)
	for i := range lines {
		lines[i].Model = billing.ModelOf(lines[i].SKU, lines[i].Unit)
	}
	return lines, err
}

// CreditNote reads the credit note of a voided invoice; ErrNotFound if it has none.
func (l *Ledger) CreditNote(ctx context.Context, invoiceID string) (models.CreditNote, error) {
	return one[models.CreditNote](ctx, l, "read credit note", `
		select id::text, number, account_id::text, invoice_id::text, amount_micros, reason, issued_at
		  from credit_notes where invoice_id = $1`, invoiceID)
}

// PastDue is the sum of the account's unpaid invoices in micro-dollars (R6).
func (l *Ledger) PastDue(ctx context.Context, accountID string) (int64, error) {
	return value[int64](ctx, l, "read past due", `select invoiced_micros from balances where account_id = $1`, accountID)
}

// TellOfInvoices has customers told by mail of invoices that nobody told them of yet:
// so many that at most that many are in the outbox. It says how many.
func (l *Ledger) TellOfInvoices(ctx context.Context, most int) (int64, error) {
	return l.exec(ctx, "tell of new invoices", `
		with due as (
			select invoice_id from invoices_to_mail order by invoice_id
			 limit greatest(0, $1 - (select count(*) from outbox where kind = $2)) for update skip locked),
		taken as (
			delete from invoices_to_mail t using due where t.invoice_id = due.invoice_id returning t.invoice_id)
		insert into outbox (kind, subject, due_at) select $2, invoice_id::text, clock_timestamp() from taken
		on conflict (kind, subject) do nothing`, most, MessageMailInvoice)
}
