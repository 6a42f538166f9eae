package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

const (
	// localQueue runs eagerly, as the purchases' worker does; regularQueue sends
	// every activity through its task queue.
	localQueue   = "bench-local"
	regularQueue = "bench-regular"
	// pollers are as many as the purchases' worker has.
	pollers = 8
)

// nothing is an activity without an effect.
func nothing(context.Context) error { return nil }

// oneRegularFourLocal has the shape of a purchase and does nothing.
func oneRegularFourLocal(ctx workflow.Context) error {
	ctx = withTimeouts(ctx)
	if err := workflow.ExecuteActivity(ctx, nothing).Get(ctx, nil); err != nil {
		return err
	}
	for range 4 {
		if err := workflow.ExecuteLocalActivity(ctx, nothing).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// fiveRegular is the same with regular activities alone.
func fiveRegular(ctx workflow.Context) error {
	ctx = withTimeouts(ctx)
	for range 5 {
		if err := workflow.ExecuteActivity(ctx, nothing).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func withTimeouts(ctx workflow.Context) workflow.Context {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute})
}

func startEmptyWorker(c client.Client, queue string) (stop func(), err error) {
	w := worker.New(c, queue, worker.Options{
		MaxConcurrentWorkflowTaskPollers: pollers,
		MaxConcurrentActivityTaskPollers: pollers,
		DisableEagerActivities:           queue == regularQueue,
	})
	w.RegisterWorkflow(oneRegularFourLocal)
	w.RegisterWorkflow(fiveRegular)
	w.RegisterActivity(nothing)
	if err := w.Start(); err != nil {
		return nil, err
	}
	return w.Stop, nil
}

// runEmpty runs one workflow to its end.
func runEmpty(c client.Client, queue string, of func(workflow.Context) error) func(context.Context, int, int) error {
	return func(ctx context.Context, _, _ int) error {
		run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: uuid.NewString(), TaskQueue: queue}, of)
		if err != nil {
			return err
		}
		return run.Get(ctx, nil)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
