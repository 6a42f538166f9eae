package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/devstack/stack"
	"github.com/paystage/paystage/ledger"
)

const (
	usageBatch    = 500
	usageAccounts = 100
	usageRounds   = 3
	usageRound    = 5 * time.Second
	usageSKU      = "meta-llama/llama-3.1-8b.input"
	// accountsInBatch is how many accounts one batch tells of.
	accountsInBatch = 10
)

// meter reports usage through the front door.
type meter struct {
	base, key string
	http      *http.Client
}

// usage sets events counted through the front door against a bare loop over the
// same rows, and one account's against many.
func usage(ctx context.Context, env stack.Env) ([]result, error) {
	pool, err := pgxpool.New(ctx, env[stack.DatabaseURL]+"&pool_max_conns="+strconv.Itoa(clients))
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	accounts, err := unlimited(ctx, newShop(env), env, usageAccounts)
	if err != nil {
		return nil, err
	}
	if err := prepareRaw(ctx, pool, accounts); err != nil {
		return nil, err
	}
	m := &meter{base: env[stack.PaystageURL], key: env[stack.RoleKey("usage")], http: newShop(env).http}
	many := func() (float64, error) { return m.rate(ctx, usageRound, accounts) }
	hot := func() (float64, error) { return m.rate(ctx, usageRound, accounts[:1]) }
	raw := func() (float64, error) { return rawRate(ctx, pool, usageRound, accounts) }
	for _, warm := range []func() (float64, error){many, raw} {
		if _, err := warm(); err != nil {
			return nil, err
		}
	}
	before, err := m.memory(ctx)
	if err != nil {
		return nil, err
	}
	rates, err := alternate(ctx, usageRounds, time.Second, many, raw, hot)
	if err != nil {
		return nil, err
	}
	after, err := m.memory(ctx)
	if err != nil {
		return nil, err
	}
	return []result{
		against("usage events through HTTP to a bare insert, 100 accounts", "/s", rates[0], rates[1], 0.6, false),
		against("usage events of one account to those of many", "/s", rates[2], rates[0], 0.8, false),
		against("front door's memory after a million events to before", "MB", after, before, 1.5, true),
	}, nil
}

// growth is the rate of events with ever more of them stored.
func growth(ctx context.Context, env stack.Env) ([]result, error) {
	pool, err := pgxpool.New(ctx, env[stack.DatabaseURL])
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	accounts, err := unlimited(ctx, newShop(env), env, usageAccounts)
	if err != nil {
		return nil, err
	}
	m := &meter{base: env[stack.PaystageURL], key: env[stack.RoleKey("usage")], http: newShop(env).http}
	if err := emptyMonth(ctx, pool, time.Now().UTC()); err != nil {
		return nil, err
	}
	var results []result
	first := 0.0
	for _, stored := range []int{10_000, 1_000_000, 10_000_000} {
		if err := fill(ctx, pool, accounts, stored); err != nil {
			return nil, err
		}
		rates, err := alternate(ctx, usageRounds, time.Second, func() (float64, error) { return m.rate(ctx, usageRound, accounts) })
		if err != nil {
			return nil, err
		}
		if first == 0 {
			first = rates[0]
		}
		results = append(results, against(fmt.Sprintf("usage events with %d stored to those with 10000", stored), "/s", rates[0], first, 0.9, false))
	}
	return results, nil
}

// emptyMonth takes the month's events out of the table, as old months are, and makes
// it anew.
func emptyMonth(ctx context.Context, pool *pgxpool.Pool, now time.Time) error {
	name := now.Format("usage_events_2006_01")
	for _, statement := range []string{
		"alter table usage_events detach partition " + name, "drop table " + name, "select usage_partitions_ensure(now(), 1)",
	} {
		if _, err := pool.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// fill stores events until there are so many, as reports would have.
func fill(ctx context.Context, pool *pgxpool.Pool, accounts []string, stored int) error {
	for {
		tag, err := pool.Exec(ctx, `
			insert into usage_events (account_id, event_id, at, price_id, quantity, batch)
			select ($1::uuid[])[1 + n % cardinality($1::uuid[])], 'f' || lpad(to_hex(extract(epoch from clock_timestamp())::bigint), 8, '0') || '-' || gen_random_uuid(),
			       now(), 1, 1, 0
			  from generate_series(1, least(500000, $2 - (select count(*) from usage_events))) n`, accounts, stored)
		if err != nil {
			return fmt.Errorf("fill: %w", err)
		}
		if tag.RowsAffected() == 0 {
			break
		}
	}
	if _, err := pool.Exec(ctx, "vacuum analyze usage_events"); err != nil {
		return fmt.Errorf("vacuum: %w", err)
	}
	return nil
}

// unlimited opens accounts that no limit stops.
func unlimited(ctx context.Context, shop *shop, env stack.Env, n int) ([]string, error) {
	support := *shop
	support.key = env[stack.RoleKey("support")]
	ids := make([]string, n)
	for i := range ids {
		var account api.Account
		err := shop.call(ctx, http.MethodPost, "/v1/accounts", map[string]string{"email": "bench@example.com", "name": "Bench", "territory": "US"}, &account)
		if err != nil {
			return nil, err
		}
		var limit api.Limit
		err = support.call(ctx, http.MethodPost, "/v1/support/accounts/"+account.ID+"/limit",
			map[string]any{"plan": "enterprise", "limit_cents": int64(1e12), "reason": "benchmark"}, &limit)
		if err != nil {
			return nil, err
		}
		ids[i] = account.ID
	}
	return ids, nil
}

// rate is how many events are counted in a second.
func (m *meter) rate(ctx context.Context, lasting time.Duration, accounts []string) (float64, error) {
	bodies := sync.Pool{New: func() any { return new(bytes.Buffer) }}
	batches, err := rate(ctx, lasting, func(ctx context.Context, client, n int) error {
		body := bodies.Get().(*bytes.Buffer)
		defer bodies.Put(body)
		body.Reset()
		writeBatch(body, accounts, client+n*clients)
		return m.send(ctx, body)
	})
	return batches * usageBatch, err
}

func writeBatch(body *bytes.Buffer, accounts []string, batch int) {
	at := time.Now().UTC().Format(time.RFC3339Nano)
	body.WriteString(`{"events":[`)
	for i := range usageBatch {
		if i > 0 {
			body.WriteByte(',')
		}
		account := accounts[(batch+i%accountsInBatch)%len(accounts)]
		id, _ := uuid.NewV7()
		body.WriteString(`{"id":"`)
		body.WriteString(id.String())
		body.WriteString(`","account_id":"`)
		body.WriteString(account)
		body.WriteString(`","sku":"` + usageSKU + `","quantity":1200,"at":"`)
		body.WriteString(at)
		body.WriteString(`","resource":"chat"}`)
	}
	body.WriteString(`]}`)
}

func (m *meter) send(ctx context.Context, body *bytes.Buffer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.base+"/v1/usage", bytes.NewReader(body.Bytes()))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+m.key)
	req.Header.Set("Content-Type", "application/json")
	res, err := m.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	var answer api.UsageAnswer
	if err := json.Unmarshal(text, &answer); err != nil || answer.Accepted != usageBatch {
		return fmt.Errorf("report usage: %s", text)
	}
	return nil
}

