package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/workflows"
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
	// partitionsEvery is how often the months' partitions of usage are made ahead,
	// from as far back as usage may be reported to partitionsAhead months from now.
	partitionsEvery = time.Hour
	partitionsAhead = 3
	// mailPatience is how long a mail may be undelivered before somebody is told.
	mailPatience = 15 * time.Minute
	// accrueEvery is how often deployments are looked for that have a whole minute to
	// be charged for. A step takes up to accruePage of them: it holds their accounts'
	// balances, and reports of usage wait for those meanwhile.
	accrueEvery = 5 * time.Second
	accruePage  = 2500
	// accrueWithin is how long deployments may go uncharged before somebody looks why.
	accrueWithin = 15 * time.Minute
	// rechargesEvery is how often accounts are looked for that should be recharging
	// and are not, and rechargesAfter how long after their time: together well under
	// the minute that none may wait (R28). A page of them is woken at a time, up to
	// rechargePages, and each has rechargesAgain to look before it is woken again.
	rechargesEvery = 30 * time.Second
	rechargesAfter = 10 * time.Second
	rechargesAgain = time.Minute
	rechargePage   = 1000
	rechargePages  = 100
	// monthsEvery is how often months are looked for that are to be closed, monthsAfter
	// how long the schedule has to do it first, and monthsLate after how long somebody
	// is told.
	monthsEvery = time.Minute
	monthsAfter = 5 * time.Minute
	monthsLate  = 6 * time.Hour
	// invoiceMailsEvery is how often new invoices are told of, and invoiceMails how many
	// of them may be in the outbox at once: a closing's must not stand before the mail
	// that somebody waits for.
	invoiceMailsEvery = 5 * time.Second
	invoiceMails      = 500
	// rulesEvery is how often a worker says by which rules it pushes, and rulesQuiet how
	// long those of another release must have said nothing before entitlements follow
	// this one's, rulesPage at a time: their accounts' balances are held meanwhile.
	rulesEvery = 15 * time.Second
	rulesQuiet = time.Minute
	rulesPage  = 500
	// invoicesEvery is how often invoices are looked for whose day has come, a page of
	// them at a time, up to invoicePages: a closing's are on their way within seconds.
	invoicesEvery = 5 * time.Second
	invoicePage   = 1000
	invoicePages  = 100
	// collectWithin is how long invoices may be due, and collectIdle how long none of
	// them is charged, before somebody looks why.
	collectWithin = 15 * time.Minute
	collectIdle   = 5 * time.Minute
)

// Sweep looks after what takes too long, and what is done by the clock, until ctx
// ends (R18, I6). Each duty has a pace of its own, and one that hangs holds up no
// other.
func (r *Relay) Sweep(ctx context.Context, now func() time.Time) {
	if ctx.Err() != nil {
		return
	}
	r.MakePartitions(ctx, now())
	r.FollowRules(ctx, now())
	var duties sync.WaitGroup
	for _, duty := range []struct {
		every time.Duration
		do    func(context.Context, time.Time)
	}{
		{alertEvery, r.RaiseAlerts},
		{alertEvery, r.WatchRecharges},
		{rechargesEvery, r.WakeRecharges},
		{invoicesEvery, r.WakeInvoices},
		{restartEvery, r.restartPending},
		{restartEvery, r.restartInvoicePayments},
		{restartEvery, r.WakeAuthorizations},
		{restartEvery, r.pushLagging},
		{accrueEvery, r.accrueDeployments},
		{partitionsEvery, r.MakePartitions},
		{monthsEvery, r.CloseMonths},
		{invoiceMailsEvery, r.TellOfInvoices},
		{rulesEvery, r.FollowRules},
	} {
		duties.Go(func() {
			ticker := time.NewTicker(duty.every)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
					duty.do(ctx, now())
				}
			}
		})
	}
	duties.Wait()
}

// TellOfInvoices has the mails sent that tell of new invoices, a few at a time.
func (r *Relay) TellOfInvoices(ctx context.Context, _ time.Time) {
	if _, err := r.Store.TellOfInvoices(ctx, invoiceMails); err != nil {
		r.Log.Error("new invoices not told of", "error", err)
	}
}

