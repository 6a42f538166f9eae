package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

// clock is the database's.
func (b *books) clock(t tb) time.Time {
	t.Helper()
	return ask[time.Time](t, b, `select clock_timestamp()`)
}

// terms sets how far an account may go, as a support route or a customer's would.
func (b *books) terms(t tb, account, plan string, support, customer *int64) {
	t.Helper()
	b.do(t, `insert into account_terms (account_id, plan, support_limit_micros, customer_limit_micros, changed_by, reason, changed_at)
		values ($1, $2, $3, $4, 'support', 'agreed', $5)`, account, plan, support, customer, noon)
	b.settle(t, account)
}

func (b *books) settle(t tb, account string) {
	t.Helper()
	rules := billing.TierRules()
	b.do(t, `select entitlements_settle(array[$1::uuid], $2, $3, $4)`, account, rules.Thresholds, rules.Limits, noon)
}

// moment is all that an as-of view tells, as it stood when it was recorded.
type moment struct {
	at time.Time
	// state is as text, with the limit that the rules in the database give.
	state string
	// refusedFrom is between when the account came to be refused; both zero if it may.
	refusedFrom [2]time.Time
}

func stateText(balance models.Balance, e models.EntitlementState, limit int64, grants []models.GrantAsOf, payments int64) string {
	text := fmt.Sprint(balance.FreeMicros, balance.PurchasedMicros, balance.AccruedMicros, balance.LifetimeSpendMicros,
		" v", e.Version, " tier", e.Tier, e.Suspended, e.Blocked, " limit", limit, " paid ", payments)
	for _, g := range grants {
		text += fmt.Sprint(" ", g.ID, g.Book, g.LeftMicros, "/", g.GrantedMicros)
	}
	return text
}

// recorded is how an account stands now, from what keeps it: not from the history.
func (b *books) recorded(t tb, account string, before moment, began time.Time) moment {
	t.Helper()
	rows, _ := b.db.Query(t.Context(), `select id, book::text, granted_micros, left_micros from credit_grants where account_id = $1 and open order by id`, account)
	grants, err := pgx.CollectRows(rows, pgx.RowToStructByNameLax[models.GrantAsOf])
	done(t, err)
	rules := billing.TierRules()
	limit := ask[int64](t, b, `select limit_micros from account_standings(array[$1::uuid], $2, $3)`, account, rules.Thresholds, rules.Limits)
	payments := ask[int64](t, b, `select count(*) from purchases where account_id = $1 and balance_ended_at is not null`, account)
	m := moment{state: stateText(b.balance(t, account), b.entitlement(t, account), limit, grants, payments), at: b.clock(t)}
	if ask[bool](t, b, `select blocked_since is not null from entitlements where account_id = $1`, account) {
		m.refusedFrom = before.refusedFrom
		if m.refusedFrom[0].IsZero() {
			m.refusedFrom = [2]time.Time{began, m.at}
		}
	}
	return m
}

func (b *books) sameAsOf(t tb, account string, at time.Time, want moment) {
	t.Helper()
	v, err := b.AsOf(t.Context(), account, at)
	done(t, err)
	var support, customer *int64
	if v.Terms != nil {
		support, customer = v.Terms.SupportLimitMicros, v.Terms.CustomerLimitMicros
	}
	e := v.Entitlement
	limit := int64(billing.LimitUnder(e.Tier, support, customer))
	balance := models.Balance{FreeMicros: v.FreeMicros, PurchasedMicros: v.PurchasedMicros, AccruedMicros: v.AccruedMicros, LifetimeSpendMicros: v.LifetimeSpendMicros}
	same(t, "state", stateText(balance, models.EntitlementState{Version: e.Version, Tier: e.Tier, Suspended: e.Suspended, Blocked: e.Blocked}, limit,
		v.Grants, v.PaymentCount), want.state)
	same(t, "grants", v.GrantCount, int64(len(v.Grants)))
	var paid int64
	for _, p := range v.Payments {
		paid += p.AmountMicros
		same(t, "lifetime spend with it", p.LifetimeSpendMicros, paid)
	}
	same(t, "paid", paid, v.LifetimeSpendMicros)
	same(t, "may use", e.BlockedSince == nil, want.refusedFrom[0].IsZero())
	if e.BlockedSince != nil && (e.BlockedSince.Before(want.refusedFrom[0]) || e.BlockedSince.After(want.refusedFrom[1])) {
		t.Errorf("blocked since %s, want one of %s", e.BlockedSince, want.refusedFrom)
	}
}

