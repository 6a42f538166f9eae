package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/workflows"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"
)

// recharge runs the loop of an account to the end of its generation.
func (w *world) recharge() error {
	w.t.Helper()
	w.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "auto-recharge/" + accountID, TaskQueue: "purchases"})
	w.ExecuteWorkflow(workflows.AutoRecharge, workflows.RechargeInput{AccountID: accountID})
	if !w.IsWorkflowCompleted() {
		w.t.Fatal("the loop did not end")
	}
	return w.GetWorkflowError()
}

func waiting(d time.Duration) activities.RechargeStep {
	return activities.RechargeStep{WaitMillis: d.Milliseconds()}
}

// R25: a step for each increment, woken by the end of the one before; then it ends.
func TestRechargeGoesOnWithEachWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	on(w, books.AdvanceRecharge, inTurn[activities.AccountRef](waiting(time.Minute), waiting(time.Minute), activities.RechargeStep{}))
	w.signal(3*time.Second, workflows.SignalRecharge, nil)
	w.signal(5*time.Second, workflows.SignalRecharge, nil)
	if err := w.recharge(); err != nil {
		t.Fatal(err)
	}
	w.wantTimes("AdvanceRecharge", 0, 3*time.Second, 5*time.Second)
	w.wantSame("AdvanceRecharge", activities.AccountRef{AccountID: accountID})
}

// A word that got lost costs the wait that the step named, and nothing else.
func TestRechargeLooksAgainWithoutAWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	on(w, books.AdvanceRecharge, inTurn[activities.AccountRef](waiting(50*time.Millisecond), waiting(time.Minute), activities.RechargeStep{}))
	if err := w.recharge(); err != nil {
		t.Fatal(err)
	}
	w.wantTimes("AdvanceRecharge", 0, 50*time.Millisecond, time.Minute+50*time.Millisecond)
}

// A word that comes with the last look is looked into before the loop ends.
func TestRechargeDrainsItsSignalsBeforeItEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	on(w, books.AdvanceRecharge, func(n int, _ activities.AccountRef) (activities.RechargeStep, error) {
		if n == 1 {
			w.SignalWorkflow(workflows.SignalRecharge, nil)
			w.SignalWorkflow(workflows.SignalRecharge, nil)
		}
		return activities.RechargeStep{}, nil
	})
	if err := w.recharge(); err != nil {
		t.Fatal(err)
	}
	w.wantCalls("AdvanceRecharge", 2)
}

// An account that recharges without end goes on in a fresh history.
func TestRechargeGoesOnInAFreshHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	on(w, books.AdvanceRecharge, always[activities.AccountRef](waiting(time.Second)))
	err := w.recharge()
	var fresh *workflow.ContinueAsNewError
	if !errors.As(err, &fresh) || fresh.WorkflowType.Name != "AutoRecharge" {
		t.Fatalf("got %v", err)
	}
	w.wantCalls("AdvanceRecharge", 50)
}

// F19: the loop outlives a database that is down, and a canceled one goes on: money
// may be on its way.
func TestF19RechargeOutlivesADatabaseThatIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	on(w, books.AdvanceRecharge, failingFor[activities.AccountRef](w, time.Hour, activities.RechargeStep{}))
	w.RegisterDelayedCallback(w.CancelWorkflow, time.Minute)
	if err := w.recharge(); err != nil {
		t.Fatal(err)
	}
}
