package workflows_test

import (
	"context"
	"errors"
	"testing"

	"github.com/paystage/paystage/workflows"
	"github.com/stretchr/testify/mock"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"
)

var (
	queues    = workflows.Queues{Purchases: "test-purchases", Gateways: "test-gateways"}
	errNoWord = errors.New("connection refused")
)

// Ids name running workflows and idempotency keys of charges already sent: one that
// changed would lose the first and repeat the second.
func TestIDsNeverChange(t *testing.T) {
	for got, want := range map[string]string{
		workflows.PurchaseWorkflowID("p1"):       "purchase/p1",
		workflows.PropagationWorkflowID("a1"):    "tier-propagation/a1",
		workflows.RechargeWorkflowID("a1"):       "auto-recharge/a1",
		workflows.SignalRecharge:                 "recharge",
		workflows.CardSetupWorkflowID("s1"):      "card-setup/s1",
		workflows.SignalCardSetup:                "card-setup-changed",
		workflows.InvoicePaymentWorkflowID("i1"): "invoice-payment/i1",
		workflows.SignalCollect:                  "collect",
		workflows.DefaultQueues().Invoices:       "invoices",
		workflows.SignalPaymentChanged:           "payment-changed",
		workflows.SignalTierPropagated:           "tier-propagated",
		workflows.SignalPropagate:                "propagate",
		workflows.DefaultQueues().Purchases:      "purchases",
		workflows.DefaultQueues().Gateways:       "gateways",
		workflows.DefaultQueues().Recharges:      "recharges",
		workflows.DefaultQueues().Months:         "months",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// F25: a purchase's workflow runs once, whoever starts it how often. Only one that
// failed or was terminated before its work was done runs again (I6).
func TestStartPurchase(t *testing.T) {
	for name, c := range map[string]struct{ answer, want error }{
		"started":         {nil, nil},
		"started before":  {serviceerror.NewWorkflowExecutionAlreadyStarted("", "", ""), nil},
		"Temporal is out": {errNoWord, errNoWord},
	} {
		t.Run(name, func(t *testing.T) {
			temporal := &mocks.Client{}
			options := mock.MatchedBy(func(o client.StartWorkflowOptions) bool {
				return o.ID == "purchase/p1" && o.TaskQueue == queues.Purchases &&
					o.WorkflowIDReusePolicy == enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY &&
					o.WorkflowIDConflictPolicy == enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING &&
					o.WorkflowExecutionTimeout == 0 && o.WorkflowRunTimeout == 0
			})
			temporal.On("ExecuteWorkflow", mock.Anything, options, mock.Anything, workflows.PurchaseInput{PurchaseID: "p1"}).
				Return(nil, c.answer).Once()
			if err := workflows.StartPurchase(context.Background(), temporal, queues, "p1"); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			temporal.AssertExpectations(t)
		})
	}
}

func TestTellPurchase(t *testing.T) {
	for name, c := range map[string]struct{ answer, want error }{
		"told":            {nil, nil},
		"ended":           {serviceerror.NewNotFound("workflow execution already completed"), nil},
		"Temporal is out": {errNoWord, errNoWord},
	} {
		t.Run(name, func(t *testing.T) {
			temporal := &mocks.Client{}
			temporal.On("SignalWorkflow", mock.Anything, "purchase/p1", "", workflows.SignalPaymentChanged, nil).Return(c.answer).Once()
			err := workflows.TellPurchase(context.Background(), temporal, "p1", workflows.SignalPaymentChanged)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			temporal.AssertExpectations(t)
		})
	}
}

// R22: one propagation an account: started if it doesn't run, told if it does.
func TestPropagate(t *testing.T) {
	for name, answer := range map[string]error{"told": nil, "Temporal is out": errNoWord} {
		t.Run(name, func(t *testing.T) {
			temporal := &mocks.Client{}
			request := workflows.PropagationRequest{Force: true}
			options := mock.MatchedBy(func(o client.StartWorkflowOptions) bool { return o.TaskQueue == queues.Purchases })
			temporal.On("SignalWithStartWorkflow", mock.Anything, "tier-propagation/a1", workflows.SignalPropagate, request, options,
				mock.Anything, workflows.PropagationInput{AccountID: "a1", GatewayQueue: queues.Gateways}).Return(nil, answer).Once()
			if err := workflows.Propagate(context.Background(), temporal, queues, "a1", request); !errors.Is(err, answer) {
				t.Errorf("got %v, want %v", err, answer)
			}
			temporal.AssertExpectations(t)
		})
	}
}
