package ledger

import (
	"context"

	"github.com/paystage/paystage/models"
)

// GrantFreeCredits posts free credits (R4) and the audit entry that says who
// gave them and why, in one statement. A repeat of the posting's key writes
// neither again.
func (l *Ledger) GrantFreeCredits(ctx context.Context, key, accountID string, amountMicros int64, audit models.AuditEntry) (Posted, error) {
	args := append(auditArgs(audit), key, accountID, amountMicros)
	return one[Posted](ctx, l, "grant free credits", `
		with posted as materialized (
			select * from ledger_post($9, 'free_credits', $10::uuid, $1, array['promotions', 'free']::ledger_book[], array[-$11::bigint, $11::bigint])),
		audited as (
			insert into audit_log (at, actor, role, action, account_id, subject, reason, detail)
			select $1, $2, $3, $4, $5, $6, $7, $8::jsonb from posted where fresh)
		select transaction_id, fresh from posted`, args...)
}
