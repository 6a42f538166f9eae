package ledger_test

import (
	"context"
	"errors"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

const (
	h100 = "dedicated_endpoint.h100-80gb"
	// odd costs a number of pico-dollars a minute that no second divides.
	odd = "dedicated_endpoint.odd"
)

// november is the month of noon.
var november = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func endpoint(account, sku string, at time.Time) ledger.NewCreation {
	return ledger.NewCreation{
		ID: uuid.NewString(), AccountID: account, Kind: models.CreationDedicatedEndpoint, SKU: sku, Name: "mine",
		CreationSKU: billing.CreationSKU(models.CreationDedicatedEndpoint), At: at,
	}
}

func job(account string) ledger.NewCreation {
	return ledger.NewCreation{
		ID: uuid.NewString(), AccountID: account, Kind: models.CreationEvaluation, Name: "mine",
		CreationSKU: billing.CreationSKU(models.CreationEvaluation), At: noon,
	}
}

func (b *books) create(t tb, n ledger.NewCreation) ledger.Creation {
	t.Helper()
	c, err := b.Create(t.Context(), n, billing.TierRules())
	done(t, err)
	return c
}

// running makes an account that bought credits for so many dollars and a deployment
// of it that starts at a time.
func (b *books) running(t tb, bought int64, sku string, at time.Time) (account, deployment string) {
	t.Helper()
	account = b.customer(t)
	b.credited(t, account, bought*100)
	return account, b.started(t, account, sku, at)
}

func (b *books) started(t tb, account, sku string, at time.Time) string {
	t.Helper()
	c := b.create(t, endpoint(account, sku, at))
	if c.Refusal != nil {
		t.Fatalf("refused: %s", *c.Refusal)
	}
	return *c.ID
}

func (b *books) accrue(t tb, at time.Time) int64 {
	t.Helper()
	n, err := b.AccrueDeployments(t.Context(), 10_000, billing.TierRules(), at)
	done(t, err)
	return n
}

func (b *books) stop(t tb, id string, at time.Time) {
	t.Helper()
	done(t, b.StopDeployment(t.Context(), id, billing.TierRules(), at))
}

func (b *books) deployment(t tb, id string) models.Deployment {
	t.Helper()
	d, err := b.Deployment(t.Context(), id, november)
	done(t, err)
	return d
}

// price gives a SKU a price, whenever it begins.
func (b *books) price(t tb, sku string, picos int64, from time.Time) int32 {
	t.Helper()
	b.do(t, `alter table prices disable trigger prices_begin_ahead`)
	p, err := b.AddPrice(t.Context(), models.Price{SKU: sku, Unit: "minute", PicosPerUnit: picos, FromAt: from}, audit(b.account(t), "new price"))
	done(t, err)
	return p.ID
}

// spent is what an account used up so far.
func (b *books) spent(t tb, account string) int64 {
	t.Helper()
	return ask[int64](t, b, `select coalesce(sum(amount_micros), 0)::bigint from ledger_entries where account_id = $1 and book = 'revenue'`, account)
}

// ran is how long a deployment was charged for, and how much in pico-dollars.
func (b *books) ran(t tb, id string) (seconds int64, picos string) {
	t.Helper()
	return ask[int64](t, b, `select coalesce(sum(seconds), 0)::bigint from deployment_totals where deployment_id = $1`, id),
		ask[string](t, b, `select coalesce(sum(picos), 0)::text from deployment_totals where deployment_id = $1`, id)
}

// R46, R47: a deployment costs from its start to the second of its stop, and nothing
// after.
func TestDeploymentCostsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	b := open(t)
	at := noon.Add(10*time.Second + 900*time.Millisecond)
	account, id := b.running(t, 25, h100, at)
	same(t, "creation", b.spent(t, account), dollars(1))
	d := b.deployment(t, id)
	same(t, "started", d.StartedAt.UTC(), noon.Add(10*time.Second))
	same(t, "period with its creation", d.PeriodMicros, dollars(1))

	same(t, "in the minute of the start", b.accrue(t, noon.Add(59*time.Second)), 0)
	same(t, "after it", b.accrue(t, noon.Add(time.Minute)), 1)
	same(t, "again", b.accrue(t, noon.Add(90*time.Second)), 0)
	same(t, "50 s of 56,000 micros a minute", b.spent(t, account)-dollars(1), 46_666)
	same(t, "next", b.accrue(t, noon.Add(2*time.Minute+time.Second)), 1)

	b.stop(t, id, noon.Add(3*time.Minute+7*time.Second+999*time.Millisecond))
	d = b.deployment(t, id)
	same(t, "stopped", d.StoppedAt.UTC(), noon.Add(3*time.Minute+7*time.Second))
	same(t, "seconds", d.PeriodSeconds, 177)
	same(t, "177 s", b.spent(t, account)-dollars(1), 56_000*177/60)
	same(t, "period", d.PeriodMicros, dollars(1)+56_000*177/60)
	b.stop(t, id, noon.Add(time.Hour))
	same(t, "after the stop", b.accrue(t, noon.Add(time.Hour)), 0)
	same(t, "unchanged", b.deployment(t, id).StoppedAt.UTC(), d.StoppedAt.UTC())
	same(t, "transactions", ask[int64](t, b, `select count(*) from ledger_transactions where kind = 'deployments'`), 3)
	b.sound(t)
}

