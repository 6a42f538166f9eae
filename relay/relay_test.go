package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/relay"
	"github.com/paystage/paystage/testenv"
	"github.com/paystage/paystage/workflows"
)

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// patience bounds what a test waits for.
const patience = time.Minute

// temporal is what a relay calls of a Temporal client. A call that is none of
// these panics.
type temporal struct {
	client.Client
	// answer decides what becomes of a call; nil is that all go well.
	answer func(ctx context.Context, call string) error

	mu    sync.Mutex
	calls []string
}

func (c *temporal) take(ctx context.Context, call string) error {
	c.mu.Lock()
	c.calls = append(c.calls, call)
	c.mu.Unlock()
	if c.answer == nil {
		return nil
	}
	return c.answer(ctx, call)
}

func (c *temporal) said() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

func (c *temporal) ExecuteWorkflow(ctx context.Context, o client.StartWorkflowOptions, _ any, args ...any) (client.WorkflowRun, error) {
	return nil, c.take(ctx, fmt.Sprintf("start %s on %s with %+v", o.ID, o.TaskQueue, args[0]))
}

func (c *temporal) SignalWorkflow(ctx context.Context, id, _, signal string, _ any) error {
	return c.take(ctx, fmt.Sprintf("signal %s %s", id, signal))
}

func (c *temporal) SignalWithStartWorkflow(
	ctx context.Context, id, signal string, arg any, o client.StartWorkflowOptions, _ any, _ ...any,
) (client.WorkflowRun, error) {
	return nil, c.take(ctx, fmt.Sprintf("signal-with-start %s %s %+v on %s", id, signal, arg, o.TaskQueue))
}

// world is an outbox, and what a relay delivers from it to.
type world struct {
	*ledger.Ledger
	db       *pgxpool.Pool
	temporal *temporal
	mails    string
	logged   *logged
}

// logged is a log that several goroutines write.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	url := testenv.Database(t) + "&synchronous_commit=off"
	store, err := ledger.Open(t.Context(), url, 8)
	done(t, err)
	t.Cleanup(store.Close)
	db, err := pgxpool.New(t.Context(), url)
	done(t, err)
	t.Cleanup(db.Close)
	return &world{Ledger: store, db: db, temporal: &temporal{}, mails: t.TempDir(), logged: &logged{}}
}

func (w *world) relay(t *testing.T) *relay.Relay {
	t.Helper()
	mail, err := activities.NewMail(w.mails, "", "billing@paystage.example")
	done(t, err)
	queues := workflows.Queues{Purchases: "p", Gateways: "g", Recharges: "r"}
	return relay.New(w.Ledger, w.temporal, queues, mail, slog.New(slog.NewTextHandler(w.logged, nil)))
}

// run runs a relay until stop is called, or the test ends.
func (w *world) run(t *testing.T, r *relay.Relay) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

func (w *world) put(t *testing.T, kind ledger.MessageKind, subject string) {
	t.Helper()
	_, err := w.db.Exec(t.Context(), `select outbox_put($1, $2)`, kind, subject)
	done(t, err)
}

// left are the messages in the outbox, as kind, attempts and last error.
func (w *world) left(t *testing.T) []string {
	t.Helper()
	rows, _ := w.db.Query(t.Context(), `select concat_ws(' ', kind, attempts, last_error) from outbox order by id`)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	done(t, err)
	return all
}

// purchase makes one of an account that can pay, with nothing in the outbox.
func (w *world) purchase(t *testing.T, email string) string {
	t.Helper()
	return w.purchaseBy(t, models.OriginCheckout, email)
}

func (w *world) purchaseBy(t *testing.T, origin models.Origin, email string) string {
	t.Helper()
	id := uuid.NewString()
	done(t, w.CreateAccount(t.Context(), models.Account{ID: id, Email: email, Name: "Ada", Territory: "US", CreatedAt: noon}))
	_, err := w.SetStripeCustomer(t.Context(), id, "cus_"+id)
	done(t, err)
	done(t, w.PutCard(t.Context(), models.Card{AccountID: id, PaymentMethodID: "pm", Brand: "visa", Funding: "credit", UpdatedAt: noon}))
	p, _, err := w.CreatePurchase(t.Context(), ledger.NewPurchase{
		ID: uuid.NewString(), AccountID: id, IdempotencyKey: "k", Origin: origin, AmountCents: 2500, At: noon,
	})
	done(t, err)
	_, err = w.BeginPurchase(t.Context(), p.ID, noon)
	done(t, err)
	return p.ID
}

