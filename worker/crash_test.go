package main

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/paystage/paystage/testenv"
	"github.com/stretchr/testify/require"
)

// boundaries are the activities of a purchase that changes the account's tier, in
// their order, each with what F1 to F4 and F22 call its death.
var boundaries = []string{
	"BeginPurchase", "Charge", "RecordBankAnswer", "IssueInvoice", "CreditBalance",
	"LaggingGateways", "Push", "SettleTier",
}

// TestF22WorkerDiesAtEveryStep lets the worker's process die at each activity of a
// purchase, before the activity's effect and after the effect but before anybody
// hears of it. Another worker goes on, and all is as if nothing had happened.
func TestF22WorkerDiesAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, activity := range boundaries {
		for _, after := range []bool{false, true} {
			name := map[bool]string{false: "Before", true: "After"}[after] + activity
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newSystem(t, testenv.Database(t))
				account := s.account("pm_card_visa")
				_, dead := s.spawn(activity, after)
				p, _ := s.buy(account, "k1", 2500, 0)
				<-dead
				s.spawn("", false)
				s.requireWhole(s.await(p.ID, ended))
			})
		}
	}
}

// TestF22WorkerDiesAfterADecline lets the worker's process die around the cancellation
// of a declined payment: the decline stands, and the payment is closed all the same.
func TestF22WorkerDiesAfterADecline(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]bool{"BeforeCancelPayment": false, "AfterCancelPayment": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, testenv.Database(t))
			account := s.account("pm_sim_decline_insufficient_funds")
			_, dead := s.spawn("CancelPayment", after)
			p, _ := s.buy(account, "k1", 2500, 0)
			<-dead
			p = s.await(p.ID, ended)
			require.Equal(t, "declined", p.Status, "the customer has the answer before")
			s.spawn("", false)
			s.requireNothingBought(p)
			s.requireClosed(p)
			s.requireOneKey()
		})
	}
}

// TestF22WorkerKilledDuringAStreamOfPurchases kills workers again and again while
// purchases of several accounts come in.
func TestF22WorkerKilledDuringAStreamOfPurchases(t *testing.T) {
	t.Parallel()
	const kills, accounts, each = 3, 4, 5
	s := newSystem(t, testenv.Database(t))
	var ids []string
	for range accounts {
		ids = append(ids, s.account("pm_card_visa"))
	}
	process, dead := s.spawn("", false)
	completed := make(chan struct{}, accounts*each)
	var buyers sync.WaitGroup
	for a, account := range ids {
		buyers.Go(func() {
			for n := range each {
				p, _ := s.buy(account, fmt.Sprintf("stream-%d-%d", a, n), 1000, 0)
				p = s.await(p.ID, ended)
				if p.Status == "completed" && s.stripe.Captures()[p.ID].Captures == 1 {
					completed <- struct{}{}
				}
			}
		})
	}
	for range kills {
		// A few purchases after the last kill, so that each hits work under way.
		for range 2 {
			<-completed
		}
		require.NoError(t, process.Kill())
		<-dead
		process, dead = s.spawn("", false)
	}
	buyers.Wait()
	for _, account := range ids {
		balance, err := s.store.Balance(context.Background(), account)
		require.NoError(t, err)
		require.EqualValues(t, each*10_000_000, balance.PurchasedMicros)
		s.requireTier(account)
	}
	require.Equal(t, accounts*each, s.stripe.Total().Captures)
	v, err := s.store.Verify(context.Background())
	require.NoError(t, err)
	require.True(t, v.OK(), v)
}
