package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

func endpointBody(name string) object {
	return object{"kind": "dedicated_endpoint", "sku": "dedicated_endpoint.h100-80gb", "name": name}
}

func (f *front) deploy(account string, body any, headers ...header) answer {
	f.t.Helper()
	return f.call(models.RoleCheckout, "POST", "/v1/accounts/"+account+"/deployments", body, headers...)
}

// bought opens an account with that many cents of purchased credits.
func (f *front) bought(cents int64) string {
	f.t.Helper()
	account := f.customer()
	p := f.buy(account, cents)
	f.credited(p.ID, cents)
	return account
}

func (f *front) accrue() {
	f.t.Helper()
	_, err := f.store.AccrueDeployments(f.t.Context(), 100, billing.TierRules(), f.clock.now())
	done(f.t, err)
}

func (f *front) listed(account, query string) []string {
	f.t.Helper()
	var list struct{ Deployments []api.Deployment }
	f.call(models.RoleCheckout, "GET", "/v1/accounts/"+account+"/deployments"+query, nil).into(200, &list)
	var ids []string
	for _, d := range list.Deployments {
		ids = append(ids, d.ID)
	}
	return ids
}

// A deployment from its start to its stop, as its customer sees it (R46, R47).
func TestDeployment(t *testing.T) {
	f := open(t)
	f.clock.advance(-3 * time.Hour)
	account := f.bought(2500)
	var d api.Deployment
	f.deploy(account, endpointBody("mine")).into(201, &d)
	if d.Status != "running" || d.AccountID != account || d.Name != "mine" || d.StoppedAt != nil || d.CostMicros != 1_000_000 {
		t.Errorf("started: %+v", d)
	}
	if got := f.billing(account).BalanceMicros; got != 24_000_000 {
		t.Errorf("after its creation the balance is %d", got)
	}
	f.clock.advance(90*time.Minute + 30*time.Second)
	f.accrue()
	f.deploy(account, object{"kind": "hosted_model", "sku": "hosted_model.a100-80gb", "name": "other"}).into(201, &api.Deployment{})

	var stopped, again api.Deployment
	f.call(models.RoleCheckout, "DELETE", "/v1/deployments/"+d.ID, nil).into(200, &stopped)
	ran := stopped.StoppedAt.Sub(d.StartedAt)
	if stopped.Status != "stopped" || ran < 90*time.Minute+30*time.Second || ran > 91*time.Minute {
		t.Errorf("stopped: %+v after %s", stopped, ran)
	}
	f.clock.advance(time.Hour)
	f.call(models.RoleCheckout, "DELETE", "/v1/deployments/"+strings.ToUpper(d.ID), nil).into(200, &again)
	f.accrue()
	if !again.StoppedAt.Equal(*stopped.StoppedAt) || again.CostMicros != stopped.CostMicros {
		t.Errorf("stopped once more: %+v, before %+v", again, stopped)
	}
	// The time may lie in two months.
	if seconds := int64(ran / time.Second); stopped.StartedAt.Month() == f.clock.now().Month() && stopped.CostMicros != 1_000_000+56_000*seconds/60 {
		t.Errorf("%d s cost %d", seconds, stopped.CostMicros)
	}
	all, running, off := f.listed(account, ""), f.listed(account, "?state=running"), f.listed(account, "?state=stopped")
	if len(all) != 2 || all[1] != d.ID || len(running) != 1 || running[0] != all[0] || len(off) != 1 || off[0] != d.ID {
		t.Errorf("all %v, running %v, stopped %v", all, running, off)
	}
	if older := f.listed(account, "?before="+all[0]); len(older) != 1 || older[0] != d.ID {
		t.Errorf("before the newest: %v", older)
	}
}