func TestDeploymentThatIsStoppedInItsFirstSecondCostsItsCreation(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, id := b.running(t, 25, h100, noon)
	b.stop(t, id, noon.Add(999*time.Millisecond))
	same(t, "spent", b.spent(t, account), dollars(1))
	same(t, "stopped", b.deployment(t, id).StoppedAt.UTC(), noon)
	b.sound(t)
}

func TestNothingRunsNothingAccrues(t *testing.T) {
	t.Parallel()
	b := open(t)
	same(t, "charged", b.accrue(t, noon), 0)
}

// F24: a worker whose clock is ahead charges nothing ahead of time, and a front door
// whose clock is behind stops where the charge has come to.
func TestF24DeploymentsGoByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	b := open(t)
	now := ask[time.Time](t, b, `select clock_timestamp()`)
	_, id := b.running(t, 25, h100, now.Add(-5*time.Minute))
	b.accrue(t, now.Add(time.Hour))
	until := b.deployment(t, id).AccruedUntil
	if until.After(time.Now()) || until.Before(now.Add(-time.Minute)) {
		t.Errorf("charged until %s at %s", until, now)
	}
	b.stop(t, id, now.Add(-4*time.Minute))
	same(t, "stopped", b.deployment(t, id).StoppedAt.UTC(), until.UTC())
	b.sound(t)
}

// R10: without the balance, or the right to spend, nothing is created.
func TestR10WhatCannotBeCreated(t *testing.T) {
	t.Parallel()
	b := open(t)
	customer := func(micros int64, change string) string {
		account := b.customer(t)
		b.grant(t, account, micros)
		if change != "" {
			b.do(t, change, account)
		}
		return account
	}
	const tier1 = `insert into account_terms (account_id, plan, changed_by, reason, changed_at) values ($1, 'scale', 'support', 'agreed', now())`
	for name, c := range map[string]struct {
		n       ledger.NewCreation
		refusal string
	}{
		"LimitedTier":         {endpoint(customer(dollars(50), ""), h100, noon), "limited_tier"},
		"BalanceOneMicroLess": {endpoint(customer(dollars(1)-1, tier1), h100, noon), "insufficient_balance"},
		"JobToo":              {job(customer(dollars(1)-1, tier1)), "insufficient_balance"},
		"UnknownSKU":          {endpoint(customer(dollars(5), tier1), "dedicated_endpoint.none", noon), "unknown_sku"},
		"SKUOfAnotherKind":    {endpoint(customer(dollars(5), tier1), "hosted_model.h100-80gb", noon), "unknown_sku"},
		"SKUOfACreation":      {endpoint(customer(dollars(5), tier1), "dedicated_endpoint.creation", noon), "unknown_sku"},
		"SKUOfAToken":         {endpoint(customer(dollars(5), tier1), "baai/bge-large-en-v1.5.embedding", noon), "unknown_sku"},
		"SKUNotYet":           {endpoint(customer(dollars(5), tier1), h100, time.Date(2023, 12, 31, 0, 0, 0, 0, time.UTC)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "SKUNotYet" {
				if _, err := b.Create(t.Context(), c.n, billing.TierRules()); !errors.Is(err, ledger.ErrNotFound) {
					t.Errorf("got %v, want that no creation has a price yet", err)
				}
				return
			}
			got := b.create(t, c.n)
			if got.Refusal == nil || *got.Refusal != c.refusal || got.ID != nil {
				t.Fatalf("got %+v, want %s", got, c.refusal)
			}
			same(t, "spent", b.spent(t, c.n.AccountID), 0)
		})
	}
	same(t, "created", ask[int64](t, b, `select count(*) from creations`), 0)
	enough := customer(dollars(1), tier1)
	same(t, "exactly enough", b.create(t, job(enough)).Refusal == nil, true)
	same(t, "left", b.balance(t, enough).TotalMicros(), 0)
	_, err := b.Create(t.Context(), job(uuid.NewString()), billing.TierRules())
	if !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("no account: %v", err)
	}
	b.sound(t)
}