// CloseMonths has the months closed that the schedule should have, and has not: it was
// lost, or fell into an outage (F35). While the schedule is paused nothing is closed.
func (r *Relay) CloseMonths(ctx context.Context, now time.Time) {
	raised, err := r.Store.SweepLateMonths(ctx, billing.LastDueMonth(now.Add(-monthsLate)), now)
	if err != nil {
		r.Log.Error("late months not looked for", "error", err)
		return
	}
	if raised > 0 {
		r.Log.Error("a month is not closed; see the open alerts", "new", raised)
	}
	due, err := r.Store.OverdueMonths(ctx, billing.LastDueMonth(now.Add(-monthsAfter)))
	if err != nil || len(due) == 0 {
		if err != nil {
			r.Log.Error("months that are due not looked for", "error", err)
		}
		return
	}
	schedule, err := workflows.ReadMonthlySchedule(ctx, r.Temporal)
	if err == nil && schedule.Paused {
		return
	}
	if err == nil || errors.Is(err, workflows.ErrNoSchedule) {
		err = workflows.StartMonthlyDue(ctx, r.Temporal, r.Queues)
	}
	if err != nil {
		r.Log.Error("months that are due not closed", "error", err)
		return
	}
	r.Log.Warn("a month is closed that the schedule left", "oldest", billing.PeriodText(due[0]), "months", len(due))
}

// RaiseAlerts raises alerts for what has taken too long at now: purchases, mails, the
// charging of deployments, and payments of invoices.
func (r *Relay) RaiseAlerts(ctx context.Context, now time.Time) {
	r.tellOfPurchases(ctx, now)
	r.tellOfMails(ctx)
	r.tellOfDeployments(ctx, now)
	r.tellOfInvoices(ctx, now)
}

func (r *Relay) tellOfInvoices(ctx context.Context, now time.Time) {
	raised, err := r.Store.SweepStuckInvoices(ctx, now, billing.OverdueAfter, collectWithin, collectIdle)
	if err != nil {
		r.Log.Error("stuck payments of invoices not looked for", "error", err)
		return
	}
	if raised > 0 {
		r.Log.Error("payments of invoices are stuck; see the open alerts", "new", raised)
	}
}

func (r *Relay) tellOfDeployments(ctx context.Context, now time.Time) {
	late, err := r.Store.SweepLateDeployments(ctx, now, accrueWithin)
	if err != nil {
		r.Log.Error("late deployments not looked for", "error", err)
		return
	}
	if late > 0 {
		r.Log.Error("deployments are not charged; see the open alerts")
	}
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

// pushLagging has the entitlements pushed one by one that a gateway lacks: of those
// gateways that take no pages, and where the word to push was lost (I6).
func (r *Relay) pushLagging(ctx context.Context, _ time.Time) {
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

// FollowRules gives every entitlement a new version when a release has other rules of
// tiers than the one before, page by page, so that the gateways get what changed. It
// waits until the other release has ended.
func (r *Relay) FollowRules(ctx context.Context, now time.Time) {
	rules := billing.RulesFingerprint()
	if err := r.Store.NoteRules(ctx, rules); err != nil {
		r.Log.Error("other releases don't know by which rules this one pushes", "error", err)
		return
	}
	for renewed := int64(0); ; {
		moved, err := r.Store.FollowRules(ctx, rules, rulesQuiet, rulesPage, billing.TierRules(), now)
		switch {
		case err != nil:
			r.Log.Error("entitlements don't follow the rules of this release yet", "error", err)
			return
		case moved == 0:
			if renewed > 0 {
				r.Log.Info("entitlements follow the rules of this release", "accounts", renewed)
			}
			return
		}
		renewed += moved
	}
}

// WakeInvoices has the invoices collected whose day has come: after a closing, by the
// schedule of those that failed, or because whatever woke them was lost (I6).
func (r *Relay) WakeInvoices(ctx context.Context, now time.Time) {
	for range invoicePages {
		woken, err := r.Store.WakeCollections(ctx, now, invoicePage)
		if err != nil {
			r.Log.Error("invoices that are due not looked for", "error", err)
			return
		}
		if woken < invoicePage {
			return
		}
	}
}

// restartInvoicePayments goes on with every old try to have an invoice paid, page by
// page. One whose workflow runs is not touched by it.
func (r *Relay) restartInvoicePayments(ctx context.Context, now time.Time) {
	for after := ""; ; {
		last, err := r.Store.RestartInvoicePayments(ctx, now.Add(-restartAfter), after, restartPage)
		if err != nil {
			r.Log.Error("payments of invoices not gone on with", "error", err)
			return
		}
		if last == "" {
			return
		}
		after = last
	}
}
