package workflows_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/workflows"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"
)

const (
	gatewayA = "http://gateway-a"
	gatewayB = "http://gateway-b"
)

// gatewaysOf mocks the two gateways: each takes a push from the time since the start
// that is given for it, and is behind until then.
func (w *world) gatewaysOf(up map[string]time.Duration) {
	held := map[string]bool{}
	on(w, books.LaggingGateways, func(_ int, in activities.LaggingInput) (activities.Lagging, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		var lagging activities.Lagging
		for _, gateway := range []string{gatewayA, gatewayB} {
			if in.All || !held[gateway] {
				lagging.Gateways = append(lagging.Gateways, gateway)
			}
		}
		return lagging, nil
	})
	on(w, gateways.Push, func(_ int, in activities.PushInput) (struct{}, error) {
		if w.elapsed() < up[in.Gateway] {
			return struct{}{}, errOutage
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		held[in.Gateway] = true
		return struct{}{}, nil
	})
}

// propagate runs the workflow of a propagation to the end of its first run.
func (w *world) propagate(in workflows.PropagationInput) error {
	w.t.Helper()
	in.AccountID, in.GatewayQueue = accountID, gatewayQueue
	w.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "tier-propagation/" + accountID, TaskQueue: "purchases"})
	w.ExecuteWorkflow(workflows.TierPropagation, in)
	if !w.IsWorkflowCompleted() {
		w.t.Fatal("the propagation did not end")
	}
	return w.GetWorkflowError()
}

func (w *world) mustPropagate(in workflows.PropagationInput) {
	w.t.Helper()
	if err := w.propagate(in); err != nil {
		w.t.Fatalf("the propagation failed: %v", err)
	}
}

// pushesTo are the times at which pushes to a gateway were begun; the tries that
// each of them takes don't count.
func (w *world) pushesTo(gateway string) []time.Duration {
	var begun []time.Duration
	for _, c := range w.named("Push") {
		in := c.in.(activities.PushInput)
		if in.AccountID != accountID || c.queue != gatewayQueue {
			w.t.Errorf("pushed for account %s on queue %s", in.AccountID, c.queue)
		}
		if in.Gateway == gateway && c.first {
			begun = append(begun, c.at)
		}
	}
	return begun
}

func (w *world) wantPushes(gateway string, want ...time.Duration) {
	w.t.Helper()
	if got := w.pushesTo(gateway); !slices.Equal(got, want) {
		w.t.Errorf("pushes to %s began at %v, want %v", gateway, got, want)
	}
}

// asked are the questions for lagging gateways, by whether they asked for all.
func (w *world) askedForAll() []bool {
	var all []bool
	for _, c := range w.named("LaggingGateways") {
		all = append(all, c.in.(activities.LaggingInput).All)
	}
	return all
}

func (w *world) wantAskedForAll(want ...bool) {
	w.t.Helper()
	if got := w.askedForAll(); !slices.Equal(got, want) {
		w.t.Errorf("asked for all gateways: %v, want %v", got, want)
	}
}

func TestPropagationOfNothingEnds(t *testing.T) {
	w := newWorld(t)
	on(w, books.LaggingGateways, always[activities.LaggingInput](activities.Lagging{}))
	w.mustPropagate(workflows.PropagationInput{})
	w.wantStory("LaggingGateways")
	w.wantSame("LaggingGateways", activities.LaggingInput{AccountID: accountID})
}

func TestPropagationPushesToEveryGateway(t *testing.T) {
	w := newWorld(t)
	w.gatewaysOf(nil)
	w.mustPropagate(workflows.PropagationInput{})
	w.wantPushes(gatewayA, 0)
	w.wantPushes(gatewayB, 0)
	w.wantCalls("Push", 2)
	w.wantAskedForAll(false, false)
}

// F44: a gateway that is down for 20 minutes is tried until it is back, and no
// other waits for it.
func TestF44PropagationToAGatewayThatIsDown(t *testing.T) {
	w := newWorld(t)
	w.gatewaysOf(map[string]time.Duration{gatewayB: 20 * time.Minute})
	w.mustPropagate(workflows.PropagationInput{})
	w.wantPushes(gatewayA, 0)
	w.wantPushes(gatewayB, 0)
	if took := w.elapsed(); took < 20*time.Minute || took > 21*time.Minute {
		t.Errorf("it took %s, want 20m and not much more", took)
	}
}

// F45: a request in mid-wait has the entitlement pushed at once to who lags behind.
func TestF45RequestCutsTheWaitShort(t *testing.T) {
	w := newWorld(t)
	up := 10*time.Minute + time.Second // a moment after a retry, so the next is 30 s away
	w.gatewaysOf(map[string]time.Duration{gatewayB: up})
	w.signal(up, workflows.SignalPropagate, workflows.PropagationRequest{})
	w.mustPropagate(workflows.PropagationInput{})
	w.wantPushes(gatewayA, 0)
	w.wantPushes(gatewayB, 0, up)
	w.wantAskedForAll(false, false, false)
	if took := w.elapsed(); took != up {
		t.Errorf("it took %s, want %s", took, up)
	}
}