// What is owed under a micro-dollar is owed: it counts against the balance.
func TestR10TheRemainderCounts(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.price(t, odd, 1_000_001, noon)
	account, id := b.running(t, 5, odd, noon)
	b.stop(t, id, noon.Add(time.Minute))
	same(t, "left", b.balance(t, account).TotalMicros(), dollars(4)-1)
	for range 3 {
		same(t, "created", b.create(t, job(account)).Refusal == nil, true)
	}
	b.grant(t, account, 1)
	same(t, "left", b.balance(t, account).TotalMicros(), dollars(1))
	same(t, "a pico is missing", *b.create(t, job(account)).Refusal, "insufficient_balance")
	b.sound(t)
}

// An account that is over its limit or suspended starts nothing; what it has running
// goes on, and costs, until somebody stops it.
func TestDeploymentsRunOnPastTheLimit(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, id := b.running(t, 5, h100, noon)
	b.accrue(t, noon.Add(80*time.Hour))
	balance := b.balance(t, account)
	same(t, "accrued", balance.AccruedMicros, 56_000*60*80-dollars(4))
	if !b.entitlement(t, account).Blocked {
		t.Error("the account may go on")
	}
	same(t, "limit", *b.create(t, endpoint(account, h100, noon)).Refusal, "limit_reached")
	b.do(t, `update entitlements set suspended = true where account_id = $1`, account)
	same(t, "suspended", *b.create(t, endpoint(account, h100, noon)).Refusal, "suspended")
	same(t, "runs on", b.accrue(t, noon.Add(81*time.Hour)), 1)
	b.stop(t, id, noon.Add(81*time.Hour))
	same(t, "accrued", b.balance(t, account).AccruedMicros, 56_000*60*81-dollars(4))
	b.sound(t)
}

