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
)

// Sweep looks after what takes too long until ctx ends (R18, I6).
func (r *Relay) Sweep(ctx context.Context, now func() time.Time) {
	alerts, restarts := time.NewTicker(alertEvery), time.NewTicker(restartEvery)
	defer alerts.Stop()
	defer restarts.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-alerts.C:
			r.RaiseAlerts(ctx, now())
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

// pushLagging has the entitlements pushed one by one that a gateway lacks: of those
// gateways that take no pages, and where the word to push was lost (I6).
func (r *Relay) pushLagging(ctx context.Context) {
	if _, err := r.Store.ForgetWaiting(ctx, r.Gateways()); err != nil {
		r.Log.Error("entitlements still wait for gateways that are gone", "error", err)
	}
	lagging, err := r.Store.RequestLagging(ctx, r.Gateways())
	if err != nil {
		r.Log.Error("lagging entitlements not looked for", "error", err)
		return
	}
	if lagging > 0 {
		r.Log.Warn("entitlements are behind at some gateway", "accounts", lagging)
	}
}
