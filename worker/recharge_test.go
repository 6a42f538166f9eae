package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/testenv"
	"github.com/stretchr/testify/require"
)

// recharge configures an account's auto-recharge.
func (s *system) recharge(accountID string, amountCents, thresholdCents int64) api.AutoRecharge {
	s.t.Helper()
	var is api.AutoRecharge
	status := s.call(models.RoleCheckout, http.MethodPut, "/v1/accounts/"+accountID+"/auto-recharge", nil,
		map[string]any{"enabled": true, "amount_cents": amountCents, "threshold_cents": thresholdCents, "confirm": true}, &is)
	require.Equal(s.t, http.StatusOK, status)
	return is
}

func (s *system) billing(accountID string) api.Billing {
	s.t.Helper()
	var b api.Billing
	require.Equal(s.t, http.StatusOK, s.call(models.RoleCheckout, http.MethodGet, "/v1/accounts/"+accountID+"/billing", nil, nil, &b))
	return b
}

// awaitBilling looks at the billing page until it is as wanted.
func (s *system) awaitBilling(accountID string, wanted func(api.Billing) bool) api.Billing {
	s.t.Helper()
	var b api.Billing
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if b = s.billing(accountID); wanted(b) {
			return b
		}
	}
	require.Failf(s.t, "the account did not get there", "last seen: %+v, auto-recharge %+v", b, b.AutoRecharge)
	return b
}

// refilled: nothing is left to buy, and nothing is on its way.
func refilled(thresholdCents int64) func(api.Billing) bool {
	return func(b api.Billing) bool {
		return b.BalanceMicros >= thresholdCents*10_000 && b.AutoRecharge.State == "idle" && len(b.PendingPurchases) == 0
	}
}

// use reports usage that costs that many cents: of a SKU of which 625,000 tokens cost
// one.
func (s *system) use(accountID string, cents int64) {
	s.t.Helper()
	var answer api.UsageAnswer
	status := s.call(models.RoleUsage, http.MethodPost, "/v1/usage", nil, map[string]any{"events": []any{map[string]any{
		"id": testenv.Unique(s.t), "account_id": accountID, "sku": "baai/bge-large-en-v1.5.embedding", "quantity": cents * 625_000, "at": now(),
	}}}, &answer)
	require.Equal(s.t, http.StatusOK, status)
	require.Equal(s.t, 1, answer.Accepted, answer)
}

// automatic are the account's automatic purchases, in the order of their making.
func (s *system) automatic(accountID string) []models.Purchase {
	s.t.Helper()
	found, err := s.store.PurchasesNear(context.Background(), s.email(accountID), now(), 24*time.Hour)
	require.NoError(s.t, err)
	var made []models.Purchase
	for _, p := range found {
		if p.Origin == models.OriginAutoRecharge {
			made = append(made, p)
		}
	}
	return made
}

// requireChargedIsCredited checks that all that the double captured was credited,
// and that the ledger agrees with itself.
func (s *system) requireChargedIsCredited(accountID string, purchases int, cents int64) {
	s.t.Helper()
	balance, err := s.store.Balance(context.Background(), accountID)
	require.NoError(s.t, err)
	require.EqualValues(s.t, cents*10_000, balance.LifetimeSpendMicros)
	total := s.stripe.Total()
	require.Equal(s.t, purchases, total.Captures)
	require.EqualValues(s.t, cents, total.CapturedCents)
	v, err := s.store.Verify(context.Background())
	require.NoError(s.t, err)
	require.True(s.t, v.OK(), v)
}

// R25, R26: switched on far below the threshold it buys exactly the increments of
// the plan, one at a time, and ends: an idle account has no open workflow.
func TestR26IncrementsUntilTheThreshold(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_card_visa")
	p, _ := s.buy(account, "first", 2500, 10)
	s.await(p.ID, ended)
	is := s.recharge(account, 2500, 25000)
	require.EqualValues(t, 9, is.Plan.Purchases)
	s.awaitBilling(account, refilled(25000))
	s.requireChargedIsCredited(account, 10, 25000)
	made := s.automatic(account)
	require.Len(t, made, 9)
	s.requireNeverTwoInFlight(account)
	s.requireNoLoop(account)
}

func (s *system) requireNeverTwoInFlight(accountID string) {
	s.t.Helper()
	conn, err := pgx.Connect(context.Background(), s.settings.DatabaseURL)
	require.NoError(s.t, err)
	defer conn.Close(context.Background())
	var overlapping int
	require.NoError(s.t, conn.QueryRow(context.Background(), `
		select count(*) from purchases a join purchases b on b.account_id = a.account_id and b.id > a.id
		 where a.account_id = $1 and a.origin = 'auto_recharge' and b.origin = 'auto_recharge'
		   and b.created_at < coalesce(a.balance_ended_at, a.bank_ended_at)`, accountID).Scan(&overlapping))
	require.Zero(s.t, overlapping, "recharges in flight together")
}

// requireNoLoop waits until the account's loop has ended.
func (s *system) requireNoLoop(accountID string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(s.t, s.temporal.GetWorkflow(ctx, "auto-recharge/"+accountID, "").Get(ctx, nil))
}

// R28: usage that crosses the threshold wakes the loop.
func TestR28UsageThatCrossesTheThresholdRefills(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_card_visa")
	s.recharge(account, 1000, 2000)
	s.awaitBilling(account, refilled(2000))
	s.use(account, 1)
	b := s.awaitBilling(account, refilled(2000))
	require.EqualValues(t, 29_990_000, b.BalanceMicros)
	s.requireChargedIsCredited(account, 3, 3000)
}

