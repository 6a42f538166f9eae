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
		       (select count(*) from purchases where not decline_known) as unknown_declines,
		       (select count(distinct account_id) from purchases where tier_ended_at is null and balance_ended_at is not null) as lagging_entitlement`)
}
