package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/mocks"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/links"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/judge"
	"github.com/paystage/paystage/stripesim/sim"
	"github.com/paystage/paystage/testenv"
	"github.com/paystage/paystage/workflows"
)

const (
	webhookSecret = "whsec_current"
	olderSecret   = "whsec_older"
	linkKeys      = "l2:0123456789abcdef0123,l1:fedcba98765432103210"
	company       = "Acme & Sons"
	gatewayA      = "http://gateway-a"
	gatewayB      = "http://gateway-b"
	// patience bounds every wait of a test. It is never waited out when things work.
	patience = 30 * time.Second
	maxConns = 16
)

// What a test must not find in a log (I9).
const (
	email  = "ada.lovelace@example.com"
	name   = "Ada Lovelace"
	street = "12 St James's Square"
	city   = "Springfield"
	taxID  = "DE123456789"
)

// front is a front door with a real database and the double of Stripe behind it.
// No worker runs: purchases move on by what a test does to the ledger.
type front struct {
	t        *testing.T
	url      string
	server   *api.Server
	store    *ledger.Ledger
	db       *pgxpool.Pool
	stripe   *sim.Server
	temporal *mocks.Client
	clock    *clock
	log      *buffer
	keys     map[models.Role]string
	// charger is what a worker would charge with.
	charger *activities.Stripe
	// stripeBase is where the double answers, maxCents the most for one purchase.
	stripeBase string
	maxCents   int64
	// close ends the front door as a stop of the program does.
	close context.CancelFunc
}

// open starts a front door whose Temporal takes every purchase.
func open(t *testing.T) *front {
	t.Helper()
	f := openWith(t, &mocks.Client{})
	f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, nil)
	return f
}

func openWith(t *testing.T, temporal *mocks.Client) *front {
	t.Helper()
	// What a crash would lose is not what these tests are about.
	address := testenv.Database(t) + "&synchronous_commit=off"
	f := &front{
		t: t, temporal: temporal, clock: &clock{}, log: &buffer{}, keys: map[models.Role]string{}, maxCents: billing.DefaultMaxPurchaseCents,
	}
	var err error
	f.store, err = ledger.Open(t.Context(), address, maxConns)
	done(t, err)
	t.Cleanup(f.store.Close)
	f.db, err = pgxpool.New(t.Context(), address)
	done(t, err)
	t.Cleanup(f.db.Close)
	for _, role := range models.Roles() {
		f.keys[role] = f.newKey(role)
	}
	f.openStripe()
	f.serve()
	return f
}

