package relay

import (
	"context"
	"time"

	"github.com/paystage/paystage/billing"
)

const (
	// alertEvery is how often stuck purchases and late deployments are looked for.
	alertEvery = 15 * time.Second
	// restartEvery is how often pending purchases are started again, those that
	// are older than restartAfter, a page of them at a time, and entitlements
	// pushed again that a gateway lacks.
	restartEvery = 5 * time.Minute
	restartAfter = 5 * time.Minute
	restartPage  = 1000
	// accrueEvery is how often deployments are looked for that have a whole minute to
	// be charged for. A step takes up to accruePage of them: it holds their accounts'
	// balances, and reports of usage wait for those meanwhile.
	accrueEvery = 5 * time.Second
	accruePage  = 2500
	// accrueWithin is how long deployments may go uncharged before somebody looks why.
	accrueWithin = 15 * time.Minute
)

// Sweep looks after what takes too long until ctx ends (R18, I6).
func (r *Relay) Sweep(ctx context.Context, now func() time.Time) {
	alerts, restarts, accruals := time.NewTicker(alertEvery), time.NewTicker(restartEvery), time.NewTicker(accrueEvery)
	defer alerts.Stop()
	defer restarts.Stop()
	defer accruals.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-alerts.C:
			r.RaiseAlerts(ctx, now())
		case <-restarts.C:
			r.restartPending(ctx, now())
			r.pushLagging(ctx)
		case <-accruals.C:
			r.accrueDeployments(ctx, now())
		}
	}
}

// RaiseAlerts raises an alert for each purchase that has taken too long at now, and
// one if deployments are not charged.
func (r *Relay) RaiseAlerts(ctx context.Context, now time.Time) {
	r.alertStuckPurchases(ctx, now)
	late, err := r.Store.SweepLateDeployments(ctx, now, accrueWithin)
	if err != nil {
		r.Log.Error("late deployments not looked for", "error", err)
		return
	}
	if late > 0 {
		r.Log.Error("deployments are not charged; see the open alerts")
	}
}

func (r *Relay) alertStuckPurchases(ctx context.Context, now time.Time) {
	raised, err := r.Store.SweepStuckPurchases(ctx, now, billing.OverdueAfter)
	if err != nil {
		r.Log.Error("stuck purchases not looked for", "error", err)
		return
	}
	if raised > 0 {
		r.Log.Error("purchases are stuck; see the open alerts", "new", raised)
	}
}

// accrueDeployments charges all running deployments up to the last whole minute
// before now (R46), page by page.
func (r *Relay) accrueDeployments(ctx context.Context, now time.Time) {
	for {
		charged, err := r.Store.AccrueDeployments(ctx, accruePage, billing.TierRules(), now)
		if err != nil {
			r.Log.Error("deployments not charged", "error", err)
			return
		}
		if charged < accruePage {
			return
		}
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