// approve has the bank approve a purchase, which is told by mail.
func (w *world) approve(t *testing.T, id string) {
	t.Helper()
	done(t, w.RecordBank(t.Context(), id, ledger.BankAnswer{State: models.BankApproved, PaymentIntentID: "pi_" + id, CapturedCents: 2500, At: noon}))
}

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until what is there is what is wanted.
func eventually[T any](t *testing.T, what string, is func() T, wanted func(T) bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		got := is()
		if wanted(got) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: still %v", what, got)
		}
	}
}

func none(left []string) bool { return len(left) == 0 }

func TestEveryKindOfMessageIsDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, account := w.purchase(t, "ada@example.com"), uuid.NewString()
	w.run(t, w.relay(t))
	for kind, c := range map[ledger.MessageKind]struct{ subject, call string }{
		ledger.MessageStartPurchase:        {id, "start purchase/" + id + " on p with {PurchaseID:" + id + "}"},
		ledger.MessagePaymentChanged:       {id, "signal purchase/" + id + " payment-changed"},
		ledger.MessageTierPropagated:       {id, "signal purchase/" + id + " tier-propagated"},
		ledger.MessagePropagate:            {account, "signal-with-start tier-propagation/" + account + " propagate {Force:false} on p"},
		ledger.MessageStartRecharge:        {id, "start purchase/" + id + " on r with {PurchaseID:" + id + "}"},
		ledger.MessageRecharge:             {account, "signal-with-start auto-recharge/" + account + " recharge <nil> on r"},
		ledger.MessageRechargeEnded:        {account, "signal-with-start auto-recharge/" + account + " recharge <nil> on r"},
		ledger.MessageAuthorizationChanged: {id, "signal-with-start authorization/" + id + " authorization-changed <nil> on p"},
		ledger.MessageForceSync:            {account, "signal-with-start tier-propagation/" + account + " propagate {Force:true} on p"},
	} {
		w.put(t, kind, c.subject)
		eventually(t, string(kind), func() []string { return w.left(t) }, none)
		said := w.temporal.said()
		if len(said) == 0 || said[len(said)-1] != c.call {
			t.Errorf("%s: got %q, want %q", kind, said, c.call)
		}
	}
	if n := len(w.temporal.said()); n != 9 {
		t.Errorf("%d calls, want 9", n)
	}

	w.approve(t, id)
	eventually(t, "mail", func() []string { return w.left(t) }, none)
	mail, err := os.ReadFile(filepath.Join(w.mails, "purchase-"+id+"-approved.eml"))
	done(t, err)
	if !bytes.Contains(mail, []byte("To: <ada@example.com>")) {
		t.Errorf("the mail goes elsewhere:\n%s", mail)
	}
	if text := w.logged.String(); text != "" {
		t.Errorf("logged: %s", text)
	}
}

// Every effect of a purchase reaches the outside by itself.
func TestWhatThePurchaseAnnouncesIsDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.purchase(t, "ada@example.com")
	done(t, w.RecordBank(t.Context(), id, ledger.BankAnswer{State: models.BankApproved, PaymentIntentID: "pi", CapturedCents: 2500, At: noon}))
	w.put(t, ledger.MessagePaymentChanged, id) // a webhook that says what is known
	_, err := w.IssueInvoice(t.Context(), id, uuid.NewString(), noon)
	done(t, err)
	_, err = w.CreditPurchase(t.Context(), id, models.TierRules{Thresholds: []int64{5_000_000}, Limits: []int64{0, 100_000_000}}, noon)
	done(t, err)
	p, err := w.Purchase(t.Context(), id)
	done(t, err)
	done(t, w.AcknowledgeEntitlement(t.Context(), p.AccountID, "g", 1, []string{"g"}, noon))
	w.run(t, w.relay(t))
	eventually(t, "outbox", func() []string { return w.left(t) }, none)
	said := w.temporal.said()
	slices.Sort(said)
	want := []string{
		"signal purchase/" + id + " tier-propagated",
		"signal-with-start tier-propagation/" + p.AccountID + " propagate {Force:false} on p",
	}
	if !slices.Equal(said, want) {
		t.Errorf("got %q, want %q", said, want)
	}
}

// A workflow that runs already, or has ended, has nothing to be told.
func TestAnswersThatAreNoTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.purchase(t, "ada@example.com")
	w.temporal.answer = func(_ context.Context, call string) error {
		if strings.HasPrefix(call, "start") {
			return serviceerror.NewWorkflowExecutionAlreadyStarted("running", "", "")
		}
		return serviceerror.NewNotFound("ended")
	}
	for _, kind := range []ledger.MessageKind{ledger.MessageStartPurchase, ledger.MessagePaymentChanged, ledger.MessageTierPropagated} {
		w.put(t, kind, id)
	}
	w.run(t, w.relay(t))
	eventually(t, "outbox", func() []string { return w.left(t) }, none)
	if n := len(w.temporal.said()); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

