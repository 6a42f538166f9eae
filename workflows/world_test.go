package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/workflows"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
)

const (
	purchaseID   = "0198f3c2-7d4e-7b1a-9c00-1f2e3d4c5b6a"
	accountID    = "0198f3c2-0000-7b1a-9c00-000000000001"
	workflowID   = "purchase/" + purchaseID
	gatewayQueue = "pushes"
	intentID     = "pi_1"
)

// The activities by their real methods: a name that the worker would not know, or
// an input of the wrong type, fails here.
var (
	books    *activities.Ledger
	stripe   *activities.Stripe
	checkout *activities.Checkout
	gateways *activities.Gateways
	cards    *activities.Cards
)

// endOfPatience is longer than any workflow here may take. An activity that a test
// forgot to mock is tried without end.
const endOfPatience = 5 * 24 * time.Hour

var errOutage = errors.New("no connection")

// call is one try of an activity, or the only one of a local activity.
type call struct {
	name string
	in   any
	// at is the time since the workflow's start.
	at time.Duration
	// first is whether this try is its activity's first.
	first bool
	queue string
	local bool
}

// world is what a workflow meets: mocked activities, and a record of what it asked
// of them. Time skips whatever nobody waits for.
type world struct {
	*testsuite.TestWorkflowEnvironment
	t     *testing.T
	begun time.Time

	mu    sync.Mutex
	calls []call
	// answers holds, by the name of each mocked activity, what it answers.
	answers map[string]any
}

func newWorld(t *testing.T) *world {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	w := &world{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), t: t, answers: map[string]any{}}
	w.RegisterWorkflow(workflows.Purchase)
	w.RegisterWorkflow(workflows.TierPropagation)
	w.RegisterWorkflow(workflows.AutoRecharge)
	w.RegisterWorkflow(workflows.InvoicePayment)
	w.RegisterWorkflow(workflows.Authorization)
	w.RegisterWorkflow(workflows.MonthlyClose)
	w.RegisterWorkflow(workflows.CardSetup)
	for _, acts := range []any{&activities.Ledger{}, &activities.Stripe{}, &activities.Checkout{}, &activities.Gateways{}, &activities.Cards{}} {
		w.RegisterActivity(acts)
	}
	w.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&patience{}}})
	w.SetStartTime(time.Date(2026, 11, 3, 14, 5, 0, 0, time.UTC))
	w.begun = w.Now()
	w.RegisterDelayedCallback(func() { t.Fatalf("still going after %s: %v", endOfPatience, w.last(10)) }, endOfPatience)
	return w
}

// on mocks an activity by what it answers to its n-th try, counted from 1. The
// last word on an activity counts.
func on[In, Out any](w *world, act func(context.Context, In) (Out, error), answer func(n int, in In) (Out, error)) {
	name := nameOf(act)
	_, mocked := w.answers[name]
	w.answers[name] = answer
	if mocked {
		return
	}
	w.OnActivity(act, mock.Anything, mock.Anything).Return(func(ctx context.Context, in In) (Out, error) {
		info := activity.GetInfo(ctx)
		w.mu.Lock()
		w.calls = append(w.calls, call{name: name, in: in, at: w.elapsed(), first: info.Attempt == 1, queue: info.TaskQueue, local: info.IsLocalActivity})
		n := len(w.namedLocked(name))
		w.mu.Unlock()
		return w.answers[name].(func(int, In) (Out, error))(n, in)
	})
}

// always answers the same to every call.
func always[In, Out any](out Out) func(int, In) (Out, error) {
	return func(int, In) (Out, error) { return out, nil }
}

// inTurn answers one after the other, and the last one from then on.
func inTurn[In, Out any](outs ...Out) func(int, In) (Out, error) {
	return func(n int, _ In) (Out, error) { return outs[min(n, len(outs))-1], nil }
}

// failingFor is an outage of that length, from the workflow's start.
func failingFor[In, Out any](w *world, outage time.Duration, out Out) func(int, In) (Out, error) {
	return func(int, In) (Out, error) {
		if w.elapsed() < outage {
			return out, errOutage
		}
		return out, nil
	}
}

func (w *world) elapsed() time.Duration { return w.Now().Sub(w.begun) }

func (w *world) namedLocked(name string) []call {
	var named []call
	for _, c := range w.calls {
		if c.name == name {
			named = append(named, c)
		}
	}
	return named
}

func (w *world) named(name string) []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.namedLocked(name)
}

// story is the names of all calls, in their order.
func (w *world) story() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := make([]string, len(w.calls))
	for i, c := range w.calls {
		names[i] = c.name
	}
	return names
}

// last are the names of the latest calls.
func (w *world) last(n int) []string {
	names := w.story()
	return names[max(0, len(names)-n):]
}

func (w *world) wantStory(want ...string) {
	w.t.Helper()
	if got := w.story(); !slices.Equal(got, want) {
		w.t.Errorf("called\n  %s\nwant\n  %s", strings.Join(got, " "), strings.Join(want, " "))
	}
}

func (w *world) wantCalls(name string, want int) []call {
	w.t.Helper()
	calls := w.named(name)
	if len(calls) != want {
		w.t.Errorf("%s was called %d times, want %d", name, len(calls), want)
	}
	return calls
}

