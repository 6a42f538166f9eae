package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/sim"
	"github.com/paystage/paystage/testenv"
	"github.com/paystage/paystage/workflows"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
)

func TestPurchaseGoesThroughItsStages(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_card_visa")
	p, status := s.buy(account, "k1", 2500, 30)
	require.Equal(t, http.StatusCreated, status, "ended within the wait")
	s.requireWhole(p)
	for i, stage := range p.Stages {
		require.Equal(t, "done", stage.State, stage.Name)
		require.False(t, stage.EndedAt.Before(*stage.StartedAt))
		if i > 0 {
			require.Equal(t, *p.Stages[i-1].EndedAt, *stage.StartedAt)
		}
	}
}

// TestBankOutcomes goes through what a bank can say of a charge.
func TestBankOutcomes(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()

	t.Run("Declined", func(t *testing.T) {
		p, status := s.buy(s.account("pm_sim_decline_insufficient_funds"), "k1", 2500, 30)
		require.Equal(t, http.StatusCreated, status)
		require.Equal(t, "declined", p.Status)
		require.Equal(t, "insufficient_funds", p.Decline.Code)
		require.Equal(t, billing.MessageInsufficientFunds, p.Decline.Message)
		require.Equal(t, "failed", p.Stages[0].State)
		require.Equal(t, "waiting", p.Stages[1].State)
		s.requireNothingBought(p)
		s.requireClosed(p)
	})
	t.Run("DeclinedWithACodeNobodyKnows", func(t *testing.T) {
		p, _ := s.buy(s.account("pm_sim_decline_full_moon"), "k1", 2500, 30)
		require.Equal(t, "declined", p.Status)
		require.Equal(t, billing.MessageDeclined, p.Decline.Message)
		vitals, err := s.store.Vitals(context.Background())
		require.NoError(t, err)
		require.EqualValues(t, 1, vitals.UnknownDeclines)
	})
	t.Run("LostCardReadsAsAnyDecline", func(t *testing.T) {
		p, _ := s.buy(s.account("pm_sim_decline_lost_card"), "k1", 2500, 30)
		require.Equal(t, "card_declined", p.Decline.Code)
		require.Equal(t, billing.MessageDeclined, p.Decline.Message)
	})
	t.Run("ProcessingThenApprovedByWebhook", func(t *testing.T) {
		p, status := s.buy(s.account("pm_sim_processing"), "k1", 2500, 0)
		require.Equal(t, http.StatusAccepted, status)
		s.awaitBank(p.ID, models.BankProcessing)
		require.NoError(t, s.stripe.Settle(s.intentOf(p.ID)))
		s.requireWhole(s.await(p.ID, ended))
	})
	t.Run("ProcessingThenDeclined", func(t *testing.T) {
		p, _ := s.buy(s.account("pm_sim_processing"), "k1", 2500, 0)
		s.awaitBank(p.ID, models.BankProcessing)
		require.NoError(t, s.stripe.Fail(s.intentOf(p.ID), "do_not_honor"))
		p = s.await(p.ID, ended)
		require.Equal(t, "declined", p.Status)
		require.Equal(t, "do_not_honor", p.Decline.Code)
		s.requireNothingBought(p)
	})
	t.Run("CustomerApproves", func(t *testing.T) {
		p, status := s.buy(s.account("pm_card_authenticationRequired"), "k1", 2500, 30)
		require.Equal(t, http.StatusAccepted, status)
		require.NotNil(t, p.AuthorizationURL)
		require.NoError(t, s.stripe.Approve(s.intentOf(p.ID)))
		p = s.await(p.ID, ended)
		s.requireWhole(p)
		require.Nil(t, p.AuthorizationURL, "nothing is asked any more")
	})
	t.Run("CustomerRefuses", func(t *testing.T) {
		p, _ := s.buy(s.account("pm_card_authenticationRequired"), "k1", 2500, 30)
		require.NoError(t, s.stripe.Refuse(s.intentOf(p.ID)))
		p = s.await(p.ID, ended)
		require.Equal(t, "declined", p.Status)
		s.requireNothingBought(p)
		s.requireClosed(p)
	})
}

