package ledger

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/paystage/paystage/models"
)

// GatewayCare is what a worker that looks after a gateway must know.
type GatewayCare struct {
	// Mine says that this worker looks after it now; another does if not.
	Mine bool
	// Store is the store that the last full sync filled; nil is none, also where the
	// gateway was out of the configuration for so long that it may have missed news.
	Store *string
	// Filling is the store of the full sync under way, FilledUpTo how far it came.
	Filling    *string
	FilledUpTo *string
}

// maxUnseen is how long a gateway may be out of the configuration and still be told
// only what it is known to lack: an account that nobody waits for is not noted as
// lacking.
const maxUnseen = 5 * time.Minute

// CareForGateway makes the holder the one worker that looks after a gateway, for the
// time of the lease, unless another is.
func (l *Ledger) CareForGateway(ctx context.Context, url, holder string, lease time.Duration) (GatewayCare, error) {
	return one[GatewayCare](ctx, l, "care for gateway", `
		insert into gateways as g (url, seen_at, lease_holder, lease_until)
		values ($1, clock_timestamp(), $2, clock_timestamp() + $3::interval)
		on conflict (url) do update
		   set store = case when g.seen_at > clock_timestamp() - $4::interval then g.store end,
		       seen_at = excluded.seen_at,
		       lease_holder = case when g.lease_until < clock_timestamp() then excluded.lease_holder else g.lease_holder end,
		       lease_until = case when g.lease_until < clock_timestamp() or g.lease_holder = $2 then excluded.lease_until else g.lease_until end
		returning lease_holder = $2 as mine, store, filling, filled_up_to::text`, url, holder, lease, maxUnseen)
}

// LeaveGateway lets another worker look after a gateway at once.
func (l *Ledger) LeaveGateway(ctx context.Context, url, holder string) error {
	_, err := l.exec(ctx, "leave gateway", `
		update gateways set lease_until = clock_timestamp() where url = $1 and lease_holder = $2 and lease_until > clock_timestamp()`, url, holder)
	return err
}

// BeginFilling notes that a full sync of a gateway's store has begun.
func (l *Ledger) BeginFilling(ctx context.Context, url, store string, at time.Time) error {
	_, err := l.exec(ctx, "begin full sync", `
		update gateways set filling = $2, filling_since = $3, filled_up_to = null, filled = 0 where url = $1`, url, store, at)
	return err
}

// NoteFilling notes how far a full sync has come: another worker goes on from there.
func (l *Ledger) NoteFilling(ctx context.Context, url, upTo string, accounts int, at time.Time) error {
	_, err := l.exec(ctx, "note full sync", `
		update gateways set filled_up_to = $2, filled = filled + $3, heard_at = $4, last_error = null, failed_at = null where url = $1`,
		url, upTo, accounts, at)
	return err
}

// EndFilling notes that a full sync is complete.
func (l *Ledger) EndFilling(ctx context.Context, url, store string, at time.Time) error {
	_, err := l.exec(ctx, "end full sync", `
		update gateways set store = $2, synced_at = $3, filling = null, filling_since = null, filled_up_to = null where url = $1`,
		url, store, at)
	return err
}

// NoteGatewayHeard notes that a gateway answered.
func (l *Ledger) NoteGatewayHeard(ctx context.Context, url string, at time.Time) error {
	_, err := l.exec(ctx, "note gateway", `
		update gateways set heard_at = $2, last_error = null, failed_at = null where url = $1`, url, at)
	return err
}

// NoteGatewayFailure notes why a gateway could not be brought up to date.
func (l *Ledger) NoteGatewayFailure(ctx context.Context, url, reason string, at time.Time) error {
	_, err := l.exec(ctx, "note gateway failure", `
		update gateways set last_error = left($2, $4), failed_at = $3 where url = $1`, url, reason, at, maxErrorLength)
	return err
}

