package relay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/relay"
	"github.com/paystage/paystage/testenv"
	"github.com/paystage/paystage/workflows"
)

// fleet is gateways, the database behind them, and workers that look after them.
type fleet struct {
	t     *testing.T
	store *ledger.Ledger
	db    *pgxpool.Pool
	keys  gateway.Keyring
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	url := testenv.Database(t) + "&synchronous_commit=off"
	store, err := ledger.Open(t.Context(), url, 16)
	must(t, err)
	t.Cleanup(store.Close)
	db, err := pgxpool.New(t.Context(), url)
	must(t, err)
	t.Cleanup(db.Close)
	keys, err := gateway.ParseKeys("k1:0123456789abcdef")
	must(t, err)
	return &fleet{t: t, store: store, db: db, keys: keys}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fleet) exec(sql string, args ...any) {
	f.t.Helper()
	_, err := f.db.Exec(f.t.Context(), sql, args...)
	must(f.t, err)
}

// accounts makes n accounts of tier 1 that wait for no gateway.
func (f *fleet) accounts(n int) {
	f.t.Helper()
	f.exec(`insert into accounts (id, email, name, territory, created_at)
		select gen_random_uuid(), i || '@example.com', 'A', 'US', clock_timestamp() from generate_series(1, $1) as i`, n)
	f.exec(`update entitlements set version = 1, tier = 1, tier_told = 1`)
	f.exec(`update entitlements set waiting_since = null`)
}

// change gives every account a new version, as a billing run does: by one statement
// and without a word to push it. They wait since different times, the last first.
func (f *fleet) change() (order []string) {
	f.t.Helper()
	f.exec(`update entitlements set version = version + 1`)
	f.exec(`update entitlements e set waiting_since = clock_timestamp() - n.place * interval '1 minute'
		from (select account_id, row_number() over (order by account_id) as place from entitlements) n where n.account_id = e.account_id`)
	rows, err := f.db.Query(f.t.Context(), `select account_id::text from entitlements order by waiting_since`)
	must(f.t, err)
	order, err = pgx.CollectRows(rows, pgx.RowTo[string])
	must(f.t, err)
	return order
}

// member is one gateway of a fleet. before, if set, looks at each request and may
// answer it in the gateway's place.
type member struct {
	url    string
	store  *gateway.Store
	mu     sync.Mutex
	before func(w http.ResponseWriter, r *http.Request, body string) (answered bool)
	pushed []string // accounts, in the order in which they came
	pages  int
}

func (f *fleet) gateway() *member {
	f.t.Helper()
	store, err := gateway.Open(f.t.TempDir())
	must(f.t, err)
	m := &member{store: store}
	handler := gateway.NewHandler(store, f.keys, time.Now, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		m.mu.Lock()
		before := m.before
		m.mu.Unlock()
		if before != nil && before(w, r, string(body)) {
			return
		}
		m.note(r, body)
		handler.ServeHTTP(w, r)
	}))
	m.url = server.URL
	f.t.Cleanup(func() { server.Close(); _ = store.Close() })
	return m
}

func (m *member) note(r *http.Request, body []byte) {
	var page gateway.Page
	if r.URL.Path != "/entitlements" || json.Unmarshal(body, &page) != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pages++
	for _, e := range page.Entitlements {
		m.pushed = append(m.pushed, e.AccountID)
	}
}

