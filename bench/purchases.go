package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/devstack/stack"
	"github.com/paystage/paystage/workflows"
	"github.com/stripe/stripe-go/v76"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

const (
	maxEvents        = 18
	maxLoneMillis    = 50
	lonePurchases    = 200
	throughputRounds = 3
	throughputRound  = 8 * time.Second
	// serverSettles is how long after a round the timers of its workflows have
	// fired, so that the next one does not pay for them.
	serverSettles = 11 * time.Second
)

func dial(env stack.Env) (client.Client, error) {
	return client.Dial(client.Options{
		HostPort: env[stack.TemporalAddress], Namespace: env[stack.TemporalNamespaceName], Logger: log.NewStructuredLogger(quiet()),
	})
}

// history counts the events of a purchase that changes no tier.
func history(ctx context.Context, env stack.Env) ([]result, error) {
	c, err := dial(env)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	shop := newShop(env)
	account, err := shop.customer(ctx)
	if err != nil {
		return nil, err
	}
	id, err := shop.buy(ctx, account, 500)
	if err != nil {
		return nil, err
	}
	// The purchase is complete before its workflow is; wait for the last event.
	if err := c.GetWorkflow(ctx, workflows.PurchaseWorkflowID(id), "").Get(ctx, nil); err != nil {
		return nil, err
	}
	events := 0
	for all := c.GetWorkflowHistory(ctx, workflows.PurchaseWorkflowID(id), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); all.HasNext(); events++ {
		if _, err := all.Next(); err != nil {
			return nil, err
		}
	}
	return []result{against("history of a straight purchase", "events", float64(events), maxEvents, 1, true)}, nil
}

// latency measures purchases one after the other, from the request to the answer
// that says completed, less what the bank itself takes.
func latency(ctx context.Context, env stack.Env) ([]result, error) {
	shop := newShop(env)
	account, err := shop.customer(ctx)
	if err != nil {
		return nil, err
	}
	var whole, bank []float64
	for range lonePurchases {
		began := time.Now()
		if _, err := shop.buy(ctx, account, 500); err != nil {
			return nil, err
		}
		whole = append(whole, millis(time.Since(began)))
	}
	charge, err := banker(env)
	if err != nil {
		return nil, err
	}
	for range lonePurchases {
		began := time.Now()
		if err := charge(ctx); err != nil {
			return nil, err
		}
		bank = append(bank, millis(time.Since(began)))
	}
	return []result{against("lone purchase, p50, less the bank's time", "ms", median(whole)-median(bank), maxLoneMillis, 1, true)}, nil
}

// banker charges a card directly, as the worker does, and nothing else.
func banker(env stack.Env) (func(context.Context) error, error) {
	api := activities.NewStripeClient(env[stack.StripeAPIBase], env[stack.StripeSecretKey])
	customer, err := api.Customers.New(&stripe.CustomerParams{})
	if err != nil {
		return nil, err
	}
	card, err := api.PaymentMethods.Attach("pm_card_visa", &stripe.PaymentMethodAttachParams{Customer: stripe.String(customer.ID)})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		params := &stripe.PaymentIntentParams{
			Amount: stripe.Int64(500), Currency: stripe.String("usd"), Customer: stripe.String(customer.ID),
			PaymentMethod: stripe.String(card.ID), PaymentMethodTypes: []*string{stripe.String("card")},
			Confirm: stripe.Bool(true), ReturnURL: stripe.String("http://127.0.0.1/return"),
		}
		params.Context = ctx
		params.SetIdempotencyKey(uuid.NewString())
		_, err := api.PaymentIntents.New(params)
		return err
	}, nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// throughput sets completed purchases against empty workflows on the same server,
// in turn, all with the same number of clients.
func throughput(ctx context.Context, env stack.Env) ([]result, error) {
	c, err := dial(env)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for _, queue := range []string{localQueue, regularQueue} {
		stop, err := startEmptyWorker(c, queue)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	shop := newShop(env)
	accounts, err := shop.customers(ctx)
	if err != nil {
		return nil, err
	}
	rates, err := alternate(ctx, throughputRounds, serverSettles,
		func() (float64, error) {
			return rate(ctx, throughputRound, func(ctx context.Context, client, _ int) error {
				_, err := shop.buy(ctx, accounts[client], 500)
				return err
			})
		},
		func() (float64, error) {
			return rate(ctx, throughputRound, runEmpty(c, localQueue, oneRegularFourLocal))
		},
		func() (float64, error) { return rate(ctx, throughputRound, runEmpty(c, regularQueue, fiveRegular)) })
	if err != nil {
		return nil, err
	}
	return []result{
		against("purchases to empty workflows, 1 regular + 4 local", "/s", rates[0], rates[1], 0.8, false),
		against("purchases to empty workflows, 5 regular", "/s", rates[0], rates[2], 2, false),
	}, nil
}
