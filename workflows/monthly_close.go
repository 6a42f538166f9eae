package workflows

import (
	"context"
	"fmt"
	"time"

	"github.com/paystage/paystage/activities"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

const (
	// MonthlyPagesAtOnce bounds the pages of a month that are closed side by side.
	MonthlyPagesAtOnce = 2
	// pageTimeout bounds one try of a page; its statement gives up before.
	pageTimeout = 90 * time.Second
	// maxMonthlyPages bounds a closing's history: each page leaves some six events.
	maxMonthlyPages = 1000
	// QueryProgress asks the closing of a month how far it has come.
	QueryProgress = "progress"
)

// MonthlyCloseInput names the month to close, such as 2026-10.
type MonthlyCloseInput struct {
	Period string `json:"period"`
}

// MonthlyProgress is how far the closing of a month has come.
type MonthlyProgress struct {
	Period       string `json:"period"`
	Accounts     int64  `json:"accounts"`
	AccountsDone int64  `json:"accounts_done"`
	Pages        int    `json:"pages"`
	// Invoices, Owing and DueMicros are of this run.
	Invoices  int64 `json:"invoices"`
	Owing     int64 `json:"owing"`
	DueMicros int64 `json:"due_micros"`
	// AccountsPerSecond is this run's rate, SecondsLeft what is left at it; 0 until the
	// first page is closed.
	AccountsPerSecond int64 `json:"accounts_per_second"`
	SecondsLeft       int64 `json:"seconds_left"`
	Closed            bool  `json:"closed"`
}

// MonthlyClose closes a month for all accounts: page after page, some side by side,
// each one transaction that freezes the month for its accounts and issues their
// invoices (R30, R35). Those that owe are collected by workflows of their own, in their
// turn. What is closed stands in the database: a second run, or one
// that goes on after a crash, finds the pages that are left.
func MonthlyClose(ctx workflow.Context, in MonthlyCloseInput) error {
	plan, err := record(ctx, books.BeginMonth, activities.MonthRef{Period: in.Period})
	if err != nil {
		return err
	}
	progress := &MonthlyProgress{Period: in.Period, Accounts: plan.Accounts, AccountsDone: plan.AccountsDone, Pages: plan.Pages}
	if err := workflow.SetQueryHandler(ctx, QueryProgress, func() (MonthlyProgress, error) { return *progress, nil }); err != nil {
		return fmt.Errorf("answer for progress: %w", err)
	}
	upTo := min(plan.Pages, plan.NextPage+maxMonthlyPages)
	if err := closePages(ctx, in.Period, plan, upTo, progress); err != nil {
		return err
	}
	if upTo < plan.Pages {
		return workflow.NewContinueAsNewError(ctx, MonthlyClose, in)
	}
	end, err := record(ctx, books.FinishMonth, activities.MonthRef{Period: in.Period})
	progress.Closed = end.Closed
	return err
}

// closePages closes the pages from the plan's next one up to upTo.
func closePages(ctx workflow.Context, period string, plan activities.MonthPlan, upTo int, progress *MonthlyProgress) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: pageTimeout})
	began, before := workflow.Now(ctx), plan.AccountsDone
	closed := workflow.NewSelector(ctx)
	var failure error
	for next, underway := plan.NextPage, 0; next < upTo && failure == nil || underway > 0; {
		for ; underway < MonthlyPagesAtOnce && next < upTo && failure == nil; next++ {
			page := start(ctx, 0, books.CloseMonthPage, activities.PageRef{Period: period, Round: plan.Round, Page: next})
			closed.AddFuture(page, func(page workflow.Future) {
				var done activities.ClosedPage
				if err := page.Get(ctx, &done); err != nil {
					failure = err
					return
				}
				progress.add(done, before, workflow.Now(ctx).Sub(began))
			})
			underway++
		}
		closed.Select(ctx)
		underway--
	}
	return failure
}

// add counts a page that is closed, so long after the run began, which found so many
// accounts done.
func (p *MonthlyProgress) add(done activities.ClosedPage, before int64, after time.Duration) {
	p.AccountsDone += done.Accounts
	p.Invoices, p.Owing, p.DueMicros = p.Invoices+done.Invoices, p.Owing+done.Owing, p.DueMicros+done.DueMicros
	millis := max(1, after.Milliseconds())
	p.AccountsPerSecond = (p.AccountsDone - before) * 1000 / millis
	if p.AccountsPerSecond > 0 {
		p.SecondsLeft = max(0, p.Accounts-p.AccountsDone) / p.AccountsPerSecond
	}
}

// MonthlyDue closes the months that are to be billed by now and are not, the oldest
// first: one on a 3rd, more after an outage over one (F35). The schedule starts it,
// and the sweep where the schedule did not.
func MonthlyDue(ctx workflow.Context) error {
	due, err := record(ctx, books.DueMonths, struct{}{})
	if err != nil {
		return err
	}
	for _, period := range due.Periods {
		month := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID:            MonthlyCloseWorkflowID(period),
			WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		})
		err := workflow.ExecuteChildWorkflow(month, MonthlyClose, MonthlyCloseInput{Period: period}).Get(ctx, nil)
		if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			return nil // somebody closes it; the months after it are for the next look
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// StartMonthlyClose starts the closing of a month, unless it runs.
func StartMonthlyClose(ctx context.Context, c client.Client, q Queues, period string) error {
	_, err := c.ExecuteWorkflow(ctx, monthlyStart(q, MonthlyCloseWorkflowID(period)), MonthlyClose, MonthlyCloseInput{Period: period})
	if err != nil {
		return fmt.Errorf("start monthly close: %w", err)
	}
	return nil
}

// StartMonthlyDue has the months closed that are due, unless that is being done.
func StartMonthlyDue(ctx context.Context, c client.Client, q Queues) error {
	if _, err := c.ExecuteWorkflow(ctx, monthlyStart(q, MonthlyDueWorkflowID(q)), MonthlyDue); err != nil {
		return fmt.Errorf("start closing of due months: %w", err)
	}
	return nil
}

func monthlyStart(q Queues, id string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       id,
		TaskQueue:                q.Months,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowTaskTimeout:      workflowTaskTimeout,
	}
}