// R28: so it does when the process that took the report dies before it could tell
// anybody, here with every worker away and the wake-up lost as well.
func TestR28LostWakeUpIsFoundByTheSweep(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	stop := s.work()
	account := s.account("pm_card_visa")
	s.recharge(account, 1000, 2000)
	s.awaitBilling(account, refilled(2000))
	s.requireNoLoop(account)
	stop()
	s.use(account, 1500)
	messages, err := s.store.ClaimMessages(context.Background(), 100, time.Hour)
	require.NoError(t, err)
	for _, m := range messages {
		require.NoError(t, s.store.MessageDelivered(context.Background(), m))
	}
	woken, err := s.store.WakeRecharges(context.Background(), now(), now(), 10)
	require.NoError(t, err)
	require.EqualValues(t, 1, woken)
	s.work()
	s.awaitBilling(account, refilled(2000))
	s.requireChargedIsCredited(account, 4, 4000)
}

// R27: a card that is dead stops the loop after one try; a mail says so; another
// card goes on at once.
func TestR27DeadCardStopsAndAnotherGoesOn(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_sim_decline_lost_card")
	s.recharge(account, 1000, 1000)
	stopped := s.awaitBilling(account, func(b api.Billing) bool { return b.AutoRecharge.State == "stopped" })
	require.False(t, stopped.AutoRecharge.Enabled)
	require.Equal(t, billing.HaltSentence(models.HaltCardRefused, "lost_card", nil), stopped.AutoRecharge.Sentence)
	s.requireNoLoop(account)
	s.awaitMail("auto-recharge-1.eml", "switched off")

	var card map[string]any
	require.Equal(t, http.StatusOK, s.call(models.RoleCheckout, http.MethodPut, "/v1/accounts/"+account+"/card", nil, map[string]any{
		"payment_method":  "pm_card_mastercard",
		"billing_address": models.Address{Line1: "1 Main St", City: "Springfield", State: "IL", PostalCode: "62701", Country: "US"},
	}, &card))
	s.awaitBilling(account, refilled(1000))
	s.requireChargedIsCredited(account, 1, 1000)
	require.Len(t, s.automatic(account), 2)
}

// awaitMail waits for a mail and checks what it says.
func (s *system) awaitMail(file, says string) {
	s.t.Helper()
	var text []byte
	for deadline := time.Now().Add(patience); text == nil && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, _ = os.ReadFile(filepath.Join(s.settings.MailDir, file))
	}
	require.Contains(s.t, string(text), says)
}

// R26: a charge that the bank holds counts as in flight, so that nothing else is
// bought meanwhile; R55: the gateways hear of it where the account is blocked.
func TestR26WhatTheBankHoldsIsInFlight(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_sim_processing")
	s.recharge(account, 1000, 500)
	s.awaitBilling(account, func(b api.Billing) bool {
		return len(b.PendingPurchases) == 1 && b.AutoRecharge.State == "recharging" && b.AutoRecharge.Plan.Purchases == 0
	})
	require.NoError(t, s.store.ConfigureRecharge(context.Background(), account,
		models.RechargeSettings{Enabled: true, AmountCents: 1000, ThresholdCents: 1500}, 0, now()))
	held := s.automatic(account)[0]
	s.awaitBank(held.ID, models.BankProcessing)
	require.NoError(t, s.stripe.Settle(s.intentOf(held.ID)))
	// The settings that changed meanwhile count for the next one.
	second := s.awaitSecond(account, held.ID)
	s.awaitBank(second, models.BankProcessing)
	require.NoError(t, s.stripe.Settle(s.intentOf(second)))
	s.awaitBilling(account, refilled(1500))
	s.requireNeverTwoInFlight(account)
	s.requireChargedIsCredited(account, 2, 2000)
}

func (s *system) awaitSecond(accountID, first string) string {
	s.t.Helper()
	var second string
	s.awaitBilling(accountID, func(b api.Billing) bool {
		for _, p := range b.PendingPurchases {
			if p.ID != first {
				second = p.ID
			}
		}
		return second != ""
	})
	return second
}

// The emergency stop holds everything, and what was due meanwhile goes on after it.
func TestEmergencyStopLosesNoWakeUp(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account := s.account("pm_card_visa")
	audit := models.AuditEntry{At: now(), Actor: "test", Role: models.RoleAdmin, Action: "auto_recharge_pause", Reason: "test"}
	require.NoError(t, s.store.HoldRecharges(context.Background(), true, audit))
	s.recharge(account, 1000, 1000)
	s.requireNoLoop(account)
	is := s.billing(account).AutoRecharge
	require.Equal(t, "paused", is.State)
	require.Equal(t, "held", is.Reason)
	require.Empty(t, s.automatic(account))
	require.NoError(t, s.store.HoldRecharges(context.Background(), false, audit))
	woken, err := s.store.WakeRecharges(context.Background(), now(), now(), 10)
	require.NoError(t, err)
	require.EqualValues(t, 1, woken)
	s.awaitBilling(account, refilled(1000))
}

// F22: a worker that dies at any step of the loop or of its purchase changes nothing.
func TestF22WorkerDiesDuringARecharge(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"AdvanceRecharge", "Charge", "CreditBalance"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/after=%t", at, after), func(t *testing.T) {
				t.Parallel()
				s := newSystem(t, testenv.Database(t))
				account := s.account("pm_card_visa")
				s.recharge(account, 1000, 3000)
				_, dead := s.spawn(at, after)
				<-dead
				s.spawn("", false)
				s.awaitBilling(account, refilled(3000))
				s.requireNeverTwoInFlight(account)
				s.requireChargedIsCredited(account, 3, 3000)
			})
		}
	}
}
