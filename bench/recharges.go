package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/devstack/stack"
	"github.com/paystage/paystage/ledger"
	"golang.org/x/sync/errgroup"
)

const (
	// waveAccounts cross their threshold in one transaction; wavePace is how many
	// automatic charges a second the development stack makes.
	waveAccounts = 1000
	wavePace     = 20
	// waveWithin bounds the wait for all of them.
	waveWithin = 3 * time.Minute

	idleAccounts   = 1_000_000
	maxSweepMillis = 50
	sweeps         = 50
)

// rechargeWave has many accounts fall below their threshold at once, and measures
// how long until the last is refilled, how close to each other the charges come, and
// what that does to a customer who buys meanwhile.
func rechargeWave(ctx context.Context, env stack.Env) ([]result, error) {
	db, err := pgx.Connect(ctx, env[stack.DatabaseURL])
	if err != nil {
		return nil, err
	}
	defer db.Close(context.WithoutCancel(ctx))
	shop := newShop(env)
	accounts, err := shop.rechargers(ctx)
	if err != nil {
		return nil, err
	}
	buyer, err := shop.customer(ctx)
	if err != nil {
		return nil, err
	}
	if err := settled(ctx, db); err != nil {
		return nil, err
	}
	before, err := shop.times(ctx, buyer, func(n int) (bool, error) { return n < lonePurchases, nil })
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := cross(ctx, db, accounts); err != nil {
		return nil, err
	}
	meanwhile, err := shop.times(ctx, buyer, func(int) (bool, error) {
		left, err := waiting(ctx, db, accounts)
		if err == nil && left > 0 && time.Since(began) > waveWithin {
			err = fmt.Errorf("%d of %d accounts are not refilled after %s", left, waveAccounts, waveWithin)
		}
		return left > 0, err
	})
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	var made, busiest int64
	err = db.QueryRow(ctx, `
		select sum(n)::bigint, max(n) from (
			select count(*) as n from purchases where account_id = any($1) and origin = 'auto_recharge' and status = 'completed' group by date_trunc('second', bank_started_at)) s`,
		accounts).Scan(&made, &busiest)
	if err != nil {
		return nil, err
	}
	if made != waveAccounts {
		return nil, fmt.Errorf("%d recharges of %d accounts that needed one each", made, waveAccounts)
	}
	return []result{
		against("1,000 accounts recharged, to the pace that is set", "s", took.Seconds(), waveAccounts/wavePace, 1.2, true),
		against("automatic charges in the busiest second", "", float64(busiest), wavePace, 1.25, true),
		against("checkout meanwhile, p50, to before", "ms", median(meanwhile), median(before), 1.5, true),
	}, nil
}

// rechargers opens accounts that bought $5.00 and recharge when they fall below zero.
func (s *shop) rechargers(ctx context.Context) ([]string, error) {
	ids := make([]string, waveAccounts)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(clients)
	for i := range ids {
		group.Go(func() error {
			var err error
			if ids[i], err = s.newcomer(ctx); err != nil {
				return err
			}
			var is any // pending will do: it is waited for below
			if err := s.call(ctx, http.MethodPost, "/v1/accounts/"+ids[i]+"/purchases", map[string]int64{"amount_cents": 500}, &is); err != nil {
				return err
			}
			return s.call(ctx, http.MethodPut, "/v1/accounts/"+ids[i]+"/auto-recharge",
				map[string]any{"enabled": true, "amount_cents": 500, "threshold_cents": 0}, &is)
		})
	}
	return ids, group.Wait()
}

// settled waits until all purchases have ended and all messages are delivered.
func settled(ctx context.Context, db *pgx.Conn) error {
	for {
		var left int
		if err := db.QueryRow(ctx, `select (select count(*) from outbox) + (select count(*) from purchases where status = 'pending')`).Scan(&left); err != nil || left == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// times buys for as long as on says, and answers what each purchase took in
// milliseconds.
func (s *shop) times(ctx context.Context, account string, on func(n int) (bool, error)) ([]float64, error) {
	var all []float64
	for {
		again, err := on(len(all))
		if err != nil || !again {
			return all, err
		}
		began := time.Now()
		if _, err := s.buy(ctx, account, 500); err != nil {
			return nil, err
		}
		all = append(all, millis(time.Since(began)))
	}
}

// cross charges every account $5.01 of usage in one transaction.
func cross(ctx context.Context, db *pgx.Conn, accounts []string) error {
	rules := billing.TierRules()
	_, err := db.Exec(ctx, `
		select usage_charge('usage', 'bench', array_agg(account_id order by account_id), array_agg(5010000000000::numeric order by account_id), $2, $3, now())
		  from (select account_id from balances where account_id = any($1) order by account_id for update) held`,
		accounts, rules.Thresholds, rules.Limits)
	if err != nil {
		return fmt.Errorf("cross the threshold: %w", err)
	}
	return nil
}

// waiting counts the accounts that are still below zero.
func waiting(ctx context.Context, db *pgx.Conn, accounts []string) (left int64, err error) {
	err = db.QueryRow(ctx, `
		select count(*) from balances where account_id = any($1) and free_micros + purchased_micros < accrued_micros`, accounts).Scan(&left)
	return left, err
}

// rechargeSweep measures how long it takes to find out that none of a million
// accounts is to be woken. An idle account is a row and nothing else.
func rechargeSweep(ctx context.Context, env stack.Env) ([]result, error) {
	db, err := pgx.Connect(ctx, env[stack.DatabaseURL])
	if err != nil {
		return nil, err
	}
	defer db.Close(context.WithoutCancel(ctx))
	// Without triggers and references: only these rows matter here.
	for _, statement := range []string{
		`alter table auto_recharges drop constraint auto_recharges_account_id_fkey`,
		`alter table auto_recharges disable trigger auto_recharges_set_threshold`,
		fmt.Sprintf(`insert into auto_recharges (account_id, enabled, amount_cents, threshold_cents, changed_at)
			select gen_random_uuid(), true, 500, 500, now() from generate_series(1, %d)`, idleAccounts),
		`analyze auto_recharges`,
	} {
		if _, err := db.Exec(ctx, statement); err != nil {
			return nil, fmt.Errorf("make idle accounts: %w", err)
		}
	}
	store, err := ledger.Open(ctx, env[stack.DatabaseURL], 2)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	var all []float64
	for range sweeps {
		began := time.Now()
		if _, err := store.WakeRecharges(ctx, began.Add(-time.Minute), began.Add(time.Minute), 1000); err != nil {
			return nil, err
		}
		all = append(all, millis(time.Since(began)))
	}
	return []result{against("one look for accounts to recharge among 1,000,000", "ms", median(all), maxSweepMillis, 1, true)}, nil
}