func TestCreationOfOneKeyIsOne(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.credited(t, account, 500)
	n := endpoint(account, h100, noon)
	n.IdempotencyKey = "k"
	ids, fresh := make([]string, 20), atomic.Int32{}
	together(len(ids), func(i int) {
		n := n
		n.ID = uuid.NewString()
		c := b.create(t, n)
		ids[i] = *c.ID
		if c.Fresh {
			fresh.Add(1)
		}
	})
	for _, id := range ids {
		same(t, "id", id, ids[0])
	}
	same(t, "fresh", fresh.Load(), 1)
	same(t, "spent", b.spent(t, account), dollars(1))
	for name, change := range map[string]func(*ledger.NewCreation){
		"SKU":  func(n *ledger.NewCreation) { n.SKU = "dedicated_endpoint.a100-80gb" },
		"Name": func(n *ledger.NewCreation) { n.Name = "another" },
		"Kind": func(n *ledger.NewCreation) { n.Kind, n.SKU = models.CreationEvaluation, "" },
	} {
		other := n
		change(&other)
		if _, err := b.Create(t.Context(), other, billing.TierRules()); !errors.Is(err, ledger.ErrIdempotencyMismatch) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	b.sound(t)
}

// The last balance is spent once, whoever comes together.
func TestConcurrentStartsCannotSpendTheLastBalanceTwice(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.credited(t, account, 500)
	var created atomic.Int32
	together(12, func(int) {
		if b.create(t, endpoint(account, h100, noon)).Refusal == nil {
			created.Add(1)
		}
	})
	same(t, "created", created.Load(), 5)
	same(t, "deployments", ask[int64](t, b, `select count(*) from deployments`), 5)
	same(t, "left", b.balance(t, account).TotalMicros(), 0)
	b.sound(t)
}

// stretch is time under one price in one month, for the recomputation.
type stretch struct {
	from  time.Time
	picos int64
}

// cost recomputes what a deployment costs from the rule: each month's seconds under
// one price, together, rounded down to the pico.
func cost(prices []stretch, from, to time.Time) (seconds int64, picos *big.Int) {
	type key struct {
		month time.Time
		price int
	}
	counted := map[key]int64{}
	for second := from; second.Before(to); second = second.Add(time.Second) {
		in := 0
		for i, p := range prices {
			if !second.Before(p.from) {
				in = i
			}
		}
		counted[key{time.Date(second.Year(), second.Month(), 1, 0, 0, 0, 0, time.UTC), in}]++
		seconds++
	}
	picos = new(big.Int)
	for k, n := range counted {
		part := new(big.Int).Mul(big.NewInt(n), big.NewInt(prices[k.price].picos))
		picos.Add(picos, part.Div(part, big.NewInt(60)))
	}
	return seconds, picos
}

// However the time is cut into steps, over months and prices, by however many
// workers, the sum is the same.
func TestAccrualDoesNotDependOnItsSteps(t *testing.T) {
	t.Parallel()
	b := open(t)
	midnight := november // between two months
	rapid.Check(t, func(r *rapid.T) {
		sku := "dedicated_endpoint." + uuid.NewString()
		start := midnight.Add(-time.Duration(rapid.IntRange(0, 3000).Draw(r, "start")) * time.Second)
		prices := []stretch{{start.Add(-time.Minute), rapid.Int64Range(0, 1_000_000_000_000).Draw(r, "first price")}}
		for range rapid.IntRange(0, 3).Draw(r, "changes") {
			last := prices[len(prices)-1].from
			gap := time.Duration(rapid.IntRange(1, 900_000).Draw(r, "gap")) * time.Millisecond
			prices = append(prices, stretch{last.Add(gap), rapid.Int64Range(0, 1_000_000_000_000).Draw(r, "price")})
		}
		for _, p := range prices {
			b.price(r, sku, p.picos, p.from)
		}
		account, id := b.running(r, 5, sku, start)
		at := start
		for range rapid.IntRange(0, 6).Draw(r, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 1_500_000).Draw(r, "step")) * time.Millisecond)
			together(rapid.IntRange(1, 3).Draw(r, "workers"), func(int) { b.accrue(r, at) })
		}
		at = at.Add(time.Duration(rapid.IntRange(0, 90_000).Draw(r, "rest")) * time.Millisecond)
		b.stop(r, id, at)
		wantSeconds, wantPicos := cost(prices, start, at.Truncate(time.Second))
		seconds, picos := b.ran(r, id)
		same(r, "seconds", seconds, wantSeconds)
		same(r, "picos", picos, wantPicos.String())
		remainder := ask[int64](r, b, `select remainder_picos::bigint from usage_meters where account_id = $1`, account)
		charged := new(big.Int).Add(big.NewInt(remainder), new(big.Int).Mul(big.NewInt(b.spent(r, account)-dollars(1)), big.NewInt(1_000_000)))
		same(r, "charged", charged.String(), wantPicos.String())
	})
	b.sound(t)
}

// A worker that was away for hours, over the end of a month and a change of the
// price, catches up in one step.
func TestAccrualCatchesUpInOneStep(t *testing.T) {
	t.Parallel()
	b := open(t)
	old := b.price(t, odd, 60_000_000, november.Add(-48*time.Hour))
	dear := b.price(t, odd, 120_000_000, november.Add(time.Hour))
	account, id := b.running(t, 25, odd, november.Add(-6*time.Hour))
	same(t, "step", b.accrue(t, november.Add(3*time.Hour+30*time.Second)), 1)
	same(t, "transactions", ask[int64](t, b, `select count(*) from ledger_transactions where kind = 'deployments'`), 1)
	for name, c := range map[string]struct {
		period         string
		price          int32
		seconds, picos int64
	}{
		"October":        {"2026-10-01", old, 6 * 3600, 6 * 3600 * 1_000_000},
		"November":       {"2026-11-01", old, 3600, 3600 * 1_000_000},
		"NovemberDearer": {"2026-11-01", dear, 2 * 3600, 2 * 3600 * 2_000_000},
	} {
		same(t, name+" seconds", ask[int64](t, b, `select seconds from deployment_totals where deployment_id = $1 and period = $2::text::date and price_id = $3`,
			id, c.period, c.price), c.seconds)
		same(t, name+" picos", ask[int64](t, b, `select picos::bigint from deployment_totals where deployment_id = $1 and period = $2::text::date and price_id = $3`,
			id, c.period, c.price), c.picos)
	}
	same(t, "spent", b.spent(t, account), dollars(1)+6*3600+3600+2*7200)
	b.sound(t)
}

