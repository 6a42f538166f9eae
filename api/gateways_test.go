package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/models"
)

// R53: which payments made the tier, and which gateway holds which version, since
// when. Free credits make none.
func TestR53TierIsExplained(t *testing.T) {
	f := open(t)
	account := f.customer()
	f.call(models.RoleSupport, "POST", "/v1/support/accounts/"+account+"/credits", object{"amount_cents": 100000, "reason": "a test"},
		idempotencyKey("k")).into(201, &api.Grant{})
	var bought []api.Purchase
	for _, cents := range []int64{500, 1000, 4000} {
		p := f.buy(account, cents)
		f.complete(p)
		bought = append(bought, p)
		f.clock.advance(time.Minute)
	}
	f.call(models.RoleSupport, "POST", exceptionsPath(account), object{"model": "m", "access": "deny", "reason": "r"}).into(201, &api.Exception{})
	held := f.clock.now()
	f.acknowledge(account, gatewayA, 3)
	f.clock.advance(time.Minute)
	f.acknowledge(account, gatewayA, 3) // what it held already
	var why api.TierExplanation
	f.call(models.RoleSupport, "GET", "/v1/accounts/"+account+"/tier/explain", nil).into(200, &why)
	if why.Tier.Number != 2 || why.Version != 3 || why.Since.IsZero() || len(why.Exceptions) != 1 || len(why.Payments) != 3 {
		t.Fatalf("%+v", why)
	}
	for i, want := range []struct {
		lifetime int64
		tier     int
		moved    bool
	}{{5_000_000, 1, true}, {15_000_000, 1, false}, {55_000_000, 2, true}} {
		p := why.Payments[i]
		if p.PurchaseID != bought[i].ID || p.AmountMicros != bought[i].AmountCents*10_000 || p.Kind != "purchase" ||
			p.LifetimeMicros != want.lifetime || p.Tier != want.tier || p.Moved != want.moved {
			t.Errorf("payment %d is %+v", i, p)
		}
	}
	a, b := why.Tier.Gateways[0], why.Tier.Gateways[1]
	if a.Version != 3 || b.Version != 2 || b.NeededVersion != 3 || a.AcknowledgedAt.Sub(held) > 30*time.Second || why.Tier.Propagated {
		t.Errorf("the gateways are %+v and %+v", a, b)
	}
}

// The state of each gateway, by the API and as metrics.
func TestGatewaysAreShown(t *testing.T) {
	f := open(t)
	account := f.customer()
	p := f.buy(account, 2500)
	f.credited(p.ID, 2500)
	list := func() []api.Gateway {
		t.Helper()
		var out struct{ Gateways []api.Gateway }
		f.call(models.RoleSupport, "GET", "/v1/gateways", nil).into(200, &out)
		if len(out.Gateways) != 2 || out.Gateways[0].Gateway != gatewayA || out.Gateways[1].Gateway != gatewayB {
			t.Fatalf("%+v", out.Gateways)
		}
		return out.Gateways
	}
	if all := list(); all[0].State != "new" || all[0].Waiting != 1 {
		t.Errorf("%+v", all)
	}
	for _, url := range []string{gatewayA, gatewayB} {
		if _, err := f.store.CareForGateway(t.Context(), url, "me", time.Minute); err != nil {
			t.Fatal(err)
		}
		done(t, f.store.BeginFilling(t.Context(), url, "store", f.clock.now()))
	}
	f.acknowledge(account, gatewayA, 1)
	done(t, f.store.EndFilling(t.Context(), gatewayA, "store", f.clock.now()))
	done(t, f.store.NoteGatewayHeard(t.Context(), gatewayA, f.clock.now()))
	if all := list(); all[0].State != "in_sync" || all[0].Waiting != 0 || all[1].State != "filling" {
		t.Errorf("%+v", all)
	}
	done(t, f.store.EndFilling(t.Context(), gatewayB, "store", f.clock.now()))
	done(t, f.store.NoteGatewayHeard(t.Context(), gatewayB, f.clock.now()))
	f.clock.advance(time.Hour)
	if all := list(); all[1].State != "behind" || all[1].Waiting != 1 || all[1].Lag < 3500 {
		t.Errorf("%+v", all)
	}
	done(t, f.store.NoteGatewayFailure(t.Context(), gatewayB, "it hangs", f.clock.now()))
	if all := list(); all[1].State != "failing" || *all[1].Error != "it hangs" {
		t.Errorf("%+v", all)
	}
	page := string(f.send("GET", "/metrics", nil).body)
	for _, line := range []string{
		`paystage_gateway_waiting_accounts{gateway="http://gateway-a"} 0`, `paystage_gateway_waiting_accounts{gateway="http://gateway-b"} 1`,
		`paystage_gateway_failing{gateway="http://gateway-b"} 1`, `paystage_gateway_lag_seconds{gateway="http://gateway-a"} 0`,
	} {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
}
