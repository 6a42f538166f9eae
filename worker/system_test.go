package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/config"
	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/judge"
	"github.com/paystage/paystage/stripesim/sim"
	"github.com/paystage/paystage/testenv"
	"github.com/paystage/paystage/workflows"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
)

const (
	secretKey     = "sk_test_worker"
	webhookSecret = "whsec_worker"
	signingKeys   = "k1:0123456789abcdef0123456789abcdef"
	linkKeys      = "l1:0123456789abcdef0123456789abcdef"
	// patience bounds every wait of a test. It is never waited out when things work.
	patience = 2 * time.Minute
)

// system is the whole of Paystage around a test's worker: a real database, a real
// Temporal, the real front door and gateways, and the double of Stripe. The worker
// is this program's own run, in this process or, where it has to die, in another.
type system struct {
	t        *testing.T
	settings config.Worker
	queues   workflows.Queues
	store    *ledger.Ledger
	temporal client.Client
	stripe   *sim.Server
	gateways []*testGateway
	keys     map[models.Role]string
	// log is what worker and front door have logged.
	log *logBuffer
}

// newSystem makes a system without a worker, on the database at databaseURL.
func newSystem(t *testing.T, databaseURL string) *system {
	t.Helper()
	name := testenv.Unique(t)
	s := &system{
		t: t,
		queues: workflows.Queues{
			Purchases: name + "-purchases", Gateways: name + "-gateways", Recharges: name + "-recharges", Invoices: name + "-invoices", Months: name + "-months",
		},
		keys: map[models.Role]string{},
		log:  &logBuffer{},
	}
	s.stripe = judge.Double(t, sim.Options{SecretKey: secretKey, WebhookSecret: webhookSecret, WebhookBackoff: 50 * time.Millisecond, Log: quiet()})
	stripeServer := httptest.NewServer(s.stripe)
	t.Cleanup(func() { stripeServer.Close(); _ = s.stripe.Close() })

	front := httptest.NewUnstartedServer(nil)
	frontURL := "http://" + front.Listener.Addr().String()
	require.NoError(t, s.stripe.SetWebhookURL(frontURL+"/webhooks/stripe"))
	s.settings = config.Worker{
		Common: config.Common{
			DatabaseURL: databaseURL, StripeSecretKey: secretKey, StripeAPIBase: stripeServer.URL, URL: frontURL,
			Company: "Acme", LinkKeys: linkKeys, AuthorizationDays: billing.DefaultAuthorizationDays,
		},
		GatewaySigningKeys: signingKeys, MailDir: t.TempDir(), MailFrom: "billing@paystage.example", ReturnURL: frontURL + "/return",
		RechargesPerSecond: 100, RechargesAlertPerHour: 10_000, InvoiceChargesPerSecond: 100, DunningDays: billing.DefaultDunningDays(),
	}
	for range 2 {
		g := newTestGateway(t)
		s.gateways = append(s.gateways, g)
		s.settings.GatewayURLs = append(s.settings.GatewayURLs, g.url)
	}
	s.open(front)
	return s
}

// open starts the front door.
func (s *system) open(front *httptest.Server) {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var err error
	s.store, err = ledger.Open(ctx, s.settings.DatabaseURL, 16)
	require.NoError(s.t, err)
	s.temporal, err = config.Temporal(quiet())
	require.NoError(s.t, err)
	keys, err := s.settings.Links()
	require.NoError(s.t, err)
	front.Config.Handler = api.New(ctx, api.Options{
		Store: s.store, Temporal: s.temporal, Queues: s.queues,
		Stripe: activities.NewStripeClient(s.settings.StripeAPIBase, secretKey), ReturnURL: s.settings.ReturnURL,
		WebhookSecrets: []string{webhookSecret}, Gateways: func() []string { return s.settings.GatewayURLs },
		MaxPurchaseCents: billing.DefaultMaxPurchaseCents, Now: now, Log: s.logger(),
		Company: s.settings.Company, URL: s.settings.URL, Links: keys, AuthorizationLasts: s.settings.AuthorizationLasts(),
	})
	front.Start()
	t := s.t // subtests put their own in its place
	t.Cleanup(func() {
		stop()
		front.Close()
		if s.t = t; !t.Failed() {
			s.requireDiscreet()
		}
		s.temporal.Close()
		s.store.Close()
	})
	for _, role := range models.Roles() {
		key, text, err := api.NewRoleKey(role, "test", now())
		require.NoError(s.t, err)
		require.NoError(s.t, s.store.CreateRoleKey(ctx, key, models.AuditEntry{
			At: now(), Actor: "a test", Role: models.RoleAdmin, Action: "create_key", Subject: api.KeySubject(key.ID), Reason: "to open doors",
		}))
		s.keys[role] = text
	}
}