// F36: months are those of UTC, of whatever length, whatever the session thinks the
// time is; no second is lost or counted twice between them.
func TestF36AccrualOverMonthsOfEveryLength(t *testing.T) {
	t.Parallel()
	b := open(t)
	_, leap := b.running(t, 25, h100, time.Date(2024, 1, 31, 23, 0, 0, 0, time.UTC))
	_, autumn := b.running(t, 25, h100, time.Date(2026, 10, 31, 12, 0, 0, 0, time.UTC))
	rules := billing.TierRules()
	in := func(zone, sql string, args ...any) {
		t.Helper()
		done(t, pgx.BeginFunc(t.Context(), b.db, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), `select set_config('timezone', $1, true)`, zone); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), sql, append([]any{rules.Thresholds, rules.Limits}, args...)...)
			return err
		}))
	}
	const accrue = `select deployments_accrue(10, $1, $2, $3)`
	in("America/New_York", accrue, time.Date(2024, 3, 1, 4, 0, 0, 0, time.UTC))
	in("Asia/Kathmandu", accrue, time.Date(2026, 11, 1, 5, 30, 0, 0, time.UTC))
	in("Pacific/Auckland", `select deployment_stop($3, $1, $2, $4)`, leap, noon)
	for period, want := range map[string]int64{"2024-01-01": 1, "2024-02-01": 29 * 24, "2024-03-01": 31 * 24, "2025-02-01": 28 * 24, "2026-11-01": 60} {
		same(t, period, ask[int64](t, b, `select sum(seconds)::bigint from deployment_totals where deployment_id = $1 and period = $2::text::date`, leap, period), want*3600)
	}
	same(t, "the end of October", ask[int64](t, b, `select sum(seconds)::bigint from deployment_totals where deployment_id = $1 and period = '2026-10-01'`, autumn), 12*3600)
	seconds, _ := b.ran(t, leap)
	same(t, "all", time.Duration(seconds)*time.Second, noon.Sub(time.Date(2024, 1, 31, 23, 0, 0, 0, time.UTC)))
	b.sound(t)
}

// A step takes as many as it may, and the next one the others, also of one account.
func TestAccrualGoesByPages(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, _ := b.running(t, 25, h100, noon)
	b.started(t, account, h100, noon)
	b.running(t, 25, h100, noon)
	for _, want := range []int64{2, 1, 0} {
		n, err := b.AccrueDeployments(t.Context(), 2, billing.TierRules(), noon.Add(time.Minute))
		done(t, err)
		same(t, "charged", n, want)
	}
	same(t, "seconds", ask[int64](t, b, `select sum(seconds)::bigint from deployment_totals`), 3*60)
	b.sound(t)
}

// I6: deployments that nobody charges are seen, until they are charged.
func TestI6LateDeploymentsRaiseAnAlert(t *testing.T) {
	t.Parallel()
	b := open(t)
	_, id := b.running(t, 25, h100, noon)
	alerts := func(at time.Time) int {
		t.Helper()
		_, err := b.SweepLateDeployments(t.Context(), at, 15*time.Minute)
		done(t, err)
		open, err := b.OpenAlerts(t.Context())
		done(t, err)
		return len(open)
	}
	same(t, "in time", alerts(noon.Add(15*time.Minute)), 0)
	same(t, "late", alerts(noon.Add(15*time.Minute+time.Second)), 1)
	same(t, "still", alerts(noon.Add(time.Hour)), 1)
	b.accrue(t, noon.Add(time.Hour))
	same(t, "charged", alerts(noon.Add(time.Hour)), 0)
	same(t, "late again", alerts(noon.Add(2*time.Hour)), 1)
	b.stop(t, id, noon.Add(2*time.Hour))
	same(t, "stopped", alerts(noon.Add(9*time.Hour)), 0)
}

