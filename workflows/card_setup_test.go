package workflows_test

import (
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/workflows"
	"go.temporal.io/sdk/client"
)

const setupID = "0198f3c2-1111-7b1a-9c00-000000000001"

// setup runs the verification of a card to its end.
func (w *world) setup() {
	w.t.Helper()
	w.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "card-setup/" + setupID, TaskQueue: "purchases"})
	w.ExecuteWorkflow(workflows.CardSetup, workflows.CardSetupInput{SetupID: setupID})
	if !w.IsWorkflowCompleted() || w.GetWorkflowError() != nil {
		w.t.Fatalf("it did not end well: %v", w.GetWorkflowError())
	}
}

func cardWaits(states ...activities.CardSetupWaits) func(int, activities.CardSetupRef) (activities.CardSetupStep, error) {
	return func(n int, _ activities.CardSetupRef) (activities.CardSetupStep, error) {
		return activities.CardSetupStep{State: states[min(n, len(states))-1]}, nil
	}
}

// Without a word Stripe is asked again, less and less often, and often again when
// what is waited for has changed.
func TestCardSetupLooksByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const bank, mandate, ended = activities.CardSetupOnBank, activities.CardSetupOnMandate, activities.CardSetupEnded
	on(w, cards.AdvanceCardSetup, cardWaits(bank, bank, bank, mandate, ended))
	w.setup()
	w.wantTimes("AdvanceCardSetup", 0, 5*time.Second, 15*time.Second, 35*time.Second, 40*time.Second)
	w.wantSame("AdvanceCardSetup", activities.CardSetupRef{SetupID: setupID})
}

// A webhook cuts the wait short, and an outage of Stripe is waited out.
func TestCardSetupGoesOnWithAWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	on(w, cards.AdvanceCardSetup, func(n int, _ activities.CardSetupRef) (activities.CardSetupStep, error) {
		switch n {
		case 1:
			return activities.CardSetupStep{State: activities.CardSetupOnBank}, nil
		case 2, 3:
			return activities.CardSetupStep{}, errOutage
		}
		return activities.CardSetupStep{State: activities.CardSetupEnded}, nil
	})
	w.signal(2*time.Second, workflows.SignalCardSetup, nil)
	w.setup()
	if calls := w.wantCalls("AdvanceCardSetup", 4); calls[1].at != 2*time.Second {
		t.Errorf("it looked after %s", calls[1].at)
	}
}
