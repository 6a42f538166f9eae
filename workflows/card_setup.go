package workflows

import (
	"time"

	"github.com/paystage/paystage/activities"
	"go.temporal.io/sdk/workflow"
)

// CardSetupInput names the verification; what it is of stands in the database.
type CardSetupInput struct {
	SetupID string `json:"setup_id"`
}

// How often Stripe is asked by itself how a verification stands, doubling from first
// to last; a webhook cuts it short.
const (
	firstCardLook = 5 * time.Second
	lastCardLook  = 10 * time.Minute
)

// CardSetup waits until the bank has verified a card that is to become an account's
// (R40), and makes it the account's card then. Until that it changes nothing: the
// card before stays. It ends when the bank has refused, the customer's time is over,
// or another card was put; the SetupIntent is then taken back, and Stripe's answer to
// that decides. A card that its bank verifies at once has no workflow.
func CardSetup(ctx workflow.Context, in CardSetupInput) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	told := workflow.GetSignalChannel(ctx, SignalCardSetup)
	var state activities.CardSetupWaits
	var pause time.Duration
	for {
		drainAll(told)
		step, err := callOut(ctx, 0, cards.AdvanceCardSetup, activities.CardSetupRef{SetupID: in.SetupID})
		if err != nil || step.State == activities.CardSetupEnded {
			return err
		}
		if step.State != state {
			state, pause = step.State, 0
		}
		pause = min(max(2*pause, firstCardLook), lastCardLook)
		waitFor(ctx, told, pause)
	}
}