// F21: what cannot be delivered keeps nothing else, is noted, and is tried again.
func TestF21FailingMessageKeepsNoneOfTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	poor := uuid.NewString()
	var mu sync.Mutex
	down := true
	w.temporal.answer = func(_ context.Context, call string) error {
		mu.Lock()
		defer mu.Unlock()
		if down && strings.Contains(call, poor) {
			return errors.New("Temporal is down")
		}
		return nil
	}
	w.put(t, ledger.MessagePropagate, poor)
	for range 40 {
		w.put(t, ledger.MessagePropagate, uuid.NewString())
	}
	w.put(t, "fortune_cookie", "x")
	w.run(t, w.relay(t))
	eventually(t, "outbox", func() []string { return w.left(t) }, func(left []string) bool {
		return len(left) == 2 && strings.Contains(left[0], "propagate 2 start tier propagation: Temporal is down") &&
			strings.Contains(left[1], "no such kind of message: fortune_cookie")
	})
	mu.Lock()
	down = false
	mu.Unlock()
	eventually(t, "outbox", func() []string { return w.left(t) }, func(left []string) bool { return len(left) == 1 })
	if text := w.logged.String(); !strings.Contains(text, "outbox message not delivered") || !strings.Contains(text, poor) {
		t.Errorf("logged: %s", text)
	}
}

// A place that is slow holds up what goes there and nothing else, however much
// that is.
func TestSlowTemporalHoldsUpNoMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	goOn := make(chan struct{})
	w.temporal.answer = func(context.Context, string) error { <-goOn; return nil }
	_, err := w.db.Exec(t.Context(), `select outbox_put('propagate', gen_random_uuid()::text) from generate_series(1, 100)`)
	done(t, err)
	w.approve(t, w.purchase(t, "ada@example.com"))
	stop := w.run(t, w.relay(t))
	t.Cleanup(func() { close(goOn); stop() })
	eventually(t, "calls", func() int { return len(w.temporal.said()) }, func(calls int) bool { return calls == 32 })
	eventually(t, "mail", func() []string { return w.left(t) }, func(left []string) bool {
		return !slices.ContainsFunc(left, func(m string) bool { return strings.HasPrefix(m, "mail") })
	})
	if n := len(w.left(t)); n != 100 {
		t.Errorf("%d messages are left, want 100", n)
	}
	// No more are claimed than are on their way, so that no lease runs out in a queue.
	var claimed int
	done(t, w.db.QueryRow(t.Context(), `select count(*) from outbox where attempts > 0`).Scan(&claimed))
	if calls := len(w.temporal.said()); claimed != 32 || calls != 32 {
		t.Errorf("%d are claimed, %d on their way", claimed, calls)
	}
}

// I9: neither the log nor the outbox tells whose mail it was.
func TestI9FailedMailNamesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.approve(t, w.purchase(t, "ada..l@example.com"))
	w.put(t, ledger.MessageMailPurchaseApproved, uuid.NewString())
	w.run(t, w.relay(t))
	eventually(t, "outbox", func() []string { return w.left(t) }, func(left []string) bool {
		return len(left) == 2 && strings.Contains(left[0], "cannot be written to") && strings.Contains(left[1], "not found")
	})
	if said := w.logged.String() + strings.Join(w.left(t), " "); strings.Contains(said, "ada..l") {
		t.Errorf("the customer is named: %s", said)
	}
}

func TestWakeNeverBlocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay(t)
	for range 1000 {
		r.Wake()
	}
	w.put(t, ledger.MessagePropagate, uuid.NewString())
	w.run(t, r)
	r.Wake()
	eventually(t, "outbox", func() []string { return w.left(t) }, none)
}

func TestTwoRelaysShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const messages = 450
	_, err := w.db.Exec(t.Context(), `select outbox_put('propagate', gen_random_uuid()::text) from generate_series(1, $1)`, messages)
	done(t, err)
	w.run(t, w.relay(t))
	w.run(t, w.relay(t))
	eventually(t, "outbox", func() []string { return w.left(t) }, none)
	said := w.temporal.said()
	slices.Sort(said)
	if n := len(said); n != messages || len(slices.Compact(said)) != messages {
		t.Errorf("%d calls, of which %d differ; want %d", n, len(slices.Compact(said)), messages)
	}
}