// work runs a worker in this process until the test ends or stop is called.
func (s *system) work() (stop func()) { return s.workBy(now) }

// workBy runs a worker that goes by a clock of its own.
func (s *system) workBy(clock func() time.Time) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, s.settings, wiring{queues: s.queues, now: clock}, s.logger()) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				s.t.Errorf("worker: %v", err)
			}
		})
	}
	s.t.Cleanup(stop)
	return stop
}

// call sends a request to the front door and decodes its answer.
func (s *system) call(role models.Role, method, path string, headers map[string]string, body, out any) int {
	s.t.Helper()
	var payload bytes.Buffer
	if body != nil {
		require.NoError(s.t, json.NewEncoder(&payload).Encode(body))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.settings.URL+path, &payload)
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+s.keys[role])
	req.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer res.Body.Close()
	require.NoError(s.t, json.NewDecoder(res.Body).Decode(out))
	return res.StatusCode
}

// account opens an account with a card.
func (s *system) account(paymentMethod string) string {
	s.t.Helper()
	var account api.Account
	status := s.call(models.RoleCheckout, http.MethodPost, "/v1/accounts", nil,
		map[string]string{"email": testenv.Unique(s.t) + "@example.com", "name": "Ada Lovelace", "territory": "US"}, &account)
	require.Equal(s.t, http.StatusCreated, status)
	var card map[string]any
	status = s.call(models.RoleCheckout, http.MethodPut, "/v1/accounts/"+account.ID+"/card", nil, map[string]any{
		"payment_method":  paymentMethod,
		"billing_address": models.Address{Line1: "1 Main St", City: "Springfield", State: "IL", PostalCode: "62701", Country: "US"},
	}, &card)
	if status == http.StatusAccepted {
		s.approveCard(account.ID)
		return account.ID
	}
	require.Equal(s.t, http.StatusOK, status, card)
	return account.ID
}

// approveCard is the customer's approval of the card that the account put, and what
// its workflow does then, whether a worker runs or not.
func (s *system) approveCard(accountID string) {
	s.t.Helper()
	ctx := context.Background()
	setup, err := s.store.NewestCardSetup(ctx, accountID)
	require.NoError(s.t, err)
	require.NoError(s.t, s.stripe.Approve(*setup.SetupIntentID))
	require.NoError(s.t, s.stripe.Advance(time.Second), "a mandate is registered by then")
	_, err = s.cards().AdvanceCardSetup(ctx, activities.CardSetupRef{SetupID: setup.ID})
	require.NoError(s.t, err)
	_, err = s.store.Card(ctx, accountID)
	require.NoError(s.t, err)
}

// cards is what a worker would verify cards with.
func (s *system) cards() *activities.Cards {
	return &activities.Cards{Verifier: &activities.CardVerifier{
		API: activities.NewStripeClient(s.settings.StripeAPIBase, secretKey), Store: s.store, ReturnURL: s.settings.ReturnURL, Now: now,
	}}
}

// buy posts a purchase and answers it as the front door does after wait seconds.
func (s *system) buy(accountID, key string, cents int64, wait int) (api.Purchase, int) {
	s.t.Helper()
	var p api.Purchase
	status := s.call(models.RoleCheckout, http.MethodPost, "/v1/accounts/"+accountID+"/purchases",
		map[string]string{"Idempotency-Key": key, "Prefer": fmt.Sprintf("wait=%d", wait)}, map[string]int64{"amount_cents": cents}, &p)
	require.Contains(s.t, []int{http.StatusCreated, http.StatusAccepted}, status)
	return p, status
}