var residentMemory = regexp.MustCompile(`(?m)^process_resident_memory_bytes (\S+)$`)

// memory is what the front door holds, in megabytes.
func (m *meter) memory(ctx context.Context) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.base+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := m.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	found := residentMemory.FindSubmatch(text)
	if found == nil {
		return 0, errors.New("the front door's metrics don't tell its memory")
	}
	bytes, err := strconv.ParseFloat(string(found[1]), 64)
	return bytes / 1e6, err
}

// prepareRaw makes what the bare loop writes to.
func prepareRaw(ctx context.Context, pool *pgxpool.Pool, accounts []string) error {
	_, err := pool.Exec(ctx, `
		create table bench_events (account_id uuid, event_id text collate "C", at timestamptz, price_id integer, quantity bigint, resource text,
			primary key (account_id, event_id));
		create table bench_balances (account_id uuid primary key, micros bigint not null)`)
	if err != nil {
		return fmt.Errorf("make tables: %w", err)
	}
	_, err = pool.Exec(ctx, `insert into bench_balances select unnest($1::uuid[]), 0`, accounts)
	return err
}

// rawStatement inserts a batch and updates one balance an account; the locks are
// taken in order, or the clients would deadlock.
const rawStatement = `
	with stored as (
		insert into bench_events select * from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::integer[], $5::bigint[], $6::text[])
		on conflict do nothing returning account_id, quantity),
	held as materialized (
		select b.account_id, s.quantity from bench_balances b
		  join (select account_id, sum(quantity) as quantity from stored group by account_id) s using (account_id)
		 order by b.account_id for update of b)
	update bench_balances b set micros = b.micros + h.quantity from held h where b.account_id = h.account_id`

func rawRate(ctx context.Context, pool *pgxpool.Pool, lasting time.Duration, accounts []string) (float64, error) {
	batches, err := rate(ctx, lasting, func(ctx context.Context, client, n int) error {
		ids, owners := make([]string, usageBatch), make([]string, usageBatch)
		for i := range ids {
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			ids[i], owners[i] = id.String(), accounts[(client+n*clients+i%accountsInBatch)%len(accounts)]
		}
		_, err := pool.Exec(ctx, rawStatement, owners, ids, slices.Repeat([]time.Time{time.Now()}, usageBatch),
			slices.Repeat([]int32{1}, usageBatch), slices.Repeat([]int64{1200}, usageBatch), slices.Repeat([]string{"chat"}, usageBatch))
		return err
	})
	return batches * usageBatch, err
}

const (
	admissionsPerSecond = 1000
	admissionSeconds    = 5
	maxAdmissionMillis  = 2
)

// admissionRead reads whether accounts may spend, a thousand times a second, and
// answers how long that takes at the 99th percentile.
func admissionRead(ctx context.Context, env stack.Env) ([]result, error) {
	store, err := ledger.Open(ctx, env[stack.DatabaseURL], clients)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	accounts, err := unlimited(ctx, newShop(env), env, usageAccounts)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var took []float64
	var reads sync.WaitGroup
	var failure error
	ticker := time.NewTicker(time.Second / admissionsPerSecond)
	defer ticker.Stop()
	for n := range admissionsPerSecond * (1 + admissionSeconds) {
		<-ticker.C
		reads.Go(func() {
			began := time.Now()
			_, err := store.Admission(ctx, accounts[n%len(accounts)])
			mu.Lock()
			defer mu.Unlock()
			failure = errors.Join(failure, err)
			if n >= admissionsPerSecond { // by then the connections are open
				took = append(took, millis(time.Since(began)))
			}
		})
	}
	reads.Wait()
	slices.Sort(took)
	return []result{against("admission read from the database, p99 at 1000/s", "ms", took[len(took)*99/100], maxAdmissionMillis, 1, true)}, failure
}