// wantTimes checks when, since the start, an activity was called.
func (w *world) wantTimes(name string, want ...time.Duration) {
	w.t.Helper()
	var got []time.Duration
	for _, c := range w.named(name) {
		got = append(got, c.at)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("%s was called at %v, want %v", name, got, want)
	}
}

// wantSame checks that every call had the same input, and that there was one.
func (w *world) wantSame(name string, want any) {
	w.t.Helper()
	calls := w.named(name)
	if len(calls) == 0 {
		w.t.Errorf("%s was never called", name)
	}
	for i, c := range calls {
		if got, want := wire(w.t, c.in), wire(w.t, want); got != want {
			w.t.Fatalf("call %d of %s had\n  %s\nwant\n  %s", i+1, name, got, want)
		}
	}
}

// signal sends a signal to the workflow that long after its start.
func (w *world) signal(after time.Duration, name string, content any) {
	w.RegisterDelayedCallback(func() { w.SignalWorkflow(name, content) }, after)
}

// order is the purchase of these tests, fresh from the checkout.
func (w *world) order() activities.PurchaseOrder {
	return activities.PurchaseOrder{
		AccountID: accountID, AmountCents: 2500, Customer: "cus_1", PaymentMethod: "pm_1",
		Status: models.PurchasePending, Bank: models.BankCharging, BankStartedAt: w.begun,
		Steps: activities.StepsNow,
	}
}

// opensWith mocks the database for a purchase that goes on from the order, with
// gateways that have nothing to hear.
func (w *world) opensWith(order activities.PurchaseOrder) {
	on(w, books.BeginPurchase, always[activities.PurchaseRef](order))
	on(w, books.RecordBankAnswer, always[activities.BankAnswerInput](activities.BankRecorded{}))
	on(w, books.IssueInvoice, always[activities.PurchaseRef](struct{}{}))
	on(w, books.CreditBalance, always[activities.PurchaseRef](struct{}{}))
	on(w, books.SettleTier, always[activities.PurchaseRef](activities.TierSettled{Complete: true}))
	on(w, stripe.CancelPayment, always[activities.CancelInput](payment(activities.PaymentCanceled)))
}

// purchase runs the workflow of a purchase to its end.
func (w *world) purchase(want models.PurchaseStatus) {
	w.t.Helper()
	w.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflowID, TaskQueue: "purchases"})
	w.ExecuteWorkflow(workflows.Purchase, workflows.PurchaseInput{PurchaseID: purchaseID})
	if !w.IsWorkflowCompleted() {
		w.t.Fatal("the purchase did not end")
	}
	var result workflows.PurchaseResult
	if err := w.GetWorkflowResult(&result); err != nil {
		w.t.Fatalf("the purchase failed: %v", err)
	}
	if result.Status != want {
		w.t.Errorf("the purchase ended as %q, want %q", result.Status, want)
	}
}

// theCharge is the one request that may be sent for the order.
func theCharge() activities.ChargeInput {
	return activities.ChargeInput{
		PurchaseID: purchaseID, AccountID: accountID, Customer: "cus_1", PaymentMethod: "pm_1",
		AmountCents: 2500, IdempotencyKey: workflowID + "/1",
	}
}

// lookup is how a payment is asked for: by its PaymentIntent once that is known,
// else by the purchase's id among the customer's payments.
func (w *world) lookup(intent string) activities.FindInput {
	return activities.FindInput{PurchaseID: purchaseID, PaymentIntentID: intent, Customer: "cus_1", ChargedAfter: w.begun}
}

func payment(state activities.PaymentState) activities.Payment {
	p := activities.Payment{State: state}
	switch state {
	case activities.PaymentApproved:
		p.PaymentIntentID, p.CapturedCents = intentID, 2500
	case activities.PaymentDeclined:
		p.PaymentIntentID, p.Code = intentID, "insufficient_funds"
	case activities.PaymentProcessing, activities.PaymentRequiresAction, activities.PaymentCanceled:
		p.PaymentIntentID = intentID
	case activities.PaymentRefused:
		p.Code = "resource_missing"
	case activities.PaymentUnknown, activities.PaymentAbsent:
	}
	return p
}

// recorded are the bank's answers that were stored, in their order.
func (w *world) recorded() []activities.BankAnswerInput {
	var all []activities.BankAnswerInput
	for _, c := range w.named("RecordBankAnswer") {
		all = append(all, c.in.(activities.BankAnswerInput))
	}
	return all
}

// wantAnswers checks which bank's answers were recorded: what the purchase waited
// for, then the final one.
func (w *world) wantAnswers(want ...activities.Payment) {
	w.t.Helper()
	var got []activities.Payment
	for _, a := range w.recorded() {
		if a.PurchaseID != purchaseID {
			w.t.Errorf("an answer was recorded for purchase %q", a.PurchaseID)
		}
		got = append(got, a.Payment)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("recorded\n  %+v\nwant\n  %+v", got, want)
	}
}

// wire is an input as it travels.
func wire(t *testing.T, in any) string {
	t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func nameOf(act any) string {
	full := runtime.FuncForPC(reflect.ValueOf(act).Pointer()).Name()
	return strings.TrimSuffix(full[strings.LastIndex(full, ".")+1:], "-fm")
}