// await follows a purchase's event stream until it is as wanted.
func (s *system) await(purchaseID string, wanted func(api.Purchase) bool) api.Purchase {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var p api.Purchase
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.settings.URL+"/v1/purchases/"+purchaseID+"/events", nil)
		require.NoError(s.t, err)
		req.Header.Set("Authorization", "Bearer "+s.keys[models.RoleSupport])
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			p = api.Purchase{}
			require.NoError(s.t, json.Unmarshal([]byte(data), &p))
			if wanted(p) {
				_ = res.Body.Close()
				return p
			}
		}
		_ = res.Body.Close()
	}
	require.Failf(s.t, "purchase did not get there", "last seen: %+v", p)
	return p
}

func ended(p api.Purchase) bool { return p.Status != "pending" }

// requireWhole checks what must hold of a completed purchase whatever happened on
// the way: one charge, one invoice, one credit, the right tier at every gateway,
// and a ledger that agrees with itself.
func (s *system) requireWhole(p api.Purchase) {
	s.t.Helper()
	ctx := context.Background()
	require.Equal(s.t, "completed", p.Status)
	tally := s.stripe.Captures()[p.ID]
	require.Equal(s.t, 1, tally.Captures, "captures of purchase %s", p.ID)
	require.Equal(s.t, 1, tally.PaymentIntents, "PaymentIntents of purchase %s", p.ID)

	balance, err := s.store.Balance(ctx, p.AccountID)
	require.NoError(s.t, err)
	var bought int64
	invoices, err := s.store.Invoices(ctx, p.AccountID)
	require.NoError(s.t, err)
	numbers := map[string]bool{}
	of := 0
	for _, invoice := range invoices {
		bought += invoice.TotalMicros
		numbers[invoice.Number] = true
		if *invoice.PurchaseID == p.ID {
			of++
		}
	}
	require.Equal(s.t, 1, of, "invoices of purchase %s", p.ID)
	require.Len(s.t, numbers, len(invoices), "invoice numbers are unique")
	require.Equal(s.t, bought, balance.PurchasedMicros, "credits are what was invoiced")
	require.Equal(s.t, bought, balance.LifetimeSpendMicros)

	verification, err := s.store.Verify(ctx)
	require.NoError(s.t, err)
	require.True(s.t, verification.OK(), verification)
	s.requireTier(p.AccountID)
}

// requireTier checks that the gateways hold the tier that the money paid has earned.
func (s *system) requireTier(accountID string) {
	s.t.Helper()
	balance, err := s.store.Balance(context.Background(), accountID)
	require.NoError(s.t, err)
	earned := 0
	for _, threshold := range billing.TierRules().Thresholds {
		if balance.LifetimeSpendMicros >= threshold {
			earned++
		}
	}
	for _, g := range s.gateways {
		held, ok := g.store.Get(accountID)
		require.True(s.t, ok, "gateway %s holds nothing", g.url)
		require.Equal(s.t, earned, held.Tier.Number, "tier at gateway %s", g.url)
	}
}

// testGateway is a reference gateway that can be taken down.
type testGateway struct {
	url   string
	store *gateway.Store
	down  atomic.Bool
	// refused counts the pushes that met a gateway that was down.
	refused chan struct{}
}

func newTestGateway(t *testing.T) *testGateway {
	t.Helper()
	store, err := gateway.Open(t.TempDir())
	require.NoError(t, err)
	keys, err := gateway.ParseKeys(signingKeys)
	require.NoError(t, err)
	g := &testGateway{store: store, refused: make(chan struct{}, 1000)}
	handler := gateway.NewHandler(store, keys, now, quiet())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			g.refused <- struct{}{}
			return
		}
		handler.ServeHTTP(w, r)
	}))
	g.url = server.URL
	t.Cleanup(func() { server.Close(); _ = store.Close() })
	return g
}

// logger writes into the system's log, every level.
func (s *system) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(io.MultiWriter(s.log, aloud()), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// aloud is where logs go besides: nowhere, unless somebody wants to read them.
func aloud() io.Writer {
	if os.Getenv("TEST_LOG") != "" {
		return os.Stderr
	}
	return io.Discard
}

// logBuffer is a log in memory.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func quiet() *slog.Logger {
	if os.Getenv("TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}
