package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/sim"
	"github.com/paystage/paystage/testenv"
	"github.com/stretchr/testify/require"
)

const askingCard = "pm_card_authenticationRequired"

// putCard puts a card and answers the status.
func (s *system) putCard(accountID, paymentMethod string, address models.Address) int {
	s.t.Helper()
	var answer map[string]any
	return s.call(models.RoleCheckout, http.MethodPut, "/v1/accounts/"+accountID+"/card", nil, map[string]any{
		"payment_method": paymentMethod, "billing_address": address,
	}, &answer)
}

var mainStreet = models.Address{Line1: "1 Main St", City: "Springfield", State: "IL", PostalCode: "62701", Country: "US"}

// awaitCard waits until the account's card ends in those digits.
func (s *system) awaitCard(accountID, last4 string) models.Card {
	s.t.Helper()
	var card models.Card
	require.Eventually(s.t, func() bool {
		var err error
		card, err = s.store.Card(context.Background(), accountID)
		return err == nil && card.Last4 == last4
	}, patience, 10*time.Millisecond, "the card did not become the account's")
	return card
}

func (s *system) newestSetup(accountID string) models.CardSetup {
	s.t.Helper()
	setup, err := s.store.NewestCardSetup(context.Background(), accountID)
	require.NoError(s.t, err)
	return setup
}

// R40: where the bank asks the customer a workflow waits, told by Stripe's webhook or
// looking by itself; where it doesn't there is none.
func TestR40CardSetup(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	t.Run("ApprovedByWebhook", func(t *testing.T) {
		account := s.account("pm_card_visa")
		require.Equal(t, http.StatusAccepted, s.putCard(account, askingCard, mainStreet))
		setup := s.newestSetup(account)
		require.NoError(t, s.stripe.Approve(*setup.SetupIntentID))
		s.awaitCard(account, "3184")
		require.Eventually(t, func() bool {
			return s.status("card-setup/"+setup.ID) == "Completed"
		}, patience, 10*time.Millisecond)
	})
	t.Run("VerifiedAtOnceHasNoWorkflow", func(t *testing.T) {
		account := s.account("pm_card_visa")
		setup := s.newestSetup(account)
		require.Equal(t, models.CardVerified, setup.State)
		require.Equal(t, "", s.status("card-setup/"+setup.ID))
	})
	t.Run("ReplacedIsTakenBack", func(t *testing.T) {
		account := s.account("pm_card_visa")
		require.Equal(t, http.StatusAccepted, s.putCard(account, askingCard, mainStreet))
		setup := s.newestSetup(account)
		require.Equal(t, http.StatusOK, s.putCard(account, "pm_card_mastercard", mainStreet))
		require.Eventually(t, func() bool {
			intent, err := s.cards().Verifier.API.SetupIntents.Get(*setup.SetupIntentID, nil)
			return err == nil && intent.Status == "canceled"
		}, patience, 10*time.Millisecond)
		s.awaitCard(account, "4444")
	})
}

// F14: no webhook comes, and the card is switched all the same.
func TestF14WebhookOfACardNeverComes(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	require.NoError(t, s.stripe.SetWebhooks(sim.WebhookBehaviour{DropNext: 1000}))
	s.work()
	account := s.account("pm_card_visa")
	require.Equal(t, http.StatusAccepted, s.putCard(account, askingCard, mainStreet))
	require.NoError(t, s.stripe.Approve(*s.newestSetup(account).SetupIntentID))
	s.awaitCard(account, "3184")
}

// F22: the worker dies before and after the step that switches the card.
func TestF22WorkerDiesWhileACardIsSetUp(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]bool{"BeforeAdvanceCardSetup": false, "AfterAdvanceCardSetup": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, testenv.Database(t))
			account := s.account("pm_card_visa")
			require.Equal(t, http.StatusAccepted, s.putCard(account, askingCard, mainStreet))
			require.NoError(t, s.stripe.Approve(*s.newestSetup(account).SetupIntentID))
			_, dead := s.spawn("AdvanceCardSetup", after)
			<-dead
			s.spawn("", false)
			s.awaitCard(account, "3184")
		})
	}
}

// F29: a charge that is in flight when the card is replaced ends on the old card; the
// next attempt has another key and goes to the new one.
func TestF29CardReplacedWhileAChargeIsInFlight(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_sim_processing")
	before, err := s.store.Card(context.Background(), account)
	require.NoError(t, err)
	first, _ := s.buy(account, "k1", 2500, 0)
	s.awaitBank(first.ID, models.BankProcessing)
	require.Equal(t, http.StatusAccepted, s.putCard(account, askingCard, mainStreet))
	require.NoError(t, s.stripe.Approve(*s.newestSetup(account).SetupIntentID))
	after := s.awaitCard(account, "3184")
	require.NoError(t, s.stripe.Settle(s.intentOf(first.ID)))
	first = s.await(first.ID, ended)
	s.requireWhole(first)

	second, _ := s.buy(account, "k2", 2500, 30)
	require.NoError(t, s.stripe.Approve(s.intentOf(second.ID)))
	second = s.await(second.ID, ended)
	require.Equal(t, "completed", second.Status)
	require.Equal(t, before.PaymentMethodID, s.chargedBy(first))
	require.Equal(t, after.PaymentMethodID, s.chargedBy(second))
}

// chargedBy is the payment method that paid a purchase.
func (s *system) chargedBy(p api.Purchase) string {
	s.t.Helper()
	intent, err := s.cards().Verifier.API.PaymentIntents.Get(s.intentOf(p.ID), nil)
	require.NoError(s.t, err)
	return intent.PaymentMethod.ID
}

// status is how far a workflow is, "" if there is none.
func (s *system) status(workflowID string) string {
	s.t.Helper()
	described, err := s.temporal.DescribeWorkflowExecution(context.Background(), workflowID, "")
	if err != nil {
		return ""
	}
	return described.WorkflowExecutionInfo.Status.String()
}
