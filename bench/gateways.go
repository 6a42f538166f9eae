package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/devstack/stack"
	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/relay"
)

const (
	maxPropagationMillis = 100
	propagations         = 40
	manyAccounts         = 1_000_000
	maxSyncSeconds       = 60
	maxStoreMB           = 400
	changedAtOnce        = 10_000
	maxDrainSeconds      = 60
	maxUrgentMillis      = 1000
	urgentPurchases      = 5
	gatewayPatience      = 3 * time.Minute
)

// propagation measures from a change's commit, which is before the answer to who
// made it, until both gateways let the new key in.
func propagation(ctx context.Context, env stack.Env) ([]result, error) {
	shop := newShop(env)
	account, err := shop.customer(ctx)
	if err != nil {
		return nil, err
	}
	var took []float64
	for range propagations {
		var key api.APIKey
		if err := shop.call(ctx, http.MethodPost, "/v1/accounts/"+account+"/api-keys", struct{}{}, &key); err != nil {
			return nil, err
		}
		began := time.Now()
		for _, url := range strings.Split(env[stack.GatewayURLs], ",") {
			if err := letIn(ctx, url, key.Text); err != nil {
				return nil, err
			}
		}
		took = append(took, millis(time.Since(began)))
		if err := shop.call(ctx, http.MethodDelete, "/v1/accounts/"+account+"/api-keys/"+key.ID, struct{}{}, &key); err != nil {
			return nil, err
		}
		time.Sleep(100 * time.Millisecond) // for the revocation to be done with
	}
	return []result{against("one change at both gateways, p50", "ms", median(took), maxPropagationMillis, 1, true)}, nil
}

// letIn waits until a gateway lets a key in.
func letIn(ctx context.Context, url, key string) error {
	ctx, cancel := context.WithTimeout(ctx, gatewayPatience)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", bytes.NewBufferString(`{"model":"`+benchModel+`"}`))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			return err
		}
		if res.StatusCode == http.StatusOK {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}

// fullSync fills a new gateway, a process of its own, with a million accounts, by the
// code that a worker runs, and looks at the memory that it takes.
func fullSync(ctx context.Context, env stack.Env) ([]result, error) {
	if err := manyEntitlements(ctx, env); err != nil {
		return nil, err
	}
	url, process, stop, err := newGateway(env)
	if err != nil {
		return nil, err
	}
	defer stop()
	store, err := ledger.Open(ctx, env[stack.DatabaseURL], 8)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	keys, err := gateway.ParseKeys(env[stack.GatewaySigningKeys])
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, gatewayPatience)
	defer cancel()
	all := func() []string { return []string{url} }
	care := &relay.Gateways{
		Store: store, All: all, Holder: uuid.NewString(), Wake: func() {}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Pages: &activities.GatewayPages{Client: activities.NewGatewayClient(), Keys: keys, Store: store, All: all, Now: time.Now},
	}
	caring, leave := context.WithCancel(ctx)
	ended := make(chan struct{})
	began := time.Now()
	go func() { defer close(ended); care.Run(caring) }()
	err = ready(ctx, url)
	took := time.Since(began).Seconds()
	leave()
	<-ended
	if err != nil {
		return nil, err
	}
	megabytes, err := residentMB(process)
	if err != nil {
		return nil, err
	}
	return []result{
		against("full sync of a million accounts", "s", took, maxSyncSeconds, 1, true),
		against("gateway process that holds a million accounts", "MB", megabytes, maxStoreMB, 1, true),
	}, nil
}

// manyEntitlements makes a million accounts of tier 1 with an API key each, that
// wait for no gateway.
func manyEntitlements(ctx context.Context, env stack.Env) error {
	pool, err := pgxpool.New(ctx, env[stack.DatabaseURL])
	if err != nil {
		return err
	}
	defer pool.Close()
	const parts = 20
	for range parts {
		_, err := pool.Exec(ctx, `
			with opened as (
				insert into accounts (id, email, name, territory, created_at)
				select gen_random_uuid(), 'bench@example.com', 'Bench', 'US', clock_timestamp() from generate_series(1, $1::int) returning id)
			insert into account_keys (id, account_id, name, secret_hash, created_at)
			select encode(substr(sha256(id::text::bytea), 1, 8), 'hex'), id, '', sha256(id::text::bytea), clock_timestamp() from opened`,
			manyAccounts/parts)
		if err != nil {
			return fmt.Errorf("make accounts: %w", err)
		}
	}
	for _, sql := range []string{
		`update entitlements set version = 1, tier = 1, tier_told = 1 where version = 0`,
		`update entitlements set waiting_since = null where waiting_since is not null`,
		`vacuum analyze entitlements`,
		`analyze account_keys`,
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			return fmt.Errorf("make entitlements: %w", err)
		}
	}
	return nil
}

// newGateway starts a gateway with nothing in it.
func newGateway(env stack.Env) (url string, process int, stop func(), err error) {
	root, err := stack.FindRoot(".")
	if err != nil {
		return "", 0, nil, err
	}
	state, err := os.MkdirTemp("", "paystage-bench-gateway-")
	if err != nil {
		return "", 0, nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", 0, nil, err
	}
	listen := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return "", 0, nil, err
	}
	p, err := stack.Start(stack.Command{
		Name: "bench-gateway", Path: filepath.Join(root, ".dev", "bin", "gateway"), Args: []string{"--listen", listen, "--state", state},
		Env: append(os.Environ(), stack.GatewaySigningKeys+"="+env[stack.GatewaySigningKeys]), Log: filepath.Join(state, "log"),
	})
	if err != nil {
		return "", 0, nil, err
	}
	return "http://" + listen, p.PID(), func() { _ = p.Stop(); _ = os.RemoveAll(state) }, nil
}

// ready waits until a gateway has been filled.
func ready(ctx context.Context, url string) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the gateway is not filled: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// residentMB is the memory that a process has in use, in megabytes.
func residentMB(process int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kilobytes); err == nil {
			return kilobytes / 1024, nil
		}
	}
	return 0, errors.New("the process does not say what memory it has")
}

// billingRun changes many accounts at once, as the 3rd of the month does, and buys
// a tier meanwhile: the purchase does not stand behind them.
func billingRun(ctx context.Context, env stack.Env) ([]result, error) {
	shop := newShop(env)
	pool, err := pgxpool.New(ctx, env[stack.DatabaseURL])
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	began := time.Now()
	_, err = pool.Exec(ctx, `update entitlements set version = version + 1 where account_id in
		(select account_id from entitlements where tier = 1 order by account_id limit $1)`, changedAtOnce)
	if err != nil {
		return nil, err
	}
	var urgent []float64
	for range urgentPurchases {
		account, err := shop.newcomer(ctx)
		if err != nil {
			return nil, err
		}
		bought := time.Now()
		if _, err := shop.buy(ctx, account, 500); err != nil {
			return nil, err
		}
		urgent = append(urgent, millis(time.Since(bought)))
	}
	for waiting := 1; waiting > 0; time.Sleep(20 * time.Millisecond) {
		if err := pool.QueryRow(ctx, `select count(*) from entitlements where waiting_since is not null`).Scan(&waiting); err != nil {
			return nil, err
		}
		if time.Since(began) > gatewayPatience {
			return nil, fmt.Errorf("%d accounts still wait", waiting)
		}
	}
	return []result{
		against("10,000 changed accounts at both gateways", "s", time.Since(began).Seconds(), maxDrainSeconds, 1, true),
		against("purchase of a tier meanwhile, p50", "ms", median(urgent), maxUrgentMillis, 1, true),
	}, nil
}
