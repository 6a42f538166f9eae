package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/devstack/stack"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/migrations"
	"github.com/paystage/paystage/workflows"
	"golang.org/x/sync/errgroup"
)

const (
	// A month of closingLines lines an account, of so many accounts; the larger number
	// is what a run of the benchmark can bear, not what the closing can.
	closingAccounts = 10_000
	closingMany     = 100_000
	closingLines    = 20
	closingRounds   = 3
	// minClosed is how many accounts a second are closed at least.
	minClosed = 5000
)

// closing sets the closing of a month against one bare statement that writes the same
// invoices and lines, and what an account costs among many against among few. Its
// pages are closed as the workflow does, as many side by side.
func closing(ctx context.Context, env stack.Env) ([]result, error) {
	db, store, drop, err := closingDatabase(ctx, env)
	if err != nil {
		return nil, err
	}
	defer drop()
	// Months of their own: the few of each round, then the many.
	month := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := fillMonths(ctx, db, 1, closingAccounts, month, closingRounds); err != nil {
		return nil, err
	}
	var few, bare []float64
	for n := range closingRounds {
		r, err := closeAll(ctx, store, month.AddDate(0, n, 0))
		if err != nil {
			return nil, err
		}
		b, err := bareClose(ctx, db, month.AddDate(0, n, 0))
		if err != nil {
			return nil, err
		}
		few, bare = append(few, r), append(bare, b)
	}
	next := month.AddDate(0, closingRounds, 0)
	if err := fillMonths(ctx, db, closingAccounts+1, closingMany, next, 1); err != nil {
		return nil, err
	}
	many, err := closeAll(ctx, store, next)
	if err != nil {
		return nil, err
	}
	v, err := store.MonthlyClose(ctx, next)
	if err != nil {
		return nil, err
	}
	if v.Invoices != closingMany-closingAccounts {
		return nil, fmt.Errorf("%d invoices of %d accounts", v.Invoices, closingMany-closingAccounts)
	}
	rate := median(few)
	return []result{
		against("accounts closed in a month to one bare statement", "/s", rate, median(bare), 0.5, false),
		against("accounts closed in a month", "/s", rate, minClosed, 1, false),
		against(fmt.Sprintf("cost of an account among %d to one among %d", closingMany, closingAccounts), "µs", 1e6/many, 1e6/rate, 1.2, true),
	}, nil
}

// closingDatabase makes a database for the closing alone, beside the stack's.
func closingDatabase(ctx context.Context, env stack.Env) (*pgx.Conn, *ledger.Ledger, func(), error) {
	address, err := url.Parse(env[stack.DatabaseURL])
	if err != nil {
		return nil, nil, nil, err
	}
	server, err := pgx.Connect(ctx, address.String())
	if err != nil {
		return nil, nil, nil, err
	}
	name := "closing_bench"
	if _, err := server.Exec(ctx, "drop database if exists "+name+" with (force)"); err != nil {
		return nil, nil, nil, err
	}
	if _, err := server.Exec(ctx, "create database "+name); err != nil {
		return nil, nil, nil, err
	}
	address.Path = "/" + name
	if err := migrations.Up(ctx, address.String()); err != nil {
		return nil, nil, nil, err
	}
	db, err := pgx.Connect(ctx, address.String())
	if err != nil {
		return nil, nil, nil, err
	}
	store, err := ledger.Open(ctx, address.String(), 8)
	if err != nil {
		return nil, nil, nil, err
	}
	return db, store, func() {
		ctx := context.WithoutCancel(ctx)
		store.Close()
		_ = db.Close(ctx)
		_, _ = server.Exec(ctx, "drop database "+name+" with (force)")
		_ = server.Close(ctx)
	}, nil
}