func TestJob(t *testing.T) {
	f := open(t)
	account := f.bought(500)
	path := "/v1/accounts/" + account + "/jobs"
	var first, again api.Job
	f.call(models.RoleCheckout, "POST", path, object{"kind": "fine_tuning", "name": "mine"}, idempotencyKey("k")).into(201, &first)
	f.call(models.RoleCheckout, "POST", path, object{"kind": "fine_tuning", "name": "mine"}, idempotencyKey("k")).into(201, &again)
	if first != again || first.CostMicros != 4_000_000 || first.Kind != "fine_tuning" {
		t.Errorf("got %+v and %+v", first, again)
	}
	f.call(models.RoleCheckout, "POST", path, object{"kind": "evaluation", "name": "mine"}, idempotencyKey("k")).refused(409, "idempotency_mismatch")
	f.deploy(account, endpointBody("mine"), idempotencyKey("k")).refused(409, "idempotency_mismatch")
	f.call(models.RoleCheckout, "POST", path, object{"kind": "evaluation", "name": "mine"}).into(201, &again)
	f.call(models.RoleCheckout, "POST", path, object{"kind": "evaluation", "name": "mine"}).refused(402, "insufficient_balance")
}

// R10: what may not be created is not, and the answer says what to do.
func TestR10WhatIsNotCreated(t *testing.T) {
	f := open(t)
	limited, account, poor, suspended := f.customer(), f.bought(500), f.bought(500), f.bought(500)
	f.grant(limited, "k", 5000, "sorry").into(201, &api.Grant{})
	f.call(models.RoleCheckout, "POST", "/v1/accounts/"+poor+"/jobs", object{"kind": "fine_tuning", "name": "x"}).into(201, &api.Job{})
	f.deploy(poor, object{"kind": "hosted_model", "sku": "hosted_model.a100-80gb", "name": "x"}).into(201, &api.Deployment{})
	_, err := f.db.Exec(t.Context(), "update entitlements set suspended = true where account_id = $1", suspended)
	done(t, err)
	before := f.snapshot()
	for name, c := range map[string]struct {
		account string
		body    any
		status  int
		code    string
	}{
		"too little":        {poor, endpointBody("x"), 402, "insufficient_balance"},
		"the Limited tier":  {limited, endpointBody("x"), 403, "limited_tier"},
		"suspended":         {suspended, endpointBody("x"), 403, "suspended"},
		"no such SKU":       {account, with(endpointBody("x"), object{"sku": "dedicated_endpoint.tpu"}), 422, "unknown_sku"},
		"SKU of the other":  {account, with(endpointBody("x"), object{"sku": "hosted_model.a100-80gb"}), 422, "unknown_sku"},
		"no such kind":      {account, with(endpointBody("x"), object{"kind": "toaster"}), 422, "invalid_request"},
		"a job's kind":      {account, with(endpointBody("x"), object{"kind": "evaluation"}), 422, "invalid_request"},
		"no name":           {account, endpointBody(""), 422, "invalid_request"},
		"a long name":       {account, endpointBody(strings.Repeat("x", 201)), 422, "invalid_request"},
		"a zero byte":       {account, endpointBody("x\x00"), 422, "invalid_text"},
		"no such account":   {uuid.NewString(), endpointBody("x"), 404, "not_found"},
		"no account at all": {"x", endpointBody("x"), 404, "not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			p := f.deploy(c.account, c.body).refused(c.status, c.code)
			if c.code == "insufficient_balance" && !strings.Contains(p.Detail, "costs $1.00, and the balance is $0.50") {
				t.Errorf("it says %s", p.Detail)
			}
		})
	}
	f.t = t
	f.unchanged(before)
	f.call(models.RoleCheckout, "DELETE", "/v1/deployments/"+uuid.NewString(), nil).refused(404, "not_found")
	f.call(models.RoleCheckout, "DELETE", "/v1/deployments/x", nil).refused(404, "not_found")
	f.call(models.RoleCheckout, "GET", "/v1/accounts/"+uuid.NewString()+"/deployments", nil).refused(404, "not_found")
	f.call(models.RoleCheckout, "GET", "/v1/accounts/"+account+"/deployments?before=x", nil).refused(422, "invalid_request")
}
