package ledger

import "context"

// Vitals are the counts that tell whether the system is well.
type Vitals struct {
	PendingPurchases   int64
	OldestPendingSecs  int64
	OutboxMessages     int64
	OldestMessageSecs  int64
	OpenAlerts         int64
	UnknownDeclines    int64
	LaggingEntitlement int64
	// Automatic charges of the last minute and hour, and of the account with the most
	// in that hour.
	RechargesLastMinute   int64
	RechargesLastHour     int64
	RechargesOfOneAccount int64
	// RechargesDue are loops whose time to look has come, RechargesHeld is 1 while all
	// charges are held.
	RechargesDue  int64
	RechargesHeld int64
	// InvoicesDue are unpaid invoices whose time has come, InvoicePayments charges of
	// invoices that have not ended, InvoicesPastDue those that nobody has paid.
	InvoicesDue     int64
	InvoicePayments int64
	InvoicesPastDue int64
	// MonthsClosing are closings under way, with the accounts that they go over and those
	// that are done; MonthsHeld is 1 while none begins by itself.
	MonthsClosing     int64
	MonthAccounts     int64
	MonthAccountsDone int64
	MonthsHeld        int64
}

// Vitals reads them in one query, each by an index on the few rows that matter.
// A lagging entitlement is an account with a purchase that waits for gateways.
func (l *Ledger) Vitals(ctx context.Context) (Vitals, error) {
	return one[Vitals](ctx, l, "read vitals", `
		select (select count(*) from purchases where status = 'pending') as pending_purchases,
		       (select coalesce(extract(epoch from now() - min(created_at)), 0)::bigint from purchases where status = 'pending') as oldest_pending_secs,
		       (select count(*) from outbox) as outbox_messages,
		       (select coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::bigint from outbox) as oldest_message_secs,
		       (select count(*) from alerts where resolved_at is null) as open_alerts,
		       (select count(*) from purchases where not decline_known) + (select count(*) from invoice_payments where not decline_known) as unknown_declines,
		       (select count(distinct account_id) from purchases where tier_ended_at is null and balance_ended_at is not null) as lagging_entitlement,
		       coalesce(r.last_minute, 0) as recharges_last_minute, coalesce(r.last_hour, 0) as recharges_last_hour,
		       coalesce(r.of_one, 0) as recharges_of_one_account,
		       (select count(*) from auto_recharges where due_at <= now()) as recharges_due,
		       (select held::integer::bigint from recharge_control) as recharges_held,
		       (select count(*) from invoice_collections where wake_at <= now()) as invoices_due,
		       (select count(*) from invoice_payments where bank in ('waiting', 'charging', 'processing', 'requires_action', 'unknown')) as invoice_payments,
		       (select count(*) from invoices where status = 'past_due') as invoices_past_due,
		       (select count(*) from monthly_closes where closed_at is null) as months_closing,
		       (select coalesce(sum(accounts), 0)::bigint from monthly_closes where closed_at is null) as month_accounts,
		       (select coalesce(sum(p.accounts), 0)::bigint from monthly_closes c join monthly_close_pages p on (p.period, p.round) = (c.period, c.round)
		         where c.closed_at is null) as month_accounts_done,
		       (select held::integer::bigint from monthly_control) as months_held
		  from (select sum(last_minute)::bigint as last_minute, sum(last_hour)::bigint as last_hour, max(last_hour) as of_one
		          from (select count(*) filter (where created_at > now() - interval '1 minute') as last_minute, count(*) as last_hour
		                  from purchases where origin = 'auto_recharge' and created_at > now() - interval '1 hour' group by account_id) a) r`)
}
