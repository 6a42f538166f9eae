package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/stripesim/sim"
	"github.com/paystage/paystage/testenv"
	"github.com/stretchr/testify/require"
)

// TestF24ClocksTenMinutesApart: the worker's clock differs from that of everybody
// else. The money goes its way, unknown outcomes included. A gateway refuses what is
// signed at such a time, so the tier waits for a worker whose clock is right.
func TestF24ClocksTenMinutesApart(t *testing.T) {
	t.Parallel()
	for name, apart := range map[string]time.Duration{"Ahead": 10 * time.Minute, "Behind": -10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, testenv.Database(t))
			stop := s.workBy(func() time.Time { return now().Add(apart) })
			straight, lost := s.account("pm_card_visa"), s.account("pm_card_visa")
			first, status := s.buy(straight, "k1", 2500, 30)
			require.Equal(t, http.StatusAccepted, status, "the gateways refuse it")
			require.NoError(t, s.stripe.OrderFault(sim.Fault{Method: http.MethodPost, Path: "/v1/payment_intents", Kind: sim.FaultCutAfter}))
			second, _ := s.buy(lost, "k2", 2500, 0)
			credited := func(p api.Purchase) bool { return p.Stages[2].State == "done" }
			for _, p := range []api.Purchase{first, second} {
				require.Equal(t, "pending", s.await(p.ID, credited).Status)
			}
			stop()
			s.work()
			for _, p := range []api.Purchase{first, second} {
				s.requireWhole(s.await(p.ID, ended))
			}
		})
	}
}
