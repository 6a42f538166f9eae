package api_test

import (
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/models"
)

func (f *front) asOf(account string, at time.Time) api.AsOf {
	f.t.Helper()
	var v api.AsOf
	f.call(models.RoleFinance, "GET", "/v1/accounts/"+account+"/as-of?at="+url.QueryEscape(at.Format(time.RFC3339Nano)), nil).into(200, &v)
	return v
}

// now is the instant by the database's clock, which the view goes by.
func (f *front) now() time.Time {
	return scan[time.Time](f, "select clock_timestamp()")
}

// R53: the view at each step of an account's life, asked at its end.
func TestAsOf(t *testing.T) {
	f := open(t)
	account := f.customer()
	f.grant(account, "k", 700, "welcome").into(201, &api.Grant{})
	granted := f.now()
	p := f.buy(account, 2500)
	f.credited(p.ID, 2500)
	bought := f.now()
	f.used(account, map[string]int64{"black-forest-labs/flux.1-dev": 4 * 132}) // $13.20
	used := f.now()
	f.used(account, map[string]int64{"black-forest-labs/flux.1-dev": 4 * 200})
	f.used(account, map[string]int64{"black-forest-labs/flux.1-dev": 4 * 2000})
	over := f.now()
	f.clock.advance(time.Second)

	v := f.asOf(account, granted)
	if v.BalanceMicros != 7*dollar || v.Tier.Number != 0 || v.LimitMicros != 0 || v.BlockedBy != "limited_tier" || v.Blocked || len(v.Payments) != 0 {
		t.Errorf("granted: %+v", v)
	}
	v = f.asOf(account, bought)
	if v.BalanceMicros != 32*dollar || v.Tier.Name != "Build Tier 1" || v.LimitMicros != 100*dollar || v.BlockedSince != nil || v.BlockedBy != "" ||
		len(v.Payments) != 1 || *v.Payments[0].PurchaseID != p.ID || v.Payments[0].LifetimeSpendMicros != 25*dollar || len(v.Grants) != 2 {
		t.Errorf("bought: %+v", v)
	}
	v = f.asOf(account, used)
	if v.FreeMicros != 0 || v.PurchasedMicros != 18_800_000 || len(v.Grants) != 1 || v.Grants[0].LeftMicros != 18_800_000 || v.Grants[0].Book != "purchased" {
		t.Errorf("used: %+v", v)
	}
	v = f.asOf(account, over)
	if v.BalanceMicros != -201_200_000 || !v.Blocked || v.BlockedBy != "limit_reached" || v.BlockedSince == nil || v.Terms != nil ||
		v.AccruedMicros != 201_200_000 || len(v.Grants) != 0 {
		t.Errorf("over: %+v", v)
	}

	var list struct{ Transactions []api.Transaction }
	f.call(models.RoleSupport, "GET", "/v1/accounts/"+account+"/ledger", nil).into(200, &list)
	if len(list.Transactions) != 5 {
		t.Fatalf("transactions: %+v", list.Transactions)
	}
	first := list.Transactions[2]
	if first.Kind != "usage" || len(first.Entries) != 3 || first.Entries[0].Book != "free" || *first.Entries[0].GrantID != list.Transactions[4].ID ||
		*first.Entries[1].GrantID != list.Transactions[3].ID || first.Entries[2].GrantID != nil {
		t.Errorf("the first usage: %+v", first)
	}
	f.call(models.RoleSupport, "GET", "/v1/accounts/"+account+"/ledger?before="+strconv.FormatInt(list.Transactions[3].ID, 10), nil).into(200, &list)
	if len(list.Transactions) != 1 || list.Transactions[0].Kind != "free_credits" {
		t.Errorf("before the purchase: %+v", list.Transactions)
	}

	path := "/v1/accounts/" + account + "/as-of"
	for _, at := range []string{"yesterday", "2026-11-03", "2026-11-03T14:05:00", "1999-12-31T00:00:00Z", url.QueryEscape(f.clock.now().Add(time.Hour).Format(time.RFC3339))} {
		f.call(models.RoleSupport, "GET", path+"?at="+at, nil).refused(422, "invalid_time")
	}
	f.call(models.RoleSupport, "GET", path, nil).refused(422, "invalid_request")
	f.call(models.RoleSupport, "GET", "/v1/accounts/"+uuid.NewString()+"/as-of?at=2026-11-03T14:05:00Z", nil).refused(404, "not_found")
	f.call(models.RoleSupport, "GET", "/v1/accounts/"+uuid.NewString()+"/ledger", nil).refused(404, "not_found")
}

// The limit of then is told with the terms that set it.
func TestAsOfTellsTheTerms(t *testing.T) {
	f := open(t)
	account := f.bought(100_000)
	before := f.now()
	_, err := f.db.Exec(t.Context(), `
		insert into account_terms (account_id, support_limit_micros, customer_limit_micros, changed_by, reason, changed_at)
		values ($1, 500000000, 40000000, 'support', 'agreed', now())`, account)
	done(t, err)
	after := f.now()
	f.clock.advance(time.Second)
	if v := f.asOf(account, before); v.LimitMicros != 100*dollar || v.Terms != nil {
		t.Errorf("before: %+v", v)
	}
	if v := f.asOf(account, after); v.LimitMicros != 40*dollar || v.Terms == nil || *v.Terms.SupportLimitMicros != 500*dollar || *v.Terms.Reason != "agreed" {
		t.Errorf("after: %+v", v)
	}
}
