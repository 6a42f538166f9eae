package relay

import (
	"context"
	"time"

	"github.com/paystage/paystage/billing"
)

const (
	// alertEvery is how often stuck purchases are looked for.
	alertEvery = 15 * time.Second
	// restartEvery is how often pending purchases are started again, those that
	// are older than restartAfter, a page of them at a time, and entitlements
	// pushed again that a gateway lacks.
	restartEvery = 5 * time.Minute
	restartAfter = 5 * time.Minute
	restartPage  = 1000
	// rechargesEvery is how often accounts are looked for that should be recharging
	// and are not, and rechargesAfter how long after their time: together well under
	// the minute that none may wait (R28). A page of them is woken at a time, up to
	// rechargePages, and each has rechargesAgain to look before it is woken again.
	rechargesEvery = 30 * time.Second
	rechargesAfter = 10 * time.Second
	rechargesAgain = time.Minute
	rechargePage   = 1000
	rechargePages  = 100
)

// Sweep looks after what takes too long until ctx ends (R18, I6).
func (r *Relay) Sweep(ctx context.Context, now func() time.Time) {
	alerts, restarts, recharges := time.NewTicker(alertEvery), time.NewTicker(restartEvery), time.NewTicker(rechargesEvery)
	defer alerts.Stop()
	defer restarts.Stop()
	defer recharges.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-alerts.C:
			r.RaiseAlerts(ctx, now())
			r.WatchRecharges(ctx, now())
		case <-recharges.C:
			r.WakeRecharges(ctx, now())
		case <-restarts.C:
			r.restartPending(ctx, now())
			r.pushLagging(ctx)
		}
	}
}

// RaiseAlerts raises an alert for each purchase that has taken too long at now.
func (r *Relay) RaiseAlerts(ctx context.Context, now time.Time) {
	raised, err := r.Store.SweepStuckPurchases(ctx, now, billing.OverdueAfter)
	if err != nil {
		r.Log.Error("stuck purchases not looked for", "error", err)
		return
	}
	if raised > 0 {
		r.Log.Error("purchases are stuck; see the open alerts", "new", raised)
	}
}

// restartPending starts every old pending purchase again, page by page. One whose
// workflow exists is not touched by it.
func (r *Relay) restartPending(ctx context.Context, now time.Time) {
	for after := ""; ; {
		last, err := r.Store.RestartPending(ctx, now.Add(-restartAfter), after, restartPage)
		if err != nil {
			r.Log.Error("pending purchases not started again", "error", err)
			return
		}
		if last == "" {
			return
		}
		after = last
	}
}

// pushLagging has the entitlements pushed that a gateway lacks.
func (r *Relay) pushLagging(ctx context.Context) {
	lagging, err := r.Store.RequestLagging(ctx, r.Gateways)
	if err != nil {
		r.Log.Error("lagging entitlements not looked for", "error", err)
		return
	}
	if lagging > 0 {
		r.Log.Warn("entitlements are behind at some gateway", "accounts", lagging)
	}
}

// WatchRecharges raises an alert when more is charged by itself than the rules
// allow an account, or than is usual for all together.
func (r *Relay) WatchRecharges(ctx context.Context, now time.Time) {
	raised, err := r.Store.SweepRunawayRecharges(ctx, now, billing.HourlyPurchases, r.RechargesAlertPerHour)
	if err != nil {
		r.Log.Error("automatic charges not watched", "error", err)
		return
	}
	if raised > 0 {
		r.Log.Error("automatic charges run away; see the open alerts, and `starter auto-recharge pause`", "new", raised)
	}
}

// WakeRecharges wakes the loops of accounts that should have looked by now and have
// not, whatever died: no account below its threshold waits over a minute (R28).
func (r *Relay) WakeRecharges(ctx context.Context, now time.Time) {
	for range rechargePages {
		woken, err := r.Store.WakeRecharges(ctx, now.Add(-rechargesAfter), now.Add(rechargesAgain), rechargePage)
		if err != nil {
			r.Log.Error("recharges that are due not looked for", "error", err)
			return
		}
		if woken < rechargePage {
			return
		}
	}
}
