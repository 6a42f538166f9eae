package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/models"
)

// Entitlement reads what the gateways are to hold for an account.
func (l *Ledger) Entitlement(ctx context.Context, accountID string) (models.EntitlementState, error) {
	return one[models.EntitlementState](ctx, l, "read entitlement",
		`
		select account_id::text, version, tier, suspended, blocked_since is not null and tier > 0 as blocked, recharging_until, changed_at from entitlements where account_id = $1`, accountID)
}

// GatewayStates says what each of the gateways is known to hold of an account,
// in the order in which they are given.
func (l *Ledger) GatewayStates(ctx context.Context, accountID string, gateways []string) ([]models.GatewayState, error) {
	return many[models.GatewayState](ctx, l, "read gateway states", `
		select g.gateway, coalesce(a.version, 0) as version, a.acknowledged_at, a.last_error, a.failed_at
		  from unnest($2::text[]) with ordinality as g (gateway, place)
		  left join gateway_acks a on a.account_id = $1 and a.gateway = g.gateway
		 order by g.place`, accountID, gateways)
}

// AcknowledgeEntitlement notes that a gateway holds a version, and tells the
// purchases that waited for it once every gateway of gateways does (R22).
func (l *Ledger) AcknowledgeEntitlement(ctx context.Context, accountID, gateway string, held int64, gateways []string, at time.Time) error {
	_, err := l.exec(ctx, "acknowledge entitlement", `select gateway_acknowledge($1, $2, $3, $4, $5)`,
		accountID, gateway, held, gateways, at)
	return err
}

// maxErrorLength bounds what is kept of an error's text.
const maxErrorLength = 500

// NotePushFailure notes why a gateway does not hold an account's entitlement.
func (l *Ledger) NotePushFailure(ctx context.Context, accountID, gateway, reason string, at time.Time) error {
	_, err := l.exec(ctx, "note push failure", `
		insert into gateway_acks (account_id, gateway, version, last_error, failed_at) values ($1, $2, 0, left($3, $5), $4)
		on conflict (account_id, gateway) do update set last_error = excluded.last_error, failed_at = excluded.failed_at`,
		accountID, gateway, reason, at, maxErrorLength)
	return err
}

// RequestPropagation has the account's entitlement pushed, through the outbox.
func (l *Ledger) RequestPropagation(ctx context.Context, accountID string) error {
	_, err := l.exec(ctx, "request propagation", `select outbox_put('propagate', $1::uuid::text)`, accountID)
	return err
}

// maxLagging bounds how many accounts one sweep has pushed again.
const maxLagging = 1000

// RequestLagging has the entitlements pushed that some gateway of gateways does not
// hold: of a gateway that is new, or where the word to push was lost (I6).
func (l *Ledger) RequestLagging(ctx context.Context, gateways []string) (int64, error) {
	return value[int64](ctx, l, "request lagging entitlements", `
		with lagging as materialized (
			select e.account_id from entitlements e
			 where e.version > 0 and exists (
				select from unnest($1::text[]) as g (gateway)
				  left join gateway_acks a on a.account_id = e.account_id and a.gateway = g.gateway
				 where coalesce(a.version, 0) < e.version)
			 limit $2),
		put as materialized (select outbox_put('propagate', account_id::text) from lagging)
		select count(*) from put`, gateways, maxLagging)
}

// ForceSync brings the account's entitlement to what its spend has
// earned and has it pushed to every gateway, acknowledged before or not (R23).
// Unless purchaseID is "" that purchase is made to look again as well. All of it
// and the audit entry are one transaction.
func (l *Ledger) ForceSync(ctx context.Context, accountID, purchaseID string, rules models.TierRules, audit models.AuditEntry) error {
	_, err := conflictsAgain(ctx, func() (struct{}, error) {
		return struct{}{}, pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `select from entitlements_settle(array[$1::uuid], $2, $3, $4)`,
				accountID, rules.Thresholds, rules.Limits, audit.At); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `select outbox_put('force_sync', $1::uuid::text)`, accountID); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `
				select outbox_put('payment_changed', id::text) from purchases where id = $1 and status = 'pending'`, orNull(purchaseID)); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, insertAudit, auditArgs(audit)...)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("force sync: %w", err)
	}
	return nil
}
