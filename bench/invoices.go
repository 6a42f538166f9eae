package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/devstack/stack"
	"golang.org/x/sync/errgroup"
)

const (
	// invoicesOwed are charged in one run. A 3rd has tens of thousands; what a checkout
	// feels of them is their pace, which is the same from the first second on, so that
	// half a minute of it says what eight do.
	invoicesOwed = 600
	invoicePace  = 20
	// invoicesWithin bounds the wait for all of them.
	invoicesWithin = 3 * time.Minute
)

// invoiceRun has many invoices issued at once, and measures how long until the last is
// paid, how close to each other the charges come, and what that does to a customer who
// buys meanwhile.
func invoiceRun(ctx context.Context, env stack.Env) ([]result, error) {
	db, err := pgx.Connect(ctx, env[stack.DatabaseURL])
	if err != nil {
		return nil, err
	}
	defer db.Close(context.WithoutCancel(ctx))
	shop := newShop(env)
	accounts, err := shop.payers(ctx)
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
	if err := bill(ctx, db, accounts); err != nil {
		return nil, err
	}
	meanwhile, err := shop.times(ctx, buyer, func(int) (bool, error) {
		var left int64
		err := db.QueryRow(ctx, `select count(*) from invoices where account_id = any($1) and status = 'open'`, accounts).Scan(&left)
		if err == nil && left > 0 && time.Since(began) > invoicesWithin {
			err = fmt.Errorf("%d of %d invoices are not paid after %s", left, invoicesOwed, invoicesWithin)
		}
		return left > 0, err
	})
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	var paid, busiest int64
	err = db.QueryRow(ctx, `
		select sum(n)::bigint, max(n) from (
			select count(*) as n from invoice_payments where account_id = any($1) and bank = 'approved' group by date_trunc('second', bank_started_at)) s`,
		accounts).Scan(&paid, &busiest)
	if err != nil {
		return nil, err
	}
	if paid != invoicesOwed {
		return nil, fmt.Errorf("%d payments of %d invoices", paid, invoicesOwed)
	}
	return []result{
		against("600 invoices charged, to the pace that is set", "s", took.Seconds(), invoicesOwed/invoicePace, 1.3, true),
		against("charges of invoices in the busiest second", "", float64(busiest), invoicePace, 1.25, true),
		against("checkout during a run of charges, p50, to idle", "ms", median(meanwhile), median(before), 1.5, true),
	}, nil
}

// payers opens accounts that bought $5.00.
func (s *shop) payers(ctx context.Context) ([]string, error) {
	ids := make([]string, invoicesOwed)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(clients)
	for i := range ids {
		group.Go(func() error {
			var err error
			if ids[i], err = s.newcomer(ctx); err != nil {
				return err
			}
			var is any // pending will do: it is waited for
			return s.call(ctx, http.MethodPost, "/v1/accounts/"+ids[i]+"/purchases", map[string]int64{"amount_cents": 500}, &is)
		})
	}
	return ids, group.Wait()
}

// bill has every account use $15.00 of last month, and invoices the $10.00 that its
// credits have not paid, in one transaction.
func bill(ctx context.Context, db *pgx.Conn, accounts []string) error {
	rules := billing.TierRules()
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		for _, statement := range []string{
			`insert into usage_totals (account_id, invoice_period, period, price_id, resource, events, quantity, picos)
			 select a, m, m, 1, 'bench', 1, 1, 15000000000000 from unnest($1::uuid[]) a,
			        (select (date_trunc('month', now() at time zone 'UTC') - interval '1 month')::date as m) month
			  where $2::bigint[] is not null and $3::bigint[] is not null`,
			`select usage_charge('usage', 'bench-invoices', array_agg(account_id order by account_id), array_agg(15000000000000::numeric order by account_id), $2, $3, now())
			   from (select account_id from balances where account_id = any($1) order by account_id for update) held`,
			`select monthly_invoice((date_trunc('month', now() at time zone 'UTC') - interval '1 month')::date, $1, 50, $2, $3, now())`,
		} {
			if _, err := tx.Exec(ctx, statement, accounts, rules.Thresholds, rules.Limits); err != nil {
				return fmt.Errorf("bill the month: %w", err)
			}
		}
		return nil
	})
}