// R23: a forced request goes to every gateway, whatever it holds, and does so once.
func TestForcedPropagationGoesToAll(t *testing.T) {
	for name, request := range map[string]func(*world) workflows.PropagationInput{
		"from the history before": func(*world) workflows.PropagationInput { return workflows.PropagationInput{Force: true} },
		"by the request that starts it": func(w *world) workflows.PropagationInput {
			w.signal(0, workflows.SignalPropagate, workflows.PropagationRequest{Force: true})
			return workflows.PropagationInput{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			on(w, books.LaggingGateways, func(_ int, in activities.LaggingInput) (activities.Lagging, error) {
				if in.All {
					return activities.Lagging{Gateways: []string{gatewayA, gatewayB}}, nil
				}
				return activities.Lagging{}, nil
			})
			on(w, gateways.Push, always[activities.PushInput](struct{}{}))
			w.mustPropagate(request(w))
			w.wantPushes(gatewayA, 0)
			w.wantPushes(gatewayB, 0)
			w.wantAskedForAll(true, false)
		})
	}
}

// A plain request in the midst of a forced push does not take the force out of it:
// a gateway that had acknowledged before and lost what it held still gets it.
func TestForceOutlivesAPlainRequest(t *testing.T) {
	w := newWorld(t)
	down := time.Minute
	on(w, books.LaggingGateways, func(_ int, in activities.LaggingInput) (activities.Lagging, error) {
		if in.All {
			return activities.Lagging{Gateways: []string{gatewayA, gatewayB}}, nil
		}
		return activities.Lagging{}, nil
	})
	on(w, gateways.Push, func(_ int, in activities.PushInput) (struct{}, error) {
		if in.Gateway == gatewayB && w.elapsed() < down {
			return struct{}{}, errOutage
		}
		return struct{}{}, nil
	})
	w.signal(down, workflows.SignalPropagate, workflows.PropagationRequest{})
	w.mustPropagate(workflows.PropagationInput{Force: true})
	w.wantAskedForAll(true, true, false)
	w.wantPushes(gatewayB, 0, down)
}

// A request that arrives while the propagation finds nothing left to do is not lost.
func TestRequestAtTheVeryEndIsServed(t *testing.T) {
	w := newWorld(t)
	on(w, books.LaggingGateways, func(n int, in activities.LaggingInput) (activities.Lagging, error) {
		if n == 1 {
			w.SignalWorkflow(workflows.SignalPropagate, workflows.PropagationRequest{Force: true})
		}
		if in.All {
			return activities.Lagging{Gateways: []string{gatewayA}}, nil
		}
		return activities.Lagging{}, nil
	})
	on(w, gateways.Push, always[activities.PushInput](struct{}{}))
	w.mustPropagate(workflows.PropagationInput{})
	w.wantAskedForAll(false, true, false)
	w.wantPushes(gatewayA, 0)
}

// An account that never comes to rest goes on in a fresh history, which knows of a
// forced request that arrived at the end of the one before.
func TestPropagationWithoutEndContinuesAsNew(t *testing.T) {
	for name, last := range map[string]workflows.PropagationRequest{"plain": {}, "forced": {Force: true}} {
		t.Run(name, func(t *testing.T) {
			const rounds = 200
			w := newWorld(t)
			on(w, books.LaggingGateways, func(n int, _ activities.LaggingInput) (activities.Lagging, error) {
				request := workflows.PropagationRequest{}
				if n == rounds {
					request = last
				}
				w.SignalWorkflow(workflows.SignalPropagate, request)
				return activities.Lagging{}, nil
			})
			err := w.propagate(workflows.PropagationInput{})
			var again *workflow.ContinueAsNewError
			if !errors.As(err, &again) {
				t.Fatalf("got %v, want to continue as new", err)
			}
			w.wantCalls("LaggingGateways", rounds)
			var in workflows.PropagationInput
			if err := converter.GetDefaultDataConverter().FromPayloads(again.Input, &in); err != nil {
				t.Fatal(err)
			}
			if want := (workflows.PropagationInput{AccountID: accountID, GatewayQueue: gatewayQueue, Force: last.Force}); in != want {
				t.Errorf("goes on with %+v, want %+v", in, want)
			}
		})
	}
}

func TestPropagationGoesOnWhenItsWorkflowIsCanceled(t *testing.T) {
	w := newWorld(t)
	w.gatewaysOf(map[string]time.Duration{gatewayB: time.Minute})
	w.RegisterDelayedCallback(w.CancelWorkflow, time.Second)
	w.mustPropagate(workflows.PropagationInput{})
	w.wantPushes(gatewayA, 0)
	w.wantPushes(gatewayB, 0)
}