func (f *front) openStripe() {
	f.t.Helper()
	f.stripe = judge.Double(f.t, sim.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	web := httptest.NewServer(f.stripe)
	f.t.Cleanup(func() { _ = f.stripe.Close(); web.Close() })
	f.stripeBase = web.URL
}

// serve starts the front door; called again, another one over the same database.
func (f *front) serve() {
	f.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	f.close = stop
	client := activities.NewStripeClient(f.stripeBase, "sk_test_front")
	f.charger = &activities.Stripe{API: client, ReturnURL: "http://shop.example/return"}
	web := httptest.NewUnstartedServer(nil)
	keys, err := links.ParseKeys(linkKeys)
	done(f.t, err)
	f.server = api.New(ctx, api.Options{
		Store: f.store, Temporal: f.temporal, Queues: workflows.DefaultQueues(),
		Stripe: client, ReturnURL: "http://shop.example/return",
		WebhookSecrets: []string{webhookSecret, olderSecret}, Gateways: func() []string { return []string{gatewayA, gatewayB} },
		MaxPurchaseCents: f.maxCents, Now: f.clock.now,
		Company: company, URL: "http://" + web.Listener.Addr().String(), Links: keys, AuthorizationLasts: 7 * 24 * time.Hour,
		Log: slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	server := f.server
	web.Config.Handler = server
	web.Start()
	f.t.Cleanup(func() { stop(); web.Close(); server.Close() })
	f.url = web.URL
}

func (f *front) newKey(role models.Role) string {
	f.t.Helper()
	key, text, err := api.NewRoleKey(role, "a test's "+string(role), f.clock.now())
	done(f.t, err)
	done(f.t, f.store.CreateRoleKey(f.t.Context(), key, models.AuditEntry{
		At: f.clock.now(), Actor: "a test", Role: models.RoleAdmin, Action: "create_key", Subject: api.KeySubject(key.ID), Reason: "to open doors",
	}))
	return text
}

// answer is what came back of a request.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// header is one header of a request, by name and value.
type header [2]string

func idempotencyKey(key string) header { return header{"Idempotency-Key", key} }

// call sends a request with a role's key. A body that is a string goes as it is,
// anything else but nil as JSON.
func (f *front) call(role models.Role, method, path string, body any, headers ...header) answer {
	f.t.Helper()
	return f.send(method, path, body, append([]header{{"Authorization", "Bearer " + f.keys[role]}}, headers...)...)
}

// send sends a request with the headers given and nothing but those.
func (f *front) send(method, path string, body any, headers ...header) answer {
	f.t.Helper()
	var payload []byte
	switch body := body.(type) {
	case nil:
	case string:
		payload = []byte(body)
	default:
		var err error
		payload, err = json.Marshal(body)
		done(f.t, err)
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, f.url+path, bytes.NewReader(payload))
	done(f.t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		req.Header.Set(h[0], h[1])
	}
	res, err := http.DefaultClient.Do(req)
	done(f.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	done(f.t, err)
	return answer{t: f.t, status: res.StatusCode, header: res.Header, body: text}
}

// into decodes an answer of that status.
func (a answer) into(status int, out any) {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("answered %d %s, want %d", a.status, a.body, status)
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		a.t.Fatalf("answered %s: %v", a.body, err)
	}
}

// refused checks that an answer is a whole problem with that status and code, and
// gives it.
func (a answer) refused(status int, code string) api.Problem {
	a.t.Helper()
	var p api.Problem
	if err := json.Unmarshal(a.body, &p); err != nil || a.status != status || p.Code != code {
		a.t.Fatalf("answered %d %s, want %d %s", a.status, a.body, status, code)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Errorf("%s comes as %q", code, got)
	}
	if p.Type != "about:blank" || p.Title != http.StatusText(status) || p.Status != status {
		a.t.Errorf("%s: type %q, title %q, status %d", code, p.Type, p.Title, p.Status)
	}
	if len(p.Detail) < 20 || !strings.HasSuffix(p.Detail, ".") && p.Detail != billing.MessageCardNotAccepted {
		a.t.Errorf("%s: the detail is no sentence that helps: %q", code, p.Detail)
	}
	return p
}

// Bodies.
type object map[string]any

var address = object{"line1": street, "city": city, "state": "IL", "postal_code": "62701", "country": "US"}

func cardBody(method string) object {
	return object{"payment_method": method, "billing_address": address}
}

// account opens an account without a card.
func (f *front) account() string {
	f.t.Helper()
	var opened api.Account
	f.call(models.RoleCheckout, "POST", "/v1/accounts", object{"email": email, "name": name, "territory": "US"}).into(201, &opened)
	return opened.ID
}

// customer opens an account with a card.
func (f *front) customer() string {
	f.t.Helper()
	id := f.account()
	f.putCard(id, cardBody("pm_card_visa")).into(200, &api.Card{})
	return id
}

func (f *front) putCard(account string, body any) answer {
	f.t.Helper()
	return f.call(models.RoleCheckout, "PUT", "/v1/accounts/"+account+"/card", body)
}

// post asks for a purchase and does not wait for the bank, unless told to.
func (f *front) post(account, key string, body any, headers ...header) answer {
	f.t.Helper()
	return f.call(models.RoleCheckout, "POST", "/v1/accounts/"+account+"/purchases", body,
		append([]header{idempotencyKey(key), {"Prefer", "wait=0"}}, headers...)...)
}

// buy makes a purchase that is pending.
func (f *front) buy(account string, cents int64) api.Purchase {
	f.t.Helper()
	var purchase api.Purchase
	f.post(account, uuid.NewString(), object{"amount_cents": cents}).into(202, &purchase)
	return purchase
}

func (f *front) purchase(id string) api.Purchase {
	f.t.Helper()
	var purchase api.Purchase
	f.call(models.RoleCheckout, "GET", "/v1/purchases/"+id, nil).into(200, &purchase)
	return purchase
}

func (f *front) billing(account string) api.Billing {
	f.t.Helper()
	var view api.Billing
	f.call(models.RoleCheckout, "GET", "/v1/accounts/"+account+"/billing", nil).into(200, &view)
	return view
}

// The steps of a purchase, as its workflow takes them.

func (f *front) begin(id string) {
	f.t.Helper()
	_, err := f.store.BeginPurchase(f.t.Context(), id, f.clock.now())
	done(f.t, err)
}

func (f *front) bankSays(id string, said ledger.BankAnswer) {
	f.t.Helper()
	said.At = f.clock.now()
	done(f.t, f.store.RecordBank(f.t.Context(), id, said))
}

func (f *front) approve(id string, cents int64) {
	f.t.Helper()
	f.begin(id)
	f.bankSays(id, approvedAs("pi_"+id, cents))
}

func approvedAs(intent string, cents int64) ledger.BankAnswer {
	return ledger.BankAnswer{State: models.BankApproved, PaymentIntentID: intent, CapturedCents: cents}
}

func (f *front) invoice(id string) {
	f.t.Helper()
	_, err := f.store.IssueInvoice(f.t.Context(), id, uuid.NewString(), f.clock.now())
	done(f.t, err)
}

func (f *front) credit(id string) {
	f.t.Helper()
	_, err := f.store.CreditPurchase(f.t.Context(), id, billing.TierRules(), f.clock.now())
	done(f.t, err)
}

// credited takes a purchase to where only the gateways have to hear of it.
func (f *front) credited(id string, cents int64) {
	f.t.Helper()
	f.approve(id, cents)
	f.invoice(id)
	f.credit(id)
}

func (f *front) acknowledge(account, gateway string, version int64) {
	f.t.Helper()
	done(f.t, f.store.AcknowledgeEntitlement(f.t.Context(), account, gateway, version, []string{gatewayA, gatewayB}, f.clock.now()))
}

func (f *front) settle(id string) {
	f.t.Helper()
	complete, err := f.store.SettleTier(f.t.Context(), id, []string{gatewayA, gatewayB}, f.clock.now())
	done(f.t, err)
	if !complete {
		f.t.Fatal("the purchase waits for gateways")
	}
}

// complete takes a purchase to its end.
func (f *front) complete(p api.Purchase) {
	f.t.Helper()
	f.credited(p.ID, p.AmountCents)
	version := scan[int64](f, "select version from entitlements where account_id = $1", p.AccountID)
	f.acknowledge(p.AccountID, gatewayA, version)
	f.acknowledge(p.AccountID, gatewayB, version)
	f.settle(p.ID)
}

// pay makes the payment of a purchase at Stripe, as the workflow's charge does, and
// answers its PaymentIntent.
func (f *front) pay(id string) string {
	f.t.Helper()
	p, err := f.store.Purchase(f.t.Context(), id)
	done(f.t, err)
	payment, err := f.charger.Charge(f.t.Context(), activities.ChargeInput{
		PurchaseID: p.ID, AccountID: p.AccountID, Customer: p.StripeCustomerID, PaymentMethod: p.PaymentMethodID,
		AmountCents: p.AmountCents, IdempotencyKey: "purchase/" + p.ID + "/1",
	})
	done(f.t, err)
	return payment.PaymentIntentID
}

// snapshot is the whole content of the database, table by table.
func (f *front) snapshot() map[string]string {
	f.t.Helper()
	tables := f.tables()
	content := make(map[string]string, len(tables))
	for _, table := range tables {
		content[table] = scan[string](f, fmt.Sprintf("select coalesce(string_agg(t::text, chr(10) order by t::text), '') from %s t", table))
	}
	return content
}

func (f *front) tables() []string {
	f.t.Helper()
	rows, err := f.db.Query(f.t.Context(), "select tablename::text from pg_tables where schemaname = 'public' order by 1")
	done(f.t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	done(f.t, err)
	if len(tables) < 10 {
		f.t.Fatalf("only %d tables: %v", len(tables), tables)
	}
	return tables
}

// unchanged checks that the database is what it was.
func (f *front) unchanged(before map[string]string) {
	f.t.Helper()
	for table, now := range f.snapshot() {
		if now != before[table] {
			f.t.Errorf("%s changed from\n%s\nto\n%s", table, before[table], now)
		}
	}
}

func (f *front) count(table string) int64 {
	f.t.Helper()
	return scan[int64](f, "select count(*) from "+table)
}

// scan gives the one value of a query.
func scan[T any](f *front, query string, args ...any) T {
	f.t.Helper()
	rows, err := f.db.Query(f.t.Context(), query, args...)
	done(f.t, err)
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		f.t.Fatalf("%s: %v", query, err)
	}
	return value
}

// starts is how many times a purchase's workflow was started.
func (f *front) starts() int {
	n := 0
	for _, call := range f.temporal.Calls {
		if call.Method == "ExecuteWorkflow" {
			n++
		}
	}
	return n
}

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// clock is the machine's, set forward by a test.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	// PostgreSQL keeps microseconds.
	return time.Now().Add(c.ahead).UTC().Truncate(time.Microsecond)
}

func (c *clock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += by
}

// buffer is a log in memory.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