// Losing a relay in the middle of it loses nothing: what it had not delivered is
// given back, those of its batch that it had not begun included.
func TestNothingIsLostWhenRunIsStoppedInMidDelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	begun := make(chan struct{}, 100)
	w.temporal.answer = func(ctx context.Context, _ string) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	const messages = 40
	_, err := w.db.Exec(t.Context(), `select outbox_put('propagate', gen_random_uuid()::text) from generate_series(1, $1)`, messages)
	done(t, err)
	stop := w.run(t, w.relay(t))
	<-begun
	stop()
	if left := w.left(t); len(left) != messages {
		t.Fatalf("%d messages are left, want %d", len(left), messages)
	}
	var soon int
	done(t, w.db.QueryRow(t.Context(), `select count(*) from outbox where due_at < clock_timestamp() + '1 second'::interval`).Scan(&soon))
	if soon != messages {
		t.Errorf("%d messages are due soon, want %d", soon, messages)
	}

	w.temporal.answer = nil
	before := len(w.temporal.said())
	w.run(t, w.relay(t))
	eventually(t, "outbox", func() []string { return w.left(t) }, none)
	if n := len(w.temporal.said()) - before; n != messages {
		t.Errorf("the next relay delivered %d, want %d", n, messages)
	}
}

// A delivery that was done is noted though the relay is told to stop meanwhile.
func TestWhatIsDeliveredDuringAStopIsNotDeliveredAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	w.temporal.answer = func(context.Context, string) error {
		close(begun)
		<-goOn
		return nil
	}
	w.put(t, ledger.MessagePropagate, uuid.NewString())
	r := w.relay(t)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() { r.Run(ctx); close(stopped) }()
	<-begun
	cancel()
	close(goOn)
	<-stopped
	if left := w.left(t); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// F19: the relay outlives its database's troubles.
func TestF19RelayGoesOnAfterTroubleWithTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.db.Exec(t.Context(), `alter table outbox rename to gone`)
	done(t, err)
	w.run(t, w.relay(t))
	eventually(t, "log", w.logged.String, func(text string) bool { return strings.Contains(text, "outbox not drained") })
	_, err = w.db.Exec(t.Context(), `alter table gone rename to outbox`)
	done(t, err)
	w.put(t, ledger.MessagePropagate, uuid.NewString())
	eventually(t, "outbox", func() []string { return w.left(t) }, none)
}

func TestR18RaiseAlerts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.purchase(t, "ada@example.com")
	r := w.relay(t)
	for _, c := range []struct {
		at   time.Duration
		want int
	}{{15*time.Minute - time.Microsecond, 0}, {15 * time.Minute, 1}, {time.Hour, 1}} {
		r.RaiseAlerts(t.Context(), noon.Add(c.at))
		alerts, err := w.OpenAlerts(t.Context())
		done(t, err)
		if len(alerts) != c.want {
			t.Errorf("%d alerts after %s, want %d", len(alerts), c.at, c.want)
		}
	}
	if n := strings.Count(w.logged.String(), "purchases are stuck"); n != 1 {
		t.Errorf("told %d times: %s", n, w.logged)
	}
	w.Close()
	r.RaiseAlerts(t.Context(), noon.Add(time.Hour))
	if text := w.logged.String(); !strings.Contains(text, "stuck purchases not looked for") {
		t.Errorf("without a database: %s", text)
	}
}

