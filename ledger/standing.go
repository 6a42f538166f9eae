package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/models"
)

// Standing is how an account stands by the rules (R7, R8), in micro-dollars.
func (l *Ledger) Standing(ctx context.Context, accountID string, rules models.TierRules) (models.Standing, error) {
	return one[models.Standing](ctx, l, "read standing", `
		select tier, credits_micros, exposure_micros, limit_micros, admitted from account_standings(array[$1::uuid], $2, $3)`,
		accountID, rules.Thresholds, rules.Limits)
}

// Admission says whether the account may use anything now (R8), and why not. It is
// the database's word: what the gateways were told.
func (l *Ledger) Admission(ctx context.Context, accountID string) (models.Admission, error) {
	return one[models.Admission](ctx, l, "read admission", `
		select blocked_since is null as admitted,
		       case when blocked_since is null then '' when suspended then 'suspended' when tier = 0 then 'limited_tier' else 'limit_reached' end as reason
		  from entitlements where account_id = $1`, accountID)
}

// SetCustomerLimit sets the customer's own limit (R7), and has what follows from it
// told to the gateways.
func (l *Ledger) SetCustomerLimit(ctx context.Context, accountID string, limitMicros int64, rules models.TierRules, at time.Time) error {
	_, err := l.exec(ctx, "set customer limit", `select account_terms_change($1, 'customer', null, $2, null, $3, $4, $5)`,
		accountID, limitMicros, rules.Thresholds, rules.Limits, at)
	return err
}

// Terms are what support agrees with a customer. A nil plan leaves the plan, a nil
// limit is the tier's own.
type Terms struct {
	Plan        *string
	LimitMicros *int64
}

// SetTerms sets the terms of an account, with the audit entry that says who and
// why. ErrLimitIsFixed: the account's tier allows no other limit (R7).
func (l *Ledger) SetTerms(ctx context.Context, terms Terms, rules models.TierRules, audit models.AuditEntry) error {
	_, err := conflictsAgain(ctx, func() (struct{}, error) {
		return struct{}{}, pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `select account_terms_change($1, 'support', $2, $3, $4, $5, $6, $7)`,
				audit.AccountID, terms.Plan, terms.LimitMicros, audit.Reason, rules.Thresholds, rules.Limits, audit.At)
			if err != nil {
				return wrap("change terms", err)
			}
			_, err = tx.Exec(ctx, insertAudit, auditArgs(audit)...)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("set terms: %w", err)
	}
	return nil
}