// fillMonths makes the accounts from number from to number to, and what they used in
// so many months from the first on. Half of them owe it.
func fillMonths(ctx context.Context, db *pgx.Conn, from, to int, first time.Time, months int) error {
	const those = ` between bench_account($1) and bench_account($2) `
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{`create or replace function bench_account(n integer) returns uuid language sql immutable as $$
			select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$`, nil},
		// What follows the entries is written without them: this is about the closing.
		{`alter table balances disable trigger user`, nil},
		{`alter table prices disable trigger user`, nil},
		{`insert into accounts (id, email, name, territory, created_at)
			select bench_account(n), 'bench@example.com', 'Bench', 'US', $3::date from generate_series($1::integer, $2::integer) n`, []any{from, to, first}},
		{`insert into prices (sku, unit, picos_per_unit, from_at)
			select 'bench.' || n, 'token', 1000000, '2024-01-01' from generate_series(1, $1::integer) n on conflict do nothing`, []any{closingLines}},
		{`insert into usage_totals (account_id, invoice_period, period, price_id, resource, events, quantity, picos)
			select a.id, m::date, m::date, p.id, '', 10, 10000, 10000 * p.picos_per_unit
			  from accounts a
			 cross join generate_series($3::timestamp, $3::timestamp + make_interval(months => $4::integer - 1), '1 month') m
			 cross join (select id, picos_per_unit from prices where sku like 'bench.%') p
			 where a.id` + those + `order by a.id, m, p.id`, []any{from, to, first, months}},
		{`insert into usage_meters (account_id, remainder_picos, used_micros, purchased_used_micros)
			select account_id, 0, sum(picos) / 1000000, case when account_id::text ~ '[02468ace]$' then sum(picos) / 1000000 else 0 end
			  from usage_totals where account_id` + those + `group by account_id`, []any{from, to}},
		{`update balances b set accrued_micros = m.used_micros - m.purchased_used_micros
			from usage_meters m where m.account_id = b.account_id and b.account_id` + those, []any{from, to}},
		{`alter table balances enable trigger user`, nil},
		{`vacuum analyze usage_totals, usage_meters, balances, accounts`, nil},
		{`checkpoint`, nil},
	} {
		if _, err := db.Exec(ctx, step.sql, step.args...); err != nil {
			return fmt.Errorf("fill months: %w", err)
		}
	}
	return nil
}

// closeAll closes a month and answers how many accounts were invoiced a second.
func closeAll(ctx context.Context, store *ledger.Ledger, month time.Time) (float64, error) {
	began := time.Now()
	at := began
	c, err := store.BeginMonthlyClose(ctx, month, false, activities.MonthlyPage, at)
	if err != nil {
		return 0, err
	}
	pages, ctx := errgroup.WithContext(ctx)
	pages.SetLimit(workflows.MonthlyPagesAtOnce)
	for page := range c.Pages {
		pages.Go(func() error {
			_, err := store.CloseMonthlyPage(ctx, month, c.Round, page, billing.LeastChargeCents, billing.TierRules(), at)
			return err
		})
	}
	if err := pages.Wait(); err != nil {
		return 0, err
	}
	ctx = context.WithoutCancel(ctx)
	if _, err := store.FinishMonthlyClose(ctx, month, at); err != nil {
		return 0, err
	}
	took := time.Since(began)
	done, err := store.MonthlyClose(ctx, month)
	return float64(done.Invoices) / took.Seconds(), err
}

// bareClose writes the invoices and lines of a month again, in tables of the same
// columns and indexes and without rules, in one statement.
func bareClose(ctx context.Context, db *pgx.Conn, month time.Time) (float64, error) {
	for _, s := range []string{
		"drop table if exists bare_invoices, bare_lines",
		"create table bare_invoices (like invoices including indexes)", "create table bare_lines (like invoice_lines including indexes)",
	} {
		if _, err := db.Exec(ctx, s); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	var invoices, lines int64
	err := db.QueryRow(ctx, `
		with i as (
			insert into bare_invoices (id, number, account_id, kind, description, total_micros, status, issued_at, bill_to, period, usage_micros,
			                           carried_in_micros, free_micros, purchased_micros, due_cents, carried_out_micros, revision)
			select gen_random_uuid(), row_number() over (order by t.account_id), t.account_id, 'monthly', 'Usage', sum(t.picos) / 1000000, 'open', now(), '{}', $1,
			       sum(t.picos) / 1000000, 0, 0, 0, sum(t.picos) / 10000000000, 0, 1
			  from usage_totals t where t.invoice_period = $1 group by t.account_id
			returning id, account_id),
		l as (
			insert into bare_lines (invoice_id, line, section, sku, unit, resource, name, period, events, quantity, amount_micros)
			select i.id, row_number() over (partition by t.account_id order by p.sku), 'usage', p.sku, p.unit, t.resource, '', t.period, t.events, t.quantity, t.picos / 1000000
			  from i join usage_totals t on t.account_id = i.account_id and t.invoice_period = $1 join prices p on p.id = t.price_id
			returning 1)
		select (select count(*) from i), (select count(*) from l)`, month).Scan(&invoices, &lines)
	if err != nil {
		return 0, fmt.Errorf("bare statement: %w", err)
	}
	if lines != invoices*closingLines {
		return 0, fmt.Errorf("the bare statement wrote %d lines of %d invoices", lines, invoices)
	}
	return float64(invoices) / time.Since(began).Seconds(), nil
}
