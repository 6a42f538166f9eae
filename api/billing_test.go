package api_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

const dollar = 1_000_000 // micro-dollars

// use posts usage, as metering will: what the account pays it with, in dollars.
func (f *front) use(account string, free, purchased, accrued int64) {
	f.t.Helper()
	var entries []ledger.Entry
	for book, dollars := range map[ledger.Book]int64{
		ledger.BookFree: free, ledger.BookPurchased: purchased, "accrued": accrued, "revenue": -(free + purchased + accrued),
	} {
		if dollars != 0 {
			entries = append(entries, ledger.Entry{Book: book, AmountMicros: -dollars * dollar})
		}
	}
	_, err := f.store.Post(f.t.Context(), ledger.Posting{
		Key: uuid.NewString(), Kind: ledger.KindFreeCredits, AccountID: account, At: f.clock.now(), Entries: entries,
	})
	done(f.t, err)
}

// R6: the balance is free plus purchased less accrued, and may be negative.
func TestBalanceOfAnAccount(t *testing.T) {
	f := open(t)
	account := f.customer()
	want := func(free, purchased, accrued int64) {
		t.Helper()
		v := f.billing(account)
		if v.FreeMicros != free*dollar || v.PurchasedMicros != purchased*dollar || v.AccruedMicros != accrued*dollar ||
			v.BalanceMicros != (free+purchased-accrued)*dollar || v.PastDueMicros != 0 || v.Suspended || v.AutoRecharge != nil {
			t.Errorf("it is %+v; want %d free, %d purchased, %d accrued", v, free, purchased, accrued)
		}
	}
	want(0, 0, 0)
	f.grant(account, "k", 700, "welcome").into(201, &api.Grant{})
	want(7, 0, 0)
	f.complete(f.buy(account, 2500))
	want(7, 25, 0)
	f.use(account, 7, 5, 0)
	want(0, 20, 0)
	f.use(account, 0, 20, 30)
	want(0, 0, 30)
}

// R7, R12: tier, limit and the next tier follow the money paid; free credits never
// count. A tier counts as propagated when every gateway holds it.
func TestTierOfAnAccount(t *testing.T) {
	f := open(t)
	account := f.customer()
	want := func(number int, name string, spend, next, limit int64, propagated bool) {
		t.Helper()
		v := f.billing(account)
		if v.Tier.Number != number || v.Tier.Name != name || v.Tier.LifetimeSpendMicros != spend*dollar || v.LimitMicros != limit*dollar ||
			v.Tier.Propagated != propagated || len(v.Tier.Gateways) != 2 {
			t.Errorf("it is %+v, limit %d", v.Tier, v.LimitMicros)
		}
		switch {
		case next == 0 && v.Tier.NextAtMicros != nil:
			t.Errorf("beyond the highest tier comes one at %d", *v.Tier.NextAtMicros)
		case next != 0 && (v.Tier.NextAtMicros == nil || *v.Tier.NextAtMicros != next*dollar):
			t.Errorf("the next tier is at %v", v.Tier.NextAtMicros)
		}
	}
	want(0, "Limited", 0, 5, 0, true)
	f.grant(account, "k", 100_000, "welcome").into(201, &api.Grant{})
	want(0, "Limited", 0, 5, 0, true)

	first := f.buy(account, 500)
	f.credited(first.ID, 500)
	want(1, "Build Tier 1", 5, 50, 100, false)
	f.acknowledge(account, gatewayA, 1)
	want(1, "Build Tier 1", 5, 50, 100, false)
	f.acknowledge(account, gatewayB, 1)
	f.settle(first.ID)
	want(1, "Build Tier 1", 5, 50, 100, true)

	for _, step := range []struct {
		cents, spend, next int64
		number             int
		name               string
	}{
		{4500, 50, 100, 2, "Build Tier 2"},
		{5000, 100, 250, 3, "Build Tier 3"},
		{15_000, 250, 1000, 4, "Build Tier 4"},
		{75_000, 1000, 0, 5, "Build Tier 5"},
	} {
		f.complete(f.buy(account, step.cents))
		want(step.number, step.name, step.spend, step.next, 100, true)
	}
}

// What a gateway lacks, and why, is there for support to see.
func TestGatewaysOfAnAccount(t *testing.T) {
	f := open(t)
	p := f.buy(f.customer(), 2500)
	f.credited(p.ID, 2500)
	f.acknowledge(p.AccountID, gatewayA, 1)
	done(t, f.store.NotePushFailure(t.Context(), p.AccountID, gatewayB, "connection refused", f.clock.now()))
	var view api.Billing
	f.call(models.RoleSupport, "GET", "/v1/accounts/"+p.AccountID+"/billing", nil).into(200, &view)
	a, b := view.Tier.Gateways[0], view.Tier.Gateways[1]
	if a.Gateway != gatewayA || a.Version != 1 || a.NeededVersion != 1 || a.AcknowledgedAt == nil || a.LastError != nil {
		t.Errorf("the first is %+v", a)
	}
	if b.Gateway != gatewayB || b.Version != 0 || b.NeededVersion != 1 || b.AcknowledgedAt != nil || *b.LastError != "connection refused" || b.FailedAt == nil {
		t.Errorf("the second is %+v", b)
	}
}

func TestPendingPurchasesOfAnAccount(t *testing.T) {
	f := open(t)
	account := f.customer()
	if v := f.billing(account); v.PendingPurchases == nil || len(v.PendingPurchases) != 0 {
		t.Errorf("a new account's are %v", v.PendingPurchases)
	}
	first, second := f.buy(account, 2500), f.buy(account, 3000)
	f.complete(f.buy(account, 500))
	v := f.billing(account)
	if len(v.PendingPurchases) != 2 || v.PendingPurchases[0].ID != first.ID || v.PendingPurchases[1].ID != second.ID ||
		v.PendingPurchases[0].OtherPending[0] != second.ID {
		t.Errorf("they are %+v", v.PendingPurchases)
	}
}
