package ledger

import (
	"context"
	"time"

	"github.com/paystage/paystage/models"
)

// NoteRules notes that a program runs which makes entitlements by these rules.
func (l *Ledger) NoteRules(ctx context.Context, fingerprint string) error {
	_, err := l.exec(ctx, "note rules", `
		insert into running_rules (rules, seen_at) values ($1, clock_timestamp())
		on conflict (rules) do update set seen_at = excluded.seen_at`, fingerprint)
	return err
}

// FollowRules has the entitlements of up to limit more accounts follow these rules, if
// the release before had others, and answers of how many accounts. It does nothing
// until programs with other rules have been quiet for that long: they may still push.
func (l *Ledger) FollowRules(ctx context.Context, fingerprint string, quiet time.Duration, limit int, rules models.TierRules, at time.Time) (int64, error) {
	return value[int64](ctx, l, "follow rules", `select entitlements_follow_rules($1, $2::interval, $3, $4, $5, $6)`,
		fingerprint, quiet, limit, rules.Thresholds, rules.Limits, at)
}
