package ledger

import (
	"context"
	"time"

	"github.com/paystage/paystage/models"
)

// NewCreation is what something that costs its creation is made of (R10).
type NewCreation struct {
	ID        string
	AccountID string
	Kind      models.CreationKind
	// SKU is what a deployment costs by the minute; "" makes a job.
	SKU  string
	Name string
	// CreationSKU is what the creation itself costs.
	CreationSKU string
	// IdempotencyKey may be "": then a repeat creates again.
	IdempotencyKey string
	At             time.Time
}

// Creation is the outcome of Create.
type Creation struct {
	// ID is what was created, now or before under the same key; nil if Refusal says
	// why nothing was.
	ID *string
	// Fresh is false when the key had created it before.
	Fresh bool
	// Refusal is insufficient_balance, limit_reached, limited_tier, suspended or
	// unknown_sku; nil if there is none.
	Refusal *string
	// CostPicos is what the creation costs, in pico-dollars, and BalanceMicros what the
	// account had for it, if they were looked at.
	CostPicos     *int64
	BalanceMicros int64
}

// Create creates a deployment or a job and charges its creation, all or nothing,
// once for its key: with other contents that is ErrIdempotencyMismatch. Where the
// account may not, or its balance does not cover the cost, nothing is written and
// the answer says why (R10). ErrNotFound if there is no such account.
func (l *Ledger) Create(ctx context.Context, n NewCreation, rules models.TierRules) (Creation, error) {
	return one[Creation](ctx, l, "create "+string(n.Kind), `
		select id::text, fresh, refusal, cost_picos, balance_micros from resource_create($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		n.ID, n.AccountID, n.Kind, orNull(n.SKU), n.Name, n.CreationSKU, orNull(n.IdempotencyKey), rules.Thresholds, rules.Limits, n.At)
}

// StopDeployment stops a deployment and charges it up to the second of at, in one.
// A repeat changes nothing. ErrNotFound if there is none.
func (l *Ledger) StopDeployment(ctx context.Context, id string, rules models.TierRules, at time.Time) error {
	_, err := l.exec(ctx, "stop deployment", `select deployment_stop($1, $2, $3, $4)`, id, rules.Thresholds, rules.Limits, at)
	return err
}

// AccrueDeployments charges up to most running deployments, in one statement, for
// their time up to the last whole minute before at, and answers how many. None means
// that there are no more, or that another worker is about it.
func (l *Ledger) AccrueDeployments(ctx context.Context, most int, rules models.TierRules, at time.Time) (int64, error) {
	return value[int64](ctx, l, "accrue deployments", `select deployments_accrue($1, $2, $3, $4)`, most, rules.Thresholds, rules.Limits, at)
}

// SweepLateDeployments raises an alert if a running deployment has not been charged
// for longer than patience, and resolves it when all are (I6). It answers how many
// alerts are new.
func (l *Ledger) SweepLateDeployments(ctx context.Context, now time.Time, patience time.Duration) (int64, error) {
	return l.exec(ctx, "sweep late deployments", `
		with late as (
			select count(*) as many, min(accrued_until) as oldest from deployments
			 where stopped_at is null and accrued_until < $1::timestamptz - $2::interval),
		over as (
			update alerts set resolved_at = $1
			 where kind = $3 and resolved_at is null and (select many from late) = 0)
		insert into alerts (kind, subject, detail, raised_at)
		select $3, 'deployments', format('%s running deployments are not charged, the oldest since %s. They will be, up to then, once a worker can.', many, oldest), $1
		  from late where many > 0
		on conflict (kind, subject) where resolved_at is null do nothing`, now, patience, models.AlertDeploymentsBehind)
}

// deploymentsIn reads deployments with what the month that begins at $1 cost.
const deploymentsIn = `
	select d.id::text, d.account_id::text, c.kind, d.sku, c.name, d.started_at, d.accrued_until, d.stopped_at, t.seconds as period_seconds,
	       div(t.picos + case when date_trunc('month', c.created_at at time zone 'UTC') = $1::date then p.picos_per_unit else 0 end, 1000000)::bigint
	           as period_micros
	  from deployments d
	  join creations c on c.id = d.id
	  join prices p on p.id = c.price_id
	 cross join lateral (
		select coalesce(sum(t.seconds), 0)::bigint as seconds, coalesce(sum(t.picos), 0) as picos
		  from deployment_totals t where t.account_id = d.account_id and t.period = $1::date and t.deployment_id = d.id) t`

// Deployment reads a deployment, with what it cost in the month that begins at
// period.
func (l *Ledger) Deployment(ctx context.Context, id string, period time.Time) (models.Deployment, error) {
	return one[models.Deployment](ctx, l, "read deployment", deploymentsIn+` where d.id = $2`, period, id)
}

// maxDeployments bounds a page of deployments.
const maxDeployments = 200

// Deployments lists a page of an account's deployments, newest first, running or
// stopped ones or, without state, both, from those older than the one with the id
// before ("" for the newest).
func (l *Ledger) Deployments(ctx context.Context, accountID, state, before string, period time.Time) ([]models.Deployment, error) {
	return many[models.Deployment](ctx, l, "list deployments", deploymentsIn+`
		 where d.account_id = $2 and ($3::text is null or ($3 = 'running') = (d.stopped_at is null)) and ($4::uuid is null or d.id < $4)
		 order by d.id desc limit $5`, period, accountID, orNull(state), orNull(before), maxDeployments)
}

// Job reads a job.
func (l *Ledger) Job(ctx context.Context, id string) (models.Job, error) {
	return one[models.Job](ctx, l, "read job", `
		select c.id::text, c.account_id::text, c.kind, c.name, p.picos_per_unit / 1000000 as cost_micros, c.created_at
		  from creations c join prices p on p.id = c.price_id
		 where c.id = $1 and not exists (select from deployments d where d.id = c.id)`, id)
}
