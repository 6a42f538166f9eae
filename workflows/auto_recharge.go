package workflows

import (
	"time"

	"github.com/paystage/paystage/activities"
	"go.temporal.io/sdk/workflow"
)

// RechargeInput names the account that recharges; what it asked for stands in the
// database.
type RechargeInput struct {
	AccountID string `json:"account_id"`
}

// maxRechargeRounds bounds a loop's history: each round leaves some six events, so
// it goes on in a fresh one after a few hundred.
const maxRechargeRounds = 50

// AutoRecharge buys credits for an account in increments, one at a time, until its
// balance and what is in flight meet the threshold; then it ends (R25, R26). It is
// one workflow per account. Each round reads settings, balance and card anew and
// makes at most one purchase, whose workflow is the ordinary one; the end of that
// purchase, a change of settings or of the card wakes it. What has to be waited for
// longer than a purchase takes is a time in the database, and no open workflow.
func AutoRecharge(ctx workflow.Context, in RechargeInput) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	woken := workflow.GetSignalChannel(ctx, SignalRecharge)
	for range maxRechargeRounds {
		drainAll(woken)
		step, err := record(ctx, books.AdvanceRecharge, activities.AccountRef{AccountID: in.AccountID})
		if err != nil {
			return err
		}
		if step.WaitMillis > 0 {
			waitFor(ctx, woken, time.Duration(step.WaitMillis)*time.Millisecond)
		} else if woken.Len() == 0 {
			return nil
		}
	}
	drainAll(woken)
	return workflow.NewContinueAsNewError(ctx, AutoRecharge, in)
}

// drainAll takes all the signals that have come: each says "look", and the look
// that follows is for all of them.
func drainAll(signals workflow.ReceiveChannel) {
	for signals.ReceiveAsync(nil) {
	}
}