func (m *member) intercept(before func(http.ResponseWriter, *http.Request, string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before = before
}

// care runs a worker's part in looking after these gateways, until the test ends or
// stop is called.
func (f *fleet) care(all func() []string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	g := &relay.Gateways{
		Store: f.store, All: all, Holder: testenv.Unique(f.t) + fmt.Sprint(time.Now().UnixNano()), Wake: func() {}, Now: time.Now,
		Log: slog.New(slog.DiscardHandler),
		Pages: &activities.GatewayPages{
			Client: &http.Client{}, Keys: f.keys, Store: f.store, All: all, Now: time.Now,
		},
	}
	var running sync.WaitGroup
	running.Go(func() { g.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	f.t.Cleanup(stop)
	return stop
}

func of(members ...*member) func() []string {
	var urls []string
	for _, m := range members {
		urls = append(urls, m.url)
	}
	return func() []string { return urls }
}

func (f *fleet) await(what string, true func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); !true(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("it never came that %s", what)
		}
	}
}

func (f *fleet) waiting(m *member) int64 {
	f.t.Helper()
	all, err := f.store.GatewayOverviews(f.t.Context(), []string{m.url})
	must(f.t, err)
	return all[0].Waiting
}

// holdsAll says whether a gateway holds every account's newest version.
func (f *fleet) holdsAll(m *member) bool {
	f.t.Helper()
	states, err := f.store.EntitlementPage(f.t.Context(), "", 100_000)
	must(f.t, err)
	for _, state := range states {
		if e, _ := m.store.Get(state.AccountID); e.Version != state.Version {
			return false
		}
	}
	return true
}

// R22: a gateway that is new is filled by pages, and no workflow is started for any
// account of it.
func TestR22NewGatewayIsFilledByPages(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	const accounts = 2500
	f.accounts(accounts)
	a, b := f.gateway(), f.gateway()
	f.care(of(a, b))
	for _, m := range []*member{a, b} {
		f.await("it is filled", m.store.Filled)
		if n := m.store.Len(); n != accounts || m.pages != 3 || !f.holdsAll(m) {
			t.Errorf("it holds %d accounts by %d pages", n, m.pages)
		}
		states, err := f.store.GatewayStates(t.Context(), a.pushed[0], []string{m.url})
		must(t, err)
		if states[0].Version != 1 || states[0].AcknowledgedAt == nil {
			t.Errorf("it is known to hold %+v", states[0])
		}
	}
	messages, err := f.store.ClaimMessages(t.Context(), 10, time.Minute)
	must(t, err)
	if len(messages) != 0 {
		t.Errorf("messages: %+v", messages)
	}
	f.await("it is known to be filled", func() bool {
		all, err := f.store.GatewayOverviews(t.Context(), of(a)())
		must(t, err)
		return all[0].SyncedAt != nil && all[0].FillingSince == nil && all[0].Filled == accounts
	})
}

// F44: what changed by the thousand drains in the order of waiting, and a gateway
// that is down or hangs delays no other.
func TestF44WaitingAccountsDrainInOrder(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.accounts(1200)
	up, hangs := f.gateway(), f.gateway()
	f.care(of(up, hangs))
	f.await("both are filled", func() bool { return up.store.Filled() && hangs.store.Filled() })
	release := make(chan struct{})
	hangs.intercept(func(http.ResponseWriter, *http.Request, string) bool { <-release; return true })
	f.await("the full sync is over", func() bool {
		all, err := f.store.GatewayOverviews(t.Context(), of(up)())
		must(t, err)
		return all[0].FillingSince == nil
	})
	up.mu.Lock()
	up.pushed = nil
	up.mu.Unlock()
	order := f.change()
	f.await("the one that is up holds all", func() bool { return f.holdsAll(up) && f.waiting(up) == 0 })
	if got := up.pushed[:len(order)]; !slices.Equal(got, order) {
		t.Error("they were not brought in the order of waiting")
	}
	if n := f.waiting(hangs); n != 1200 {
		t.Errorf("%d accounts wait for the one that hangs", n)
	}
	hangs.intercept(nil)
	close(release)
	f.await("the other is back and holds all", func() bool { return f.holdsAll(hangs) && f.waiting(hangs) == 0 })
	if n := scan(f, `select count(*) from entitlements where waiting_since is not null`); n != 0 {
		t.Errorf("%d accounts still wait", n)
	}
}

func scan(f *fleet, sql string) (n int64) {
	f.t.Helper()
	must(f.t, f.db.QueryRow(f.t.Context(), sql).Scan(&n))
	return n
}

// F22: a worker that dies in a full sync is followed by another, which goes on where
// it was and not from the beginning.
func TestF22FullSyncGoesOnWithAnotherWorker(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.accounts(100)
	m := f.gateway()
	first, err := f.store.EntitlementPage(t.Context(), "", 60)
	must(t, err)
	// What a worker leaves that died after its first pages.
	_, err = f.store.CareForGateway(t.Context(), m.url, "dead", time.Hour)
	must(t, err)
	must(t, f.store.BeginFilling(t.Context(), m.url, m.store.Sync().Store, time.Now()))
	must(t, f.store.NoteFilling(t.Context(), m.url, first[59].AccountID, 60, time.Now()))
	care, err := f.store.CareForGateway(t.Context(), m.url, "another", time.Minute)
	must(t, err)
	if care.Mine {
		t.Error("two workers look after it")
	}
	f.exec(`update gateways set lease_until = clock_timestamp()`)
	f.care(of(m))
	f.await("it is filled", m.store.Filled)
	if n := m.store.Len(); n != 40 {
		t.Errorf("%d accounts were brought, want those that were left", n)
	}
}

// A gateway whose state was lost asks for everything, whatever it acknowledged.
func TestGatewayThatLostItsStateIsFilledAgain(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.accounts(10)
	m := f.gateway()
	stop := f.care(of(m))
	f.await("it is filled", func() bool { return m.store.Filled() })
	stop()
	fresh := f.gateway()
	f.exec(`update gateways set url = $1`, fresh.url)
	f.exec(`update gateway_acks set gateway = $1`, fresh.url)
	f.care(of(fresh))
	f.await("it is filled again", func() bool { return fresh.store.Filled() && fresh.store.Len() == 10 })
}

// A gateway that says it is well, but not by the store that we filled, is filled too:
// so is one that was out of the configuration and may have missed news.
func TestGatewayThatWeDidNotFillIsFilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.accounts(10)
	m := f.gateway()
	stop := f.care(of(m))
	known := func() bool {
		return scan(f, `select count(*) from gateways where store is not null and filling is null`) == 1
	}
	f.await("it is filled", known)
	stop()
	for _, sql := range []string{`update gateways set store = 'another'`, `update gateways set seen_at = clock_timestamp() - interval '6 minutes'`} {
		f.exec(sql)
		m.mu.Lock()
		m.pushed = nil
		m.mu.Unlock()
		stop := f.care(of(m))
		f.await("it is filled again", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(m.pushed) == 10 })
		f.await("that is known", known)
		stop()
	}
}