// TestF14WebhookNeverComes: polling completes what no webhook tells.
func TestF14WebhookNeverComes(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	require.NoError(t, s.stripe.SetWebhooks(sim.WebhookBehaviour{DropNext: 1000}))
	s.work()
	p, _ := s.buy(s.account("pm_sim_processing"), "k1", 2500, 0)
	s.awaitBank(p.ID, models.BankProcessing)
	require.NoError(t, s.stripe.Settle(s.intentOf(p.ID)))
	s.requireWhole(s.await(p.ID, ended))
}

// TestOutcomeUnknown: Stripe's answer to the charge is lost or useless. The payment
// is looked up, and never charged under another key (R20).
func TestOutcomeUnknown(t *testing.T) {
	t.Parallel()
	faults := map[string]sim.Fault{
		"F5TimeoutAfterSuccess": {Kind: sim.FaultTimeoutAfter, Duration: time.Second},
		"F5ConnectionCutAfter":  {Kind: sim.FaultCutAfter},
		"F6ServerErrorAfter":    {Kind: sim.FaultErrorAfter},
		"ConnectionCutBefore":   {Kind: sim.FaultCutBefore},
		"F10RateLimited":        {Kind: sim.FaultRateLimit, Times: 3},
		"Slow":                  {Kind: sim.FaultSlow, Duration: 1500 * time.Millisecond},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, testenv.Database(t))
			s.work()
			account := s.account("pm_card_visa")
			fault.Method, fault.Path = http.MethodPost, "/v1/payment_intents"
			require.NoError(t, s.stripe.OrderFault(fault))
			p, _ := s.buy(account, "k1", 2500, 0)
			s.requireWhole(s.await(p.ID, ended))
			s.requireOneKey()
		})
	}
}

// TestF6StoredServerError: Stripe failed before the effect and repeats that under
// the key. The purchase stays unknown, is shown as such, and charges nothing else.
func TestF6StoredServerError(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_card_visa")
	require.NoError(t, s.stripe.OrderFault(sim.Fault{Method: http.MethodPost, Path: "/v1/payment_intents", Kind: sim.FaultErrorBefore}))
	p, _ := s.buy(account, "k1", 2500, 0)
	s.awaitBank(p.ID, models.BankUnknown)
	s.awaitRequests(http.MethodPost, "/v1/payment_intents", 3)
	s.requireOneKey()
	require.Zero(t, s.stripe.Total().Captures)
	p = s.await(p.ID, func(api.Purchase) bool { return true })
	require.Equal(t, "pending", p.Status)

	raised, err := s.store.SweepStuckPurchases(context.Background(), now().Add(16*time.Minute), billing.OverdueAfter)
	require.NoError(t, err)
	require.EqualValues(t, 1, raised)
}

// TestF11WebhookRepeated and reordered: 100 copies, newest first, one credit.
func TestF11WebhookRepeated(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	require.NoError(t, s.stripe.SetWebhooks(sim.WebhookBehaviour{Copies: 100, Hold: true}))
	account := s.account("pm_sim_processing")
	p, _ := s.buy(account, "k1", 2500, 0)
	s.awaitBank(p.ID, models.BankProcessing)
	require.NoError(t, s.stripe.Settle(s.intentOf(p.ID)))
	s.stripe.ReleaseWebhooks()
	s.requireWhole(s.await(p.ID, ended))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, s.stripe.WaitWebhooks(ctx))
	s.requireWhole(s.await(p.ID, ended))
}

// TestF25FiftyPostsOfOneKey are one purchase.
func TestF25FiftyPostsOfOneKey(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_card_visa")
	ids := make(chan string, 50)
	var posts sync.WaitGroup
	for range 50 {
		posts.Go(func() {
			p, _ := s.buy(account, "same", 2500, 30)
			ids <- p.ID
		})
	}
	posts.Wait()
	first := <-ids
	for range 49 {
		require.Equal(t, first, <-ids)
	}
	s.requireWhole(s.await(first, ended))
	require.Equal(t, 1, s.stripe.Total().PaymentIntents)
}

