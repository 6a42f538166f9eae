package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/sim"
	"github.com/paystage/paystage/testenv"
	"github.com/paystage/paystage/workflows"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// slowCharge is long enough to take a database away in.
const slowCharge = 3 * time.Second

// namespace is the development server's.
const namespace = "default"

// TestF19DatabaseGoneInMidPurchase stops PostgreSQL while a purchase waits for its
// bank. The bank approves meanwhile; when the database is back the purchase ends.
func TestF19DatabaseGoneInMidPurchase(t *testing.T) {
	t.Parallel()
	postgres := testenv.OwnPostgres(t)
	s := newSystem(t, postgres.DatabaseURL)
	s.work()
	account := s.account("pm_sim_processing")
	p, _ := s.buy(account, "k1", 2500, 0)
	s.awaitBank(p.ID, models.BankProcessing)

	postgres.Kill()
	require.NoError(t, s.stripe.Settle(s.intentOf(p.ID)))
	// By now the worker has the bank's answer and nowhere to put it.
	s.awaitRequests(http.MethodGet, "/v1/payment_intents/"+s.intentOf(p.ID), 1)
	postgres.Start()
	s.requireWhole(s.await(p.ID, ended))
}

// TestF19DatabaseGoneDuringTheCharge stops PostgreSQL while Stripe charges.
func TestF19DatabaseGoneDuringTheCharge(t *testing.T) {
	t.Parallel()
	postgres := testenv.OwnPostgres(t)
	s := newSystem(t, postgres.DatabaseURL)
	s.work()
	account := s.account("pm_card_visa")
	require.NoError(t, s.stripe.OrderFault(sim.Fault{
		Method: http.MethodPost, Path: "/v1/payment_intents", Kind: sim.FaultSlow, Duration: slowCharge,
	}))
	p, _ := s.buy(account, "k1", 2500, 0)
	s.awaitBank(p.ID, models.BankCharging)
	postgres.Kill()
	s.eventually(func() bool { return s.stripe.Total().Captures == 1 })
	postgres.Start()
	s.requireWhole(s.await(p.ID, ended))
}

// TestF21TemporalDown: a checkout is accepted while Temporal is down, and resumes
// from the outbox when it is back; one that was under way goes on.
func TestF21TemporalDown(t *testing.T) {
	server := testenv.OwnTemporal(t)
	t.Setenv("TEMPORAL_ADDRESS", server.Address)
	s := newSystem(t, testenv.Database(t))
	s.work()
	under, _ := s.buy(s.account("pm_sim_processing"), "k1", 2500, 0)
	s.awaitBank(under.ID, models.BankProcessing)

	server.Kill()
	p, status := s.buy(s.account("pm_card_visa"), "k1", 2500, 0)
	require.Equal(t, http.StatusAccepted, status)
	require.Equal(t, "waiting", p.Stages[0].State)
	require.NoError(t, s.stripe.Settle(s.intentOf(under.ID)))

	server.Start()
	s.requireWhole(s.await(p.ID, ended))
	s.requireWhole(s.await(under.ID, ended))
}

// TestTemporalForgets: the history of a purchase is lost. It is started again from
// the database, goes on with the payment that there is, and charges nothing (I6).
func TestTemporalForgets(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_sim_processing")
	p, _ := s.buy(account, "k1", 2500, 0)
	s.awaitBank(p.ID, models.BankProcessing)
	ctx := context.Background()
	require.NoError(t, s.temporal.TerminateWorkflow(ctx, workflows.PurchaseWorkflowID(p.ID), "", "lost"))
	_, err := s.temporal.WorkflowService().DeleteWorkflowExecution(ctx, &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: workflows.PurchaseWorkflowID(p.ID)},
	})
	require.NoError(t, err)
	s.eventually(func() bool {
		_, err := s.temporal.DescribeWorkflowExecution(ctx, workflows.PurchaseWorkflowID(p.ID), "")
		return err != nil
	})
	require.NoError(t, s.stripe.Settle(s.intentOf(p.ID)))
	last, err := s.store.RestartPending(ctx, now().Add(time.Second), "", 10)
	require.NoError(t, err)
	require.Equal(t, p.ID, last)
	s.requireWhole(s.await(p.ID, ended))
}
