package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/models"
)

// entitlementColumns are those of an EntitlementState, of the table entitlements as
// e. What stands in other tables is null where there is none.
const entitlementColumns = ownColumns + `,
	(select ` + keysOfOne + ` from account_keys k where k.account_id = e.account_id and ` + keyHolds + `) as keys,
	(select ` + exceptionsOfOne + ` from account_exceptions x where x.account_id = e.account_id and ` + exceptionHolds + `) as exceptions`

// The parts of entitlementColumns: what stands in the table itself, and what is put
// together from the keys k and the exceptions x of one account, of those that hold.
const (
	ownColumns = `e.account_id::text, e.version, e.tier, e.suspended, e.blocked_since is not null and e.tier > 0 as blocked,
	e.recharging_until, e.spend_micros, e.changed_at, e.waiting_since`
	keysOfOne       = `jsonb_agg(jsonb_build_object('id', k.id, 'sha256', encode(k.secret_hash, 'hex')) order by k.id)`
	keyHolds        = `k.revoked_at is null`
	exceptionsOfOne = `jsonb_agg(jsonb_strip_nulls(jsonb_build_object('model', x.model, 'class', x.class, 'access', x.access, 'rpm', x.rpm,
	                  'until', to_char(x.until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))) order by x.model, x.class)`
	exceptionHolds = `x.ended_at is null and (x.until is null or x.until > clock_timestamp())`
)

// Entitlement reads what the gateways are to hold for an account.
func (l *Ledger) Entitlement(ctx context.Context, accountID string) (models.EntitlementState, error) {
	return one[models.EntitlementState](ctx, l, "read entitlement",
		`select `+entitlementColumns+` from entitlements e where e.account_id = $1`, accountID)
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

// TierReached is the tier of an account's entitlement at one version.
type TierReached struct {
	Tier int
	// ByPlan: a plan gives the access, whatever was spent.
	ByPlan bool
}

// TierReached reads which tier a version of an account's entitlement gave.
func (l *Ledger) TierReached(ctx context.Context, accountID, version string) (TierReached, error) {
	return one[TierReached](ctx, l, "read tier reached", `
		select c.tier, coalesce((select t.plan <> 'build' from account_terms t where t.account_id = c.account_id order by t.id desc limit 1), false) as by_plan
		  from entitlement_changes c where c.account_id = $1 and c.version = $2::text::bigint order by c.changed_at desc limit 1`, accountID, version)
}

// maxLagging bounds how many accounts one sweep has pushed again.
const maxLagging = 1000

// RequestLagging has the entitlements pushed that have waited longest for some
// gateway of gateways, since they changed or were last tried, and all that a gateway
// lacks which takes no pages and so is not filled by a full sync (I6). Where more lag
// than one sweep takes, each has its turn.
func (l *Ledger) RequestLagging(ctx context.Context, gateways []string) (int64, error) {
	return value[int64](ctx, l, "request lagging entitlements", `
		with unfilled as materialized (
			select u.url from unnest($1::text[]) as u (url)
			 where not exists (select from gateways g where g.url = u.url and (g.store is not null or g.filling is not null))),
		lagging as materialized (
			select e.account_id
			  from entitlements e
			 cross join unnest($1::text[]) as g (gateway)
			  left join gateway_acks a on a.account_id = e.account_id and a.gateway = g.gateway
			 where e.version > 0 and coalesce(a.version, 0) < e.version and (e.waiting_since is not null or exists (select from unfilled))
			 group by e.account_id
			 order by min(greatest(coalesce(e.waiting_since, e.changed_at), a.failed_at)), e.account_id
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
	return wrap("force sync", err)
}
