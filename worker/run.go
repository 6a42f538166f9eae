package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/config"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/relay"
	"github.com/paystage/paystage/workflows"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdkworker "go.temporal.io/sdk/worker"
)

const (
	// maxConns bounds the worker's database connections.
	maxConns = 32
	// pollers: fewer than 8 made regular activities a third slower.
	pollers = 8
	// rechargeTasks bounds the workflow tasks of auto-recharge that run at once, so
	// that those of customers find the processor free. A poll under way counts.
	rechargeTasks = 16
	// invoiceTasks bounds those of payments of invoices in the same way.
	invoiceTasks = 16
	// stopTimeout is how long activities under way may take to end at a stop.
	stopTimeout = 10 * time.Second
	// startRetry is the pause between attempts to reach Temporal at the start.
	startRetry = time.Second
)

// wiring is what tests change about a worker.
type wiring struct {
	queues       workflows.Queues
	interceptors []interceptor.WorkerInterceptor
	now          func() time.Time
}

// run builds the worker from its settings and runs it until ctx ends.
func run(ctx context.Context, settings config.Worker, w wiring, log *slog.Logger) error {
	if w.queues == (workflows.Queues{}) {
		w.queues = workflows.DefaultQueues()
	}
	if w.now == nil {
		w.now = now
	}
	keys, err := settings.Keyring()
	if err != nil {
		return err
	}
	mail, err := activities.NewMail(settings.MailDir, settings.SMTPURL, settings.MailFrom)
	if err != nil {
		return err
	}
	store, err := ledger.Open(ctx, settings.DatabaseURL, maxConns)
	if err != nil {
		return err
	}
	defer store.Close()
	temporal, err := config.Temporal(log)
	if err != nil {
		return err
	}
	defer temporal.Close()

	gateways, err := settings.Gateways()
	if err != nil {
		return err
	}
	outbox := relay.New(store, temporal, w.queues, mail, log)
	outbox.Gateways = gateways.URLs
	outbox.Company, outbox.URL = settings.Company, settings.URL
	if outbox.Links, err = settings.Links(); err != nil {
		return err
	}
	outbox.Pace(ledger.LaneRecharges, settings.RechargePace())
	outbox.Pace(ledger.LaneInvoices, settings.InvoicePace())
	outbox.RechargesAlertPerHour = settings.RechargesAlertPerHour
	pushClient := activities.NewGatewayClient()
	stripe := activities.NewStripeClient(settings.StripeAPIBase, settings.StripeSecretKey)
	work := acts{
		ledger: &activities.Ledger{
			Store: store, Gateways: gateways.URLs, Wake: outbox.Wake, Now: w.now,
			RechargePace: settings.RechargePace(), InvoicePace: settings.InvoicePace(), DunningDays: settings.DunningDays,
			AuthorizationLasts: settings.AuthorizationLasts(),
		},
		stripe:   &activities.Stripe{API: stripe, ReturnURL: settings.ReturnURL},
		checkout: &activities.Checkout{API: stripe, Store: store, Now: w.now},
		cards:    &activities.Cards{Verifier: &activities.CardVerifier{API: stripe, Store: store, ReturnURL: settings.ReturnURL, Now: w.now}},
		gateways: &activities.Gateways{
			Client: pushClient, Keys: keys, Store: store, All: gateways.URLs, Wake: outbox.Wake, Now: w.now,
		},
	}
	care := &relay.Gateways{
		Store: store, All: gateways.URLs, Holder: rand.Text(), Wake: outbox.Wake, Now: w.now, Log: log,
		Pages: &activities.GatewayPages{Client: pushClient, Keys: keys, Store: store, All: gateways.URLs, Now: w.now},
	}
	return runAll(ctx, settings.Listen, parts{
		store: store, temporal: temporal, outbox: outbox, care: care, gateways: gateways, wiring: w, work: work, log: log,
	})
}

// parts are what a worker runs.
type parts struct {
	store    *ledger.Ledger
	temporal client.Client
	outbox   *relay.Relay
	care     *relay.Gateways
	gateways *config.GatewayList
	wiring   wiring
	work     acts
	log      *slog.Logger
	// fatal ends the worker when Temporal will not have it any more.
	fatal func(error)
}