// Partitions are there from the oldest usage that may be reported to months ahead,
// however long nobody looked, and are made once.
func TestPartitionsAreMadeAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay(t)
	later := time.Date(2031, 1, 31, 23, 59, 59, 0, time.UTC)
	r.MakePartitions(t.Context(), later)
	r.MakePartitions(t.Context(), later)
	var made []string
	rows, err := w.db.Query(t.Context(), `select relname::text from pg_class where relname ~ '^usage_events_203\d_\d\d$' order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	made, err = pgx.CollectRows(rows, pgx.RowTo[string])
	want := []string{"usage_events_2030_12", "usage_events_2031_01", "usage_events_2031_02", "usage_events_2031_03", "usage_events_2031_04"}
	if err != nil || !slices.Equal(made, want) {
		t.Errorf("%v %v", made, err)
	}
}

// A mail that its server will never take is told to a person, tried by the hour, and
// the alert goes when the mail has gone.
func TestMailRefusedForGoodIsToldUntilItIsDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.purchase(t, "ada..l@example.com") // an address that cannot be written to
	w.approve(t, id)
	do := func(sql string) {
		t.Helper()
		_, err := w.db.Exec(t.Context(), sql)
		done(t, err)
	}
	do(`update outbox set attempts = 30`)
	r := w.relay(t)
	w.run(t, r)
	pause := func() (minutes int) {
		done(t, w.db.QueryRow(t.Context(), `
			select extract(epoch from due_at - clock_timestamp())::int / 60 from outbox where last_error is not null
			union all select -1 limit 1`).Scan(&minutes))
		return minutes
	}
	eventually(t, "minutes until the next try", pause, func(minutes int) bool { return minutes == 59 })
	alerts := func() []models.Alert {
		t.Helper()
		r.RaiseAlerts(t.Context(), noon)
		open, err := w.OpenAlerts(t.Context())
		done(t, err)
		return open
	}
	if open := alerts(); len(open) != 0 {
		t.Errorf("told at once: %+v", open)
	}
	do(`update outbox set created_at = created_at - interval '15 minutes'`)
	for range 2 {
		open := alerts()
		if len(open) != 1 || open[0].Kind != models.AlertMailUndelivered || open[0].Subject != "mail_purchase_approved/"+id || open[0].AccountID == nil ||
			!strings.Contains(open[0].Detail, "cannot be written to") || strings.Contains(open[0].Detail, "ada..l") {
			t.Fatalf("alerts: %+v", open)
		}
	}
	if n := strings.Count(w.logged.String(), "mails are not delivered"); n != 1 {
		t.Errorf("logged %d times: %s", n, w.logged)
	}
	do(`update accounts set email = 'ada@example.com'`)
	do(`update outbox set due_at = clock_timestamp()`)
	eventually(t, "outbox", func() []string { return w.left(t) }, none)
	if open := alerts(); len(open) != 0 {
		t.Errorf("the mail has gone and the alert is open: %+v", open)
	}
}

// What runs is charged by itself, by every worker's sweep and once (R46).
func TestSweepsChargeDeployments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.purchase(t, "ada@example.com")
	done(t, w.RecordBank(t.Context(), id, ledger.BankAnswer{State: models.BankApproved, PaymentIntentID: "pi", CapturedCents: 2500, At: noon}))
	_, err := w.IssueInvoice(t.Context(), id, uuid.NewString(), noon)
	done(t, err)
	rules := billing.TierRules()
	_, err = w.CreditPurchase(t.Context(), id, rules, noon)
	done(t, err)
	p, err := w.Purchase(t.Context(), id)
	done(t, err)
	started := time.Now().Add(-10 * time.Minute)
	c, err := w.Create(t.Context(), ledger.NewCreation{
		ID: uuid.NewString(), AccountID: p.AccountID, Kind: models.CreationHostedModel, SKU: "hosted_model.h100-80gb", Name: "mine",
		CreationSKU: billing.CreationSKU(models.CreationHostedModel), At: started,
	}, rules)
	done(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var sweeps sync.WaitGroup
	t.Cleanup(func() { cancel(); sweeps.Wait() })
	for range 3 {
		r := w.relay(t)
		sweeps.Go(func() { r.Sweep(ctx, time.Now) })
	}
	eventually(t, "charge", func() int64 {
		d, err := w.Deployment(t.Context(), *c.ID, billing.PeriodOf(started))
		done(t, err)
		return int64(d.AccruedUntil.Sub(d.StartedAt) / time.Second)
	}, func(seconds int64) bool { return seconds > 8*60 })
	v, err := w.Verify(t.Context())
	done(t, err)
	if !v.OK() {
		t.Errorf("the ledger does not hold: %+v", v)
	}
}

// R28: no account that should be recharging waits over a minute, whatever died.
func TestR28DueRechargesAreWokenWithinAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.purchase(t, "ada@example.com")
	_, err := w.db.Exec(t.Context(), `
		insert into auto_recharges (account_id, enabled, amount_cents, threshold_cents, due_at, changed_at) select id, true, 500, 500, $1, $1 from accounts`, noon)
	done(t, err)
	r := w.relay(t)
	for _, c := range []struct {
		at   time.Duration
		want int
	}{{9 * time.Second, 0}, {10 * time.Second, 1}, {69 * time.Second, 1}, {80 * time.Second, 1}} {
		r.WakeRecharges(t.Context(), noon.Add(c.at))
		if left := w.left(t); len(left) != c.want {
			t.Errorf("after %s there is %v", c.at, left)
		}
	}
	w.Close()
	r.WakeRecharges(t.Context(), noon)
	r.WatchRecharges(t.Context(), noon)
	for _, said := range []string{"recharges that are due not looked for", "automatic charges not watched"} {
		if !strings.Contains(w.logged.String(), said) {
			t.Errorf("without a database: %s", w.logged)
		}
	}
}
