package workflows_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/workflows"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// closes mocks the database for a month of so many pages, of which those before next
// are closed, with ten accounts a page.
func (w *world) closes(pages, next int) {
	on(w, books.BeginMonth, always[activities.MonthRef](activities.MonthPlan{
		Round: 1, Pages: pages, Accounts: int64(pages) * 10, AccountsDone: int64(next) * 10, NextPage: next,
	}))
	on(w, books.CloseMonthPage, func(int, activities.PageRef) (activities.ClosedPage, error) {
		return activities.ClosedPage{Accounts: 10, Invoices: 5, Owing: 2, DueMicros: 7}, nil
	})
	on(w, books.FinishMonth, always[activities.MonthRef](activities.MonthEnd{Closed: true}))
}

func (w *world) closeMonth() error {
	w.t.Helper()
	w.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "monthly-close/2026-10", TaskQueue: "months"})
	w.ExecuteWorkflow(workflows.MonthlyClose, workflows.MonthlyCloseInput{Period: "2026-10"})
	if !w.IsWorkflowCompleted() {
		w.t.Fatal("the closing did not end")
	}
	return w.GetWorkflowError()
}

func (w *world) progress() workflows.MonthlyProgress {
	w.t.Helper()
	answer, err := w.QueryWorkflow(workflows.QueryProgress)
	if err != nil {
		w.t.Fatal(err)
	}
	var p workflows.MonthlyProgress
	if err := answer.Get(&p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// A closing goes on at the page where the one before died, and ends when all are
// closed.
func TestMonthlyCloseGoesOnWhereItDied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.closes(6, 2)
	failed := false
	on(w, books.CloseMonthPage, func(_ int, in activities.PageRef) (activities.ClosedPage, error) {
		if in.Page == 3 && !failed {
			failed = true
			return activities.ClosedPage{}, errOutage
		}
		return activities.ClosedPage{Accounts: 10, Invoices: 5, Owing: 2, DueMicros: 7}, nil
	})
	if err := w.closeMonth(); err != nil {
		t.Fatal(err)
	}
	var pages []int
	for _, c := range w.wantCalls("CloseMonthPage", 5) {
		pages = append(pages, c.in.(activities.PageRef).Page)
	}
	slices.Sort(pages)
	if !slices.Equal(pages, []int{2, 3, 3, 4, 5}) {
		t.Errorf("closed pages %v", pages)
	}
	w.wantCalls("FinishMonth", 1)
	p := w.progress()
	if p.AccountsDone != 60 || p.Invoices != 20 || p.Owing != 8 || p.DueMicros != 28 || !p.Closed || p.SecondsLeft != 0 {
		t.Errorf("progress %+v", p)
	}
}

// How far it has come can be asked while it runs.
func TestMonthlyCloseTellsItsProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.closes(100, 0)
	var seen workflows.MonthlyProgress
	on(w, books.CloseMonthPage, func(n int, _ activities.PageRef) (activities.ClosedPage, error) {
		if n == 51 {
			seen = w.progress()
		}
		return activities.ClosedPage{Accounts: 10}, nil
	})
	if err := w.closeMonth(); err != nil {
		t.Fatal(err)
	}
	if seen.Accounts != 1000 || seen.AccountsDone < 480 || seen.AccountsDone > 500 || seen.Closed {
		t.Errorf("half-way: %+v", seen)
	}
}

// A month of very many accounts goes on in a fresh history.
func TestMonthlyCloseBoundsItsHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.closes(1500, 0)
	err := w.closeMonth()
	var again *workflow.ContinueAsNewError
	if !errors.As(err, &again) {
		t.Fatalf("got %v", err)
	}
	w.wantCalls("CloseMonthPage", 1000)
	w.wantCalls("FinishMonth", 0)
}

// A month that can't be closed now is told, and not tried for ever.
func TestMonthlyCloseTellsWhyNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.closes(1, 0)
	on(w, books.BeginMonth, func(int, activities.MonthRef) (activities.MonthPlan, error) {
		return activities.MonthPlan{}, temporal.NewNonRetryableApplicationError("the month is not over", "month_refused", nil)
	})
	if err := w.closeMonth(); err == nil {
		t.Fatal("it was closed")
	}
	w.wantCalls("BeginMonth", 1)
	w.wantCalls("CloseMonthPage", 0)
}

// F35: after an outage over two 3rds both months are closed, the older one first; one
// that somebody closes already is left to them.
func TestF35DueMonthsAreClosedInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.RegisterWorkflow(workflows.MonthlyDue)
	on(w, books.DueMonths, always[struct{}](activities.Months{Periods: []string{"2026-09", "2026-10"}}))
	var closed []string
	w.OnWorkflow(workflows.MonthlyClose, mock.Anything, mock.Anything).Return(func(ctx workflow.Context, in workflows.MonthlyCloseInput) error {
		if id := workflow.GetInfo(ctx).WorkflowExecution.ID; id != "monthly-close/"+in.Period {
			t.Errorf("closed by %s", id)
		}
		closed = append(closed, in.Period)
		return workflow.Sleep(ctx, time.Minute)
	})
	w.ExecuteWorkflow(workflows.MonthlyDue)
	if err := w.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(closed, []string{"2026-09", "2026-10"}) {
		t.Errorf("closed %v", closed)
	}
}