// EntitlementPage reads up to limit entitlements that a gateway may hold, in the
// order of their accounts, from behind one on; "" is the beginning. Keys and exceptions
// are read for the page as a whole, since a million accounts are read with it.
func (l *Ledger) EntitlementPage(ctx context.Context, after string, limit int) ([]models.EntitlementState, error) {
	return many[models.EntitlementState](ctx, l, "read entitlements", `
		with page as materialized (
			select * from entitlements where account_id > $1 and version > 0 order by account_id limit $2),
		upto as materialized (select account_id from page order by account_id desc limit 1),
		keys as (
			select k.account_id, `+keysOfOne+` as held from account_keys k
			 where k.account_id > $1 and k.account_id <= (select account_id from upto) and `+keyHolds+` group by k.account_id),
		exceptions as (
			select x.account_id, `+exceptionsOfOne+` as held from account_exceptions x
			 where x.account_id > $1 and x.account_id <= (select account_id from upto) and `+exceptionHolds+` group by x.account_id)
		select `+ownColumns+`, keys.held as keys, exceptions.held as exceptions
		  from page e left join keys using (account_id) left join exceptions using (account_id)
		 order by e.account_id`, cmp.Or(after, uuid.Nil.String()), limit)
}

// WaitingEntitlements reads up to limit entitlements that a gateway lacks, those
// that have waited longest first and none that has waited for less than age: who
// has just changed is being pushed to by a propagation of its own.
func (l *Ledger) WaitingEntitlements(ctx context.Context, gateway string, age time.Duration, limit int) ([]models.EntitlementState, error) {
	return many[models.EntitlementState](ctx, l, "read waiting entitlements", `
		select `+entitlementColumns+` from entitlements e
		  left join gateway_acks a on a.account_id = e.account_id and a.gateway = $1
		 where e.waiting_since <= clock_timestamp() - $2::interval and coalesce(a.version, 0) < e.version
		 order by e.waiting_since, e.account_id limit $3`, gateway, age, limit)
}

// Held is the version that a gateway holds of an account.
type Held struct {
	AccountID string
	Version   int64
}

// AcknowledgePage notes that a gateway holds these versions, of which none may be
// above ours, and tells the purchases that waited for them (R22).
func (l *Ledger) AcknowledgePage(ctx context.Context, gateway string, held []Held, gateways []string, at time.Time) error {
	accounts, versions := make([]string, len(held)), make([]int64, len(held))
	for i, h := range held {
		accounts[i], versions[i] = h.AccountID, h.Version
	}
	_, err := l.exec(ctx, "acknowledge entitlements", `select gateway_acknowledge_page($1, $2, $3, $4, $5)`,
		gateway, accounts, versions, gateways, at)
	return err
}

// ForgetWaiting takes accounts out of the queue that no gateway of gateways lacks
// any more: of those that waited for one which has left the configuration.
func (l *Ledger) ForgetWaiting(ctx context.Context, gateways []string) (int64, error) {
	return l.exec(ctx, "forget waiting entitlements", `
		update entitlements e set waiting_since = null
		 where e.waiting_since is not null and not exists (
			select from unnest($1::text[]) as g (gateway)
			  left join gateway_acks a on a.account_id = e.account_id and a.gateway = g.gateway
			 where coalesce(a.version, 0) < e.version)`, gateways)
}

// GatewayOverviews says how each of the gateways stands, in the order given.
func (l *Ledger) GatewayOverviews(ctx context.Context, gateways []string) ([]models.GatewayOverview, error) {
	return many[models.GatewayOverview](ctx, l, "read gateways", `
		select u.url as gateway, g.synced_at, g.filling_since, coalesce(g.filled, 0) as filled, g.heard_at, g.last_error, g.failed_at,
		       w.waiting, w.waiting_since
		  from unnest($1::text[]) with ordinality as u (url, place)
		  left join gateways g on g.url = u.url
		 cross join lateral (
			select count(*) as waiting, min(e.waiting_since) as waiting_since
			  from entitlements e left join gateway_acks a on a.account_id = e.account_id and a.gateway = u.url
			 where e.waiting_since is not null and coalesce(a.version, 0) < e.version) w
		 order by u.place`, gateways)
}
