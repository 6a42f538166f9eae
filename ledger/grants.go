package ledger

import (
	"context"

	"github.com/paystage/paystage/models"
)

// GrantFreeCredits posts free credits (R4) and the audit entry that says who
// gave them and why, in one statement. They clear what is accrued (R9), and the
// account's entitlement follows. A repeat of the posting's key writes nothing again.
func (l *Ledger) GrantFreeCredits(ctx context.Context, key, accountID string, amountMicros int64, rules models.TierRules, audit models.AuditEntry) (Posted, error) {
	args := append(auditArgs(audit), key, accountID, amountMicros, rules.Thresholds, rules.Limits)
	return one[Posted](ctx, l, "grant free credits", `
		with posted as materialized (
			select * from free_credits_grant($9, $10::uuid, $11, $12, $13, $1)),
		audited as (
			insert into audit_log (at, actor, role, action, account_id, subject, reason, detail)
			select $1, $2, $3, $4, $5, $6, $7, $8::jsonb from posted where fresh)
		select transaction_id, fresh from posted`, args...)
}