// TestF26SecondPurchaseWhilePending is named, and separate.
func TestF26SecondPurchaseWhilePending(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_sim_processing")
	one, _ := s.buy(account, "one", 2500, 0)
	s.awaitBank(one.ID, models.BankProcessing)
	two, _ := s.buy(account, "two", 500, 0)
	require.Equal(t, []string{one.ID}, two.OtherPending)
	s.awaitBank(two.ID, models.BankProcessing)
	require.NoError(t, s.stripe.Settle(s.intentOf(two.ID)))
	require.NoError(t, s.stripe.Settle(s.intentOf(one.ID)))
	one, two = s.await(one.ID, ended), s.await(two.ID, ended)
	s.requireWhole(one)
	s.requireWhole(two)
}

// TestF44GatewayDown delays the tier stage and nothing else, alerts support after
// 15 minutes, and the work goes on.
func TestF44GatewayDown(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_card_visa")
	s.gateways[1].down.Store(true)
	p, status := s.buy(account, "k1", 2500, 30)
	require.Equal(t, http.StatusAccepted, status, "the bank's answer does not wait for a gateway")
	require.Equal(t, "done", p.Stages[2].State, "the credits are there")
	require.Equal(t, "running", p.Stages[3].State)
	<-s.gateways[1].refused
	held, ok := s.gateways[0].store.Get(account)
	require.True(t, ok, "the other gateway does not wait")
	require.Equal(t, 1, held.Tier.Number)

	raised, err := s.store.SweepStuckPurchases(context.Background(), now().Add(15*time.Minute), billing.OverdueAfter)
	require.NoError(t, err)
	require.EqualValues(t, 1, raised)
	var alerts struct {
		Alerts []api.Alert `json:"alerts"`
	}
	s.call(models.RoleSupport, http.MethodGet, "/v1/support/alerts", nil, nil, &alerts)
	require.Len(t, alerts.Alerts, 1)
	require.Equal(t, "purchase/"+p.ID, alerts.Alerts[0].Subject)

	// A purchase that does not change the tier does not wait for the gateway.
	small, status := s.buy(account, "k2", 500, 30)
	require.Equal(t, http.StatusCreated, status)
	require.Equal(t, "completed", small.Status)

	s.gateways[1].down.Store(false)
	s.requireWhole(s.await(p.ID, ended))
	s.call(models.RoleSupport, http.MethodGet, "/v1/support/alerts", nil, nil, &alerts)
	require.Empty(t, alerts.Alerts, "the trouble ended, and with it the alert")
}

// TestF45ForceSyncDuringPropagation cuts the waiting for a gateway short (R23).
func TestF45ForceSyncDuringPropagation(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_card_visa")
	s.gateways[1].down.Store(true)
	p, _ := s.buy(account, "k1", 2500, 0)
	// Several failures in a row: the next attempt by itself is far away.
	for range 7 {
		<-s.gateways[1].refused
	}
	s.gateways[1].down.Store(false)
	began := time.Now()
	var result api.TierSync
	status := s.call(models.RoleSupport, http.MethodPost, "/v1/support/tier-sync", nil, map[string]any{
		"email": s.email(account), "purchased_at": now().Add(-2 * time.Hour), "reason": "ticket 7",
	}, &result)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, p.ID, result.Purchase.ID)
	require.True(t, result.Evidence.Verified)
	s.requireWhole(s.await(p.ID, ended))
	t.Logf("converged %s after the force-sync", time.Since(began))
}

// TestPurchasesShareOnePropagation: two purchases that change the tier together
// wait for one workflow (R22).
func TestPurchasesShareOnePropagation(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_card_visa")
	s.gateways[0].down.Store(true)
	one, _ := s.buy(account, "one", 2500, 30)
	two, _ := s.buy(account, "two", 5000, 30)
	require.Equal(t, "running", two.Stages[3].State)
	s.gateways[0].down.Store(false)
	s.requireWhole(s.await(one.ID, ended))
	s.requireWhole(s.await(two.ID, ended))
}