// Many workers at every step, some of which die before they commit, and stops and
// starts meanwhile: each second is charged once.
func TestAccrualByRacingWorkersChargesEachSecondOnce(t *testing.T) {
	t.Parallel()
	b := open(t)
	var ids []string
	for range 5 {
		account, id := b.running(t, 25, h100, noon)
		ids = append(ids, id, b.started(t, account, "dedicated_endpoint.a100-80gb", noon))
	}
	for minute := 1; minute <= 10; minute++ {
		at := noon.Add(time.Duration(minute) * time.Minute)
		together(8, func(i int) {
			switch i {
			case 0:
				b.dies(t, at)
			case 1:
				b.stop(t, ids[minute-1], at.Add(-13*time.Second))
			default:
				b.accrue(t, at)
			}
		})
	}
	for n, id := range ids {
		d := b.deployment(t, id)
		seconds, _ := b.ran(t, id)
		same(t, "seconds", time.Duration(seconds)*time.Second, d.StoppedAt.Sub(noon))
		// The stop comes in its own minute, before or after that minute's step.
		early, late := time.Duration(n+1)*time.Minute-13*time.Second, time.Duration(n+1)*time.Minute
		if ran := d.StoppedAt.Sub(noon); ran != early && ran != late {
			t.Errorf("stopped after %s, asked after %s", ran, early)
		}
	}
	b.sound(t)
}

// dies accrues and loses the connection before the commit.
func (b *books) dies(t tb, at time.Time) {
	t.Helper()
	lost := errors.New("lost")
	rules := billing.TierRules()
	err := pgx.BeginFunc(t.Context(), b.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `select deployments_accrue(10000, $1, $2, $3)`, rules.Thresholds, rules.Limits, at); err != nil {
			return err
		}
		return lost
	})
	if !errors.Is(err, lost) {
		t.Errorf("%v", err)
	}
}

// The lock that has one worker do the step is for peace: without it each second is
// charged once all the same.
func TestAccrualWithoutItsLockChargesOnce(t *testing.T) {
	t.Parallel()
	b := open(t)
	_, id := b.running(t, 25, h100, noon)
	const unlocked = `replace(pg_get_functiondef('deployments_accrue(integer, bigint[], bigint[], timestamptz)'::regprocedure),
		'not pg_try_advisory_xact_lock(hashtext(''deployments_accrue''))', 'false')`
	b.do(t, ask[string](t, b, `select `+unlocked))
	for minute := 1; minute <= 20; minute++ {
		together(8, func(int) { b.accrue(t, noon.Add(time.Duration(minute)*time.Minute)) })
	}
	seconds, _ := b.ran(t, id)
	same(t, "seconds", seconds, 20*60)
	b.sound(t)
}

// A price that somebody is about to store is waited for: it may begin in the time that
// is charged.
func TestAccrualWaitsForAPriceThatIsBeingStored(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.price(t, odd, 60_000_000, noon.Add(-time.Hour))
	account, _ := b.running(t, 25, odd, noon)
	tx, err := b.db.Begin(t.Context())
	done(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = tx.Exec(t.Context(), `insert into prices (sku, unit, picos_per_unit, from_at) values ($1, 'minute', 600000000, $2)`, odd, noon.Add(time.Minute))
	done(t, err)
	together(2, func(i int) {
		if i == 0 {
			b.accrue(t, noon.Add(2*time.Minute))
			return
		}
		b.await(t, 1)
		done(t, tx.Commit(t.Context()))
	})
	same(t, "spent", b.spent(t, account)-dollars(1), 60+600)
}

func TestSettledDeploymentsCannotChange(t *testing.T) {
	t.Parallel()
	b := open(t)
	_, id := b.running(t, 25, h100, noon)
	b.accrue(t, noon.Add(time.Hour))
	stopped := b.started(t, b.deployment(t, id).AccountID, h100, noon)
	b.stop(t, stopped, noon.Add(time.Minute))
	for name, c := range map[string]struct{ sql, by, id string }{
		"Delete":         {`delete from deployments where id = $1`, "deployments_only_move_on", id},
		"BackInTime":     {`update deployments set accrued_until = accrued_until - interval '1 minute' where id = $1`, "deployments_only_move_on", id},
		"AnotherSKU":     {`update deployments set sku = 'x' where id = $1`, "deployments_only_move_on", id},
		"StartsAgain":    {`update deployments set stopped_at = null where id = $1`, "deployments_only_move_on", stopped},
		"StopsUncharged": {`update deployments set stopped_at = accrued_until + interval '1 s' where id = $1`, "deployments_are_charged_to_their_end", id},
		"HalfASecond":    {`update deployments set accrued_until = accrued_until + interval '0.5 s' where id = $1`, "deployments_accrued_until_check", id},
		"CreationGone":   {`delete from creations where id = $1`, "23001", id},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.db.Exec(t.Context(), c.sql, c.id)
			refused(t, err, c.by)
		})
	}
}
