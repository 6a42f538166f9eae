package workflows

import (
	"github.com/paystage/paystage/activities"
	"go.temporal.io/sdk/workflow"
)

// PropagationInput names the account whose entitlement is pushed.
type PropagationInput struct {
	AccountID string `json:"account_id"`
	// GatewayQueue is the task queue of the pushes.
	GatewayQueue string `json:"gateway_queue"`
	// Force is a request's, carried over from the history before.
	Force bool `json:"force,omitempty"`
}

// PropagationRequest asks for the entitlement to be pushed.
type PropagationRequest struct {
	// Force pushes to every gateway, whatever it acknowledged before (R23).
	Force bool `json:"force,omitempty"`
}

// maxRounds bounds a propagation's history: an account whose entitlement changes
// without end goes on in a fresh one.
const maxRounds = 200

// TierPropagation pushes an account's newest entitlement to every gateway until
// each has acknowledged it (R22). It is one workflow per account: purchases that
// run together share it. A request that arrives while it waits for a gateway cuts
// the waiting short (R23); a forced one stays in force until all have it.
func TierPropagation(ctx workflow.Context, in PropagationInput) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	requests := workflow.GetSignalChannel(ctx, SignalPropagate)
	for range maxRounds {
		in.Force = drain(requests) || in.Force
		lagging, err := record(ctx, books.LaggingGateways, activities.LaggingInput{AccountID: in.AccountID, All: in.Force})
		if err != nil {
			return err
		}
		if len(lagging.Gateways) == 0 && requests.Len() == 0 {
			return nil
		}
		done, err := pushRound(ctx, in, lagging.Gateways, requests)
		if err != nil {
			return err
		}
		in.Force = in.Force && !done
	}
	in.Force = drain(requests) || in.Force
	return workflow.NewContinueAsNewError(ctx, TierPropagation, in)
}

// pushRound pushes to the gateways side by side, so that none waits for another,
// until all have acknowledged (done) or a new request arrives. Each push is retried
// by the server, at whatever length, without growing the history.
func pushRound(ctx workflow.Context, in PropagationInput, gatewayURLs []string, requests workflow.ReceiveChannel) (done bool, err error) {
	round, cutShort := workflow.WithCancel(workflow.WithTaskQueue(ctx, in.GatewayQueue))
	defer cutShort()
	waiting, asked := len(gatewayURLs), false
	var failed error
	selector := workflow.NewSelector(ctx)
	for _, gateway := range gatewayURLs {
		push := start(round, 0, gateways.Push, activities.PushInput{AccountID: in.AccountID, Gateway: gateway})
		selector.AddFuture(push, func(f workflow.Future) {
			waiting--
			if err := f.Get(ctx, nil); err != nil {
				failed = err
			}
		})
	}
	selector.AddReceive(requests, func(workflow.ReceiveChannel, bool) { asked = true })
	for waiting > 0 && !asked && failed == nil {
		selector.Select(ctx)
	}
	return waiting == 0, failed
}

// drain takes all the requests that have come and says whether one is forced.
func drain(requests workflow.ReceiveChannel) (force bool) {
	var request PropagationRequest
	for requests.ReceiveAsync(&request) {
		force = force || request.Force
	}
	return force
}