// R53: as of any instant is what was recorded at that instant, whatever came after.
func TestR53AsOfIsWhatWasThen(t *testing.T) {
	t.Parallel()
	b := open(t)
	r := b.reporter(t)
	rapid.Check(t, func(rt *rapid.T) {
		began := b.clock(rt)
		account := b.customer(rt)
		var deployments []string
		now := noon
		limit := func(label string) *int64 {
			return rapid.Ptr(rapid.SampledFrom([]int64{0, dollars(50), dollars(500)}), true).Draw(rt, label)
		}
		moments := []moment{b.recorded(rt, account, moment{}, began)}
		for range rapid.IntRange(1, 12).Draw(rt, "changes") {
			began := b.clock(rt)
			switch rapid.SampledFrom([]string{"buy", "buy", "grant", "use", "use", "start", "time", "stop", "terms", "suspend"}).Draw(rt, "change") {
			case "buy":
				b.credited(rt, account, rapid.SampledFrom([]int64{500, 4500, 100_000}).Draw(rt, "cents"))
			case "grant":
				b.grant(rt, account, rapid.Int64Range(1, dollars(30)).Draw(rt, "micros"))
			case "use":
				b.tries(rt, r, account, rapid.Int64Range(1, 4000).Draw(rt, "images"))
			case "start":
				if c := b.create(rt, endpoint(account, h100, now)); c.ID != nil {
					deployments = append(deployments, *c.ID)
				}
			case "time":
				now = now.Add(time.Duration(rapid.IntRange(1, 3000).Draw(rt, "minutes")) * time.Minute)
				b.accrue(rt, now)
			case "stop":
				if len(deployments) > 0 {
					b.stop(rt, deployments[len(deployments)-1], now)
				}
			case "terms":
				b.terms(rt, account, rapid.SampledFrom([]string{"build", "scale"}).Draw(rt, "plan"), limit("support"), limit("customer"))
			case "suspend":
				b.do(rt, `update entitlements set suspended = not suspended, version = version + 1 where account_id = $1`, account)
				b.settle(rt, account)
			}
			last := &moments[len(moments)-1]
			last.at = began // it held until then
			moments = append(moments, b.recorded(rt, account, *last, began))
		}
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(moments)-1), 1, 6).Draw(rt, "instants") {
			b.sameAsOf(rt, account, moments[i].at, moments[i])
		}
		b.sameAsOf(rt, account, b.clock(rt), moments[len(moments)-1])
		b.stopAll(rt, deployments, now)
	})
	b.sound(t)
}

// stopAll leaves nothing running for the next round.
func (b *books) stopAll(t tb, deployments []string, at time.Time) {
	t.Helper()
	for _, id := range deployments {
		b.stop(t, id, at)
	}
}

// tries reports usage that may be refused.
func (b *books) tries(t tb, r reporter, account string, images int64) {
	t.Helper()
	price, _ := r.list.InForce("black-forest-labs/flux.1.1-pro", noon)
	_, err := r.writer.Record(t.Context(), []models.UsageEvent{b.usage(account, price.ID, images, noon)}, r.list.Newest())
	done(t, err)
}

func TestAsOfBeforeTheAccount(t *testing.T) {
	t.Parallel()
	b := open(t)
	before := b.clock(t)
	account := b.customer(t)
	b.credited(t, account, 2500)
	v, err := b.AsOf(t.Context(), account, before)
	done(t, err)
	same(t, "purchased", v.PurchasedMicros, 0)
	same(t, "tier", v.Entitlement.Tier, 0)
	same(t, "payments", len(v.Payments), 0)
}

// R53: each transaction says which grants paid for it.
func TestLedgerLinesNameTheGrants(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.grant(t, account, dollars(1))
	b.credited(t, account, 500)
	b.credited(t, account, 500)
	grants := ask[[]int64](t, b, `select array_agg(id order by id) from credit_grants where account_id = $1`, account)
	r := b.reporter(t)
	r.report(t, account, "black-forest-labs/flux.1-dev", "", 480, noon) // $12
	lines, err := b.LedgerLines(t.Context(), account, 0)
	done(t, err)
	var got []string
	for _, l := range lines[:5] {
		grant := int64(0)
		if l.GrantID != nil {
			grant = *l.GrantID
		}
		got = append(got, fmt.Sprint(l.Kind, " ", l.Book, " ", l.AmountMicros, " ", slices.Index(grants, grant)))
	}
	want := []string{"usage free -1000000 0", "usage purchased -5000000 1", "usage purchased -5000000 2", "usage accrued -1000000 -1", "usage revenue 12000000 -1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	same(t, "lines", len(lines), 5+2+2+2)
	older, err := b.LedgerLines(t.Context(), account, lines[0].TransactionID)
	done(t, err)
	same(t, "older", len(older), 6)
	same(t, "the next", older[0].TransactionID, grants[2])
}
