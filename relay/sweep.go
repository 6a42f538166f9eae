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
	// partitionsEvery is how often the months' partitions of usage are made ahead,
	// from as far back as usage may be reported to partitionsAhead months from now.
	partitionsEvery = time.Hour
	partitionsAhead = 3
	// mailPatience is how long a mail may be undelivered before somebody is told.
	mailPatience = 15 * time.Minute
)

// Sweep looks after what takes too long until ctx ends (R18, I6).
func (r *Relay) Sweep(ctx context.Context, now func() time.Time) {
	alerts, restarts, partitions := time.NewTicker(alertEvery), time.NewTicker(restartEvery), time.NewTicker(partitionsEvery)
	defer alerts.Stop()
	defer restarts.Stop()
	defer partitions.Stop()
	if ctx.Err() == nil {
		r.MakePartitions(ctx, now())
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-alerts.C:
			r.RaiseAlerts(ctx, now())
		case <-restarts.C:
			r.restartPending(ctx, now())
			r.pushLagging(ctx)
		case <-partitions.C:
			r.MakePartitions(ctx, now())
		}
	}
}

// RaiseAlerts raises alerts for the purchases that have taken too long at now, and
// for the mails that can't be delivered.
func (r *Relay) RaiseAlerts(ctx context.Context, now time.Time) {
	r.tellOfPurchases(ctx, now)
	r.tellOfMails(ctx)
}

func (r *Relay) tellOfPurchases(ctx context.Context, now time.Time) {
	raised, err := r.Store.SweepStuckPurchases(ctx, now, billing.OverdueAfter)
	if err != nil {
		r.Log.Error("stuck purchases not looked for", "error", err)
		return
	}
	if raised > 0 {
		r.Log.Error("purchases are stuck; see the open alerts", "new", raised)
	}
}

// MakePartitions makes the partitions of usage that are missing at now.
func (r *Relay) MakePartitions(ctx context.Context, now time.Time) {
	oldest := now.Add(-billing.UsageOldest)
	months := 1 + partitionsAhead + 12*(now.Year()-oldest.Year()) + int(now.Month()-oldest.Month())
	made, err := r.Store.EnsureUsagePartitions(ctx, oldest, months)
	if err != nil {
		r.Log.Error("usage partitions not made", "error", err)
		return
	}
	if made > 0 {
		r.Log.Info("usage partitions made", "months", made)
	}
}

func (r *Relay) tellOfMails(ctx context.Context) {
	raised, err := r.Store.SweepUndeliveredMails(ctx, mailPatience)
	if err != nil {
		r.Log.Error("undelivered mails not looked for", "error", err)
		return
	}
	if raised > 0 {
		r.Log.Error("mails are not delivered; see the open alerts", "new", raised)
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