// runAll runs everything until ctx ends. What does not need Temporal does not wait
// for it: mails go out and alerts are raised while it is down.
func runAll(ctx context.Context, listen string, p parts) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p.fatal = stop
	var ready atomic.Bool
	var all sync.WaitGroup
	all.Go(func() { p.outbox.Run(ctx) })
	all.Go(func() { p.outbox.Sweep(ctx, p.wiring.now) })
	all.Go(func() { p.gateways.Watch(ctx, p.log) })
	all.Go(func() { p.care.Run(ctx) })
	all.Go(func() {
		if stopWorkers := startWorkers(ctx, p); stopWorkers != nil {
			ready.Store(true)
			p.log.Info("worker ready")
			<-ctx.Done()
			stopWorkers()
		}
	})
	err := serveHealth(ctx, listen, func(ctx context.Context) bool { return ready.Load() && p.store.Ping(ctx) == nil })
	stop(err)
	all.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// acts are the activities that a worker registers.
type acts struct {
	ledger   *activities.Ledger
	stripe   *activities.Stripe
	checkout *activities.Checkout
	cards    *activities.Cards
	gateways *activities.Gateways
}

// startWorkers starts the workers, one a task queue, waiting for Temporal as long
// as it takes. A nil stop means that ctx ended first.
func startWorkers(ctx context.Context, p parts) (stop func()) {
	for {
		stop, err := startEach(newWorkers(p))
		if err == nil {
			return stop
		}
		p.log.Warn("Temporal not reached yet", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(startRetry):
		}
	}
}

// startEach starts all of the workers, or none.
func startEach(workers []sdkworker.Worker) (stop func(), err error) {
	var started []sdkworker.Worker
	stop = func() {
		for _, w := range started {
			w.Stop()
		}
	}
	for _, w := range workers {
		if err := w.Start(); err != nil {
			stop()
			return nil, err
		}
		started = append(started, w)
	}
	return stop, nil
}

func newWorkers(p parts) []sdkworker.Worker {
	temporal, w, a := p.temporal, p.wiring, p.work
	options := sdkworker.Options{
		MaxConcurrentWorkflowTaskPollers: pollers,
		MaxConcurrentActivityTaskPollers: pollers,
		WorkerStopTimeout:                stopTimeout,
		Interceptors:                     w.interceptors,
		OnFatalError:                     func(err error) { p.fatal(fmt.Errorf("this worker is refused by Temporal: %w", err)) },
	}
	purchases := sdkworker.New(temporal, w.queues.Purchases, options)
	purchases.RegisterWorkflow(workflows.TierPropagation)
	purchases.RegisterWorkflow(workflows.Authorization)
	purchases.RegisterWorkflow(workflows.CardSetup)
	purchases.RegisterActivity(a.cards)
	pushes := options
	pushes.DisableWorkflowWorker = true
	gateways := sdkworker.New(temporal, w.queues.Gateways, pushes)
	gateways.RegisterActivity(a.gateways)
	few := options
	few.MaxConcurrentWorkflowTaskExecutionSize = rechargeTasks
	recharges := sdkworker.New(temporal, w.queues.Recharges, few)
	recharges.RegisterWorkflow(workflows.AutoRecharge)
	few.MaxConcurrentWorkflowTaskExecutionSize = invoiceTasks
	invoices := sdkworker.New(temporal, w.queues.Invoices, few)
	invoices.RegisterWorkflow(workflows.InvoicePayment)
	purchases.RegisterWorkflow(workflows.Purchase)
	recharges.RegisterWorkflow(workflows.Purchase)
	for _, worker := range []sdkworker.Worker{purchases, recharges, invoices} {
		worker.RegisterActivity(a.ledger)
		worker.RegisterActivity(a.stripe)
		worker.RegisterActivity(a.checkout)
	}
	closing := options
	closing.MaxConcurrentActivityExecutionSize = workflows.MonthlyPagesAtOnce
	closing.MaxConcurrentActivityTaskPollers, closing.MaxConcurrentWorkflowTaskPollers = 2, 2
	months := sdkworker.New(temporal, w.queues.Months, closing)
	months.RegisterWorkflow(workflows.MonthlyClose)
	months.RegisterWorkflow(workflows.MonthlyDue)
	months.RegisterActivity(a.ledger)
	return []sdkworker.Worker{purchases, gateways, recharges, invoices, months}
}

func now() time.Time { return time.Now().UTC() }