// requireNothingBought checks a purchase that the bank did not approve.
func (s *system) requireNothingBought(p api.Purchase) {
	s.t.Helper()
	require.Zero(s.t, s.stripe.Captures()[p.ID].Captures)
	balance, err := s.store.Balance(context.Background(), p.AccountID)
	require.NoError(s.t, err)
	require.Zero(s.t, balance.PurchasedMicros)
	invoices, err := s.store.Invoices(context.Background(), p.AccountID)
	require.NoError(s.t, err)
	require.Empty(s.t, invoices)
}

// requireClosed waits until the workflow of a declined purchase has ended and checks
// that nobody can confirm its payment any more.
func (s *system) requireClosed(p api.Purchase) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var result workflows.PurchaseResult
	require.NoError(s.t, s.temporal.GetWorkflow(ctx, workflows.PurchaseWorkflowID(p.ID), "").Get(ctx, &result))
	require.Equal(s.t, models.PurchaseDeclined, result.Status)
	stored, err := s.store.Purchase(ctx, p.ID)
	require.NoError(s.t, err)
	require.Equal(s.t, models.PurchaseDeclined, stored.Status)
	intent, err := activities.NewStripeClient(s.settings.StripeAPIBase, secretKey).PaymentIntents.Get(*stored.PaymentIntentID, nil)
	require.NoError(s.t, err)
	require.Equal(s.t, stripe.PaymentIntentStatusCanceled, intent.Status)
	alerts, err := s.store.OpenAlerts(ctx)
	require.NoError(s.t, err)
	require.Empty(s.t, alerts)
}

// requireOneKey checks that all charges were sent under one idempotency key.
func (s *system) requireOneKey() {
	s.t.Helper()
	keys := map[string]bool{}
	for _, r := range s.stripe.Requests() {
		if r.Method == http.MethodPost && r.Path == "/v1/payment_intents" {
			keys[r.IdempotencyKey] = true
		}
	}
	require.Len(s.t, keys, 1)
}

// awaitBank waits until the database shows what the bank said.
func (s *system) awaitBank(purchaseID string, state models.BankState) {
	s.t.Helper()
	s.eventually(func() bool {
		p, err := s.store.Purchase(context.Background(), purchaseID)
		return err == nil && p.Bank == state
	})
}

func (s *system) awaitRequests(method, path string, count int) {
	s.t.Helper()
	s.eventually(func() bool {
		seen := 0
		for _, r := range s.stripe.Requests() {
			if r.Method == method && r.Path == path {
				seen++
			}
		}
		return seen >= count
	})
}

// eventually looks until it is so; for what no event tells.
func (s *system) eventually(so func() bool) {
	s.t.Helper()
	require.Eventually(s.t, so, patience, 5*time.Millisecond)
}

// intentOf is the PaymentIntent of a purchase.
func (s *system) intentOf(purchaseID string) string {
	s.t.Helper()
	for _, intent := range s.stripe.PaymentIntents() {
		if intent.Metadata["purchase_id"] == purchaseID {
			return intent.ID
		}
	}
	require.Fail(s.t, "no PaymentIntent")
	return ""
}

func (s *system) email(accountID string) string {
	s.t.Helper()
	account, err := s.store.Account(context.Background(), accountID)
	require.NoError(s.t, err)
	return account.Email
}

// R44: a decline is told by one sentence, in the answer and in the mail, and what the bank
// suspects of a card is told as any other decline.
func TestR44OneSentenceInAnswerAndMail(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	for code, sentence := range map[string]string{
		"insufficient_funds": billing.MessageInsufficientFunds, "lost_card": billing.MessageDeclined, "made_up_code": billing.MessageDeclined,
	} {
		p, _ := s.buy(s.account("pm_sim_decline_"+code), "key", 2500, 30)
		require.Equal(t, "declined", p.Status)
		require.Equal(t, sentence, p.Decline.Message)
		file := filepath.Join(s.settings.MailDir, "purchase-"+p.ID+"-declined.eml")
		s.eventually(func() bool { _, err := os.Stat(file); return err == nil })
		mail, err := os.ReadFile(file)
		require.NoError(t, err)
		text := strings.Join(strings.Fields(strings.ReplaceAll(string(mail), "=\r\n", "")), " ")
		require.Contains(t, text, sentence)
		require.NotContains(t, text, code)
	}
}