// A gateway leaves and another comes, by configuration alone. Nobody waits for the
// one that has left.
func TestGatewaysComeAndGo(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.accounts(10)
	a, b := f.gateway(), f.gateway()
	var mu sync.Mutex
	all := of(a)()
	f.care(func() []string { mu.Lock(); defer mu.Unlock(); return all })
	f.await("the first is filled", a.store.Filled)
	mu.Lock()
	all = of(b)()
	mu.Unlock()
	f.await("the other is filled", b.store.Filled)
	f.change()
	f.await("the other holds the change", func() bool { return f.holdsAll(b) })
	f.await("nothing waits", func() bool { return scan(f, `select count(*) from entitlements where waiting_since is not null`) == 0 })
	if f.holdsAll(a) {
		t.Error("the one that left was brought the change")
	}
}

// A gateway in another language that takes no pages is told of, and left to single
// pushes.
func TestGatewayWithoutPages(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.accounts(3)
	m := f.gateway()
	m.intercept(func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		w.WriteHeader(http.StatusNotFound)
		return true
	})
	f.care(of(m))
	f.await("it is told of", func() bool {
		all, err := f.store.GatewayOverviews(t.Context(), of(m)())
		must(t, err)
		return all[0].LastError != nil && strings.Contains(*all[0].LastError, "takes no pages")
	})
	requested, err := f.store.RequestLagging(t.Context(), of(m)())
	must(t, err)
	if requested != 3 {
		t.Errorf("%d accounts are pushed one by one, want all", requested)
	}
}

// I10: a gateway that is ahead of us, as after a restore, gets a version above its
// own.
func TestI10PageToAGatewayThatIsAhead(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.accounts(3)
	m := f.gateway()
	states, err := f.store.EntitlementPage(t.Context(), "", 3)
	must(t, err)
	var page []models.Entitlement
	for _, state := range states {
		page = append(page, billing.EntitlementFor(state))
	}
	page[1].Version = 41
	_, err = m.store.PutAll(page)
	must(t, err)
	f.care(of(m))
	f.await("it holds a version above its own", func() bool {
		e, _ := m.store.Get(page[1].AccountID)
		return e.Version == 42 && f.holdsAll(m)
	})
}

// A deploy with other rules: once the release before has been quiet for a minute every
// account that a gateway knows waits with a new version.
func TestEntitlementsAreRenewedAfterARelease(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.accounts(3)
	f.exec(`update entitlement_rules set applied = 'the release before'`)
	must(t, f.store.NoteRules(t.Context(), "the release before"))
	r := relay.New(f.store, nil, workflows.DefaultQueues(), nil, slog.New(slog.DiscardHandler))
	renewed := func() (n int) {
		t.Helper()
		r.FollowRules(t.Context(), time.Now())
		must(t, f.db.QueryRow(t.Context(), `select count(*) from entitlements where version > 1 and waiting_since is not null`).Scan(&n))
		return n
	}
	if n := renewed(); n != 0 {
		t.Errorf("%d renewed while the release before may push", n)
	}
	f.exec(`update running_rules set seen_at = seen_at - interval '61 seconds' where rules = 'the release before'`)
	if n := renewed(); n != 3 {
		t.Errorf("%d renewed, want 3", n)
	}
}
