package workflows

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/paystage/paystage/activities"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

const (
	// workflowTaskTimeout is how soon another worker takes over from one that died
	// in the middle of a workflow's step.
	workflowTaskTimeout = 5 * time.Second
	// callTimeout bounds one try of a remote call.
	callTimeout = 30 * time.Second
	// recordPause is the longest pause between two tries of a step in the database.
	// Each leaves half a dozen events, so that a history can outlast days of them.
	recordPause = time.Minute
	// withoutEnd is longer than any outage. The SDK takes a local activity that has
	// no time to be done in for one whose first try was to be the last.
	withoutEnd = 100 * 365 * 24 * time.Hour
)

// The activities, as workflows name them: the methods of nil structs. The worker
// registers the real ones.
var (
	books    *activities.Ledger
	stripe   *activities.Stripe
	checkout *activities.Checkout
	gateways *activities.Gateways
	cards    *activities.Cards
)

// forever is the retry policy of steps that must happen: only an outage stands
// between them and their effect, and outages end (R21).
func forever(maximum time.Duration) *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: maximum}
}

// record runs a step in the database as a local activity until it is done.
func record[In, Out any](ctx workflow.Context, step func(context.Context, In) (Out, error), in In) (Out, error) {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout:    15 * time.Second,
		ScheduleToCloseTimeout: withoutEnd,
		RetryPolicy:            forever(recordPause),
	})
	var out Out
	err := workflow.ExecuteLocalActivity(ctx, step, in).Get(ctx, &out)
	return out, err
}

// callOut runs a remote call as a regular activity on ctx's queue. It is given up
// after the time within, or never if that is zero.
func callOut[In, Out any](ctx workflow.Context, within time.Duration, act func(context.Context, In) (Out, error), in In) (Out, error) {
	var out Out
	err := start(ctx, within, act, in).Get(ctx, &out)
	return out, err
}

// tryOut tries a remote call once, as a local activity. One that takes long holds
// up nothing: the SDK renews the workflow task until it is done.
func tryOut[In, Out any](ctx workflow.Context, act func(context.Context, In) (Out, error), in In) (Out, error) {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: callTimeout,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
	})
	var out Out
	err := workflow.ExecuteLocalActivity(ctx, act, in).Get(ctx, &out)
	return out, err
}

// start begins a remote call as a regular activity. One that takes longer than calls
// may has its time in ctx's options.
func start[In, Out any](ctx workflow.Context, within time.Duration, act func(context.Context, In) (Out, error), in In) workflow.Future {
	options := workflow.GetActivityOptions(ctx)
	options.StartToCloseTimeout = cmp.Or(options.StartToCloseTimeout, callTimeout)
	options.ScheduleToCloseTimeout = within
	options.HeartbeatTimeout = activities.HeartbeatTimeout
	options.RetryPolicy = forever(30 * time.Second)
	return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), act, in)
}

func isAlreadyStarted(err error) bool {
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	return errors.As(err, &started)
}

// isGivenUp: the activity was not done within its time. The server tells that as a
// time-out only if a try was under way at the end; else as what the last one met.
func isGivenUp(err error) bool {
	var activity *temporal.ActivityError
	return errors.As(err, &activity)
}

func isNotFound(err error) bool {
	var missing *serviceerror.NotFound
	return errors.As(err, &missing)
}
