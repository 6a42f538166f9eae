package api_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

func (f *front) putRecharge(account string, body any) answer {
	f.t.Helper()
	return f.call(models.RoleCheckout, "PUT", "/v1/accounts/"+account+"/auto-recharge", body)
}

func (f *front) preview(account string, body any) answer {
	f.t.Helper()
	return f.call(models.RoleCheckout, "POST", "/v1/accounts/"+account+"/auto-recharge/preview", body)
}

// advance takes the next step of the account's loop, as a worker would.
func (f *front) advance(account string) ledger.RechargeAdvance {
	f.t.Helper()
	step, err := f.store.AdvanceRecharge(f.t.Context(), ledger.NewRecharge{AccountID: account, PurchaseID: uuid.NewString(), At: f.clock.now()})
	done(f.t, err)
	return step
}

// declineRecharge has the bank decline the recharge in flight.
func (f *front) declineRecharge(account, code string) {
	f.t.Helper()
	id := scan[string](f, "select id::text from purchases where account_id = $1 and origin = 'auto_recharge' and status = 'pending'", account)
	f.begin(id)
	f.bankSays(id, ledger.BankAnswer{State: models.BankDeclined, DeclineCode: code})
	f.advance(account)
}

// R26: the example of the rule, worked out before anything is charged, and a plan
// of that size needs the customer's yes.
func TestR26LargePlanIsShownAndNeedsAYes(t *testing.T) {
	f := open(t)
	account := f.customer()
	f.complete(f.buy(account, 2500))
	body := object{"enabled": true, "amount_cents": 2500, "threshold_cents": 50000}
	before := f.snapshot()

	var seen api.AutoRecharge
	f.preview(account, body).into(200, &seen)
	plan := api.RechargePlan{Purchases: 19, TotalCents: 47500, NeedsYes: true}
	if seen.Plan != plan || seen.State != "recharging" {
		t.Errorf("the preview is %+v", seen)
	}
	p := f.putRecharge(account, body).refused(409, "confirmation_required")
	if p.Plan == nil || *p.Plan != plan || !strings.Contains(p.Detail, "19 purchases now, $475.00 in all") {
		t.Errorf("it says %+v", p)
	}
	f.unchanged(before)

	body["confirm"] = true
	f.putRecharge(account, body).into(200, &seen)
	if seen.Plan != plan || seen.State != "recharging" || !seen.Enabled {
		t.Errorf("confirmed it is %+v", seen)
	}
	if now := f.billing(account).AutoRecharge; now == nil || now.Plan != plan || now.Sentence != "A recharge of $25.00 is about to begin." {
		t.Errorf("the billing page shows %+v", now)
	}
	if kinds := scan[string](f, "select string_agg(kind, ' ') from outbox where subject = $1", account); !strings.Contains(kinds, "recharge") {
		t.Errorf("the outbox holds %s", kinds)
	}
}

func TestRechargePlans(t *testing.T) {
	f := open(t)
	account := f.customer()
	for name, c := range map[string]struct {
		body      object
		purchases int64
		total     int64
		needsYes  bool
	}{
		"three purchases":        {object{"enabled": true, "amount_cents": 1000, "threshold_cents": 3000}, 3, 3000, false},
		"a cent more":            {object{"enabled": true, "amount_cents": 1000, "threshold_cents": 3001}, 4, 4000, true},
		"$500.00":                {object{"enabled": true, "amount_cents": 50000, "threshold_cents": 1}, 1, 50000, false},
		"$500.01":                {object{"enabled": true, "amount_cents": 50001, "threshold_cents": 1}, 1, 50001, true},
		"by default $25.00":      {object{"enabled": true, "threshold_cents": 2501}, 2, 5000, false},
		"nothing below nothing":  {object{"enabled": true, "threshold_cents": 0}, 0, 0, false},
		"F28: the cap bounds it": {object{"enabled": true, "threshold_cents": 1000000, "monthly_cap_cents": 7600}, 3, 7500, false},
		"off plans nothing":      {object{"enabled": false, "threshold_cents": 5000}, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			var seen api.AutoRecharge
			f.preview(account, c.body).into(200, &seen)
			if seen.Plan.Purchases != c.purchases || seen.Plan.TotalCents != c.total || seen.Plan.NeedsYes != c.needsYes {
				t.Errorf("the plan is %+v", seen.Plan)
			}
		})
	}
}

func TestBadRecharges(t *testing.T) {
	f := open(t)
	customer, cardless := f.customer(), f.account()
	f.putRecharge(customer, object{"enabled": true, "threshold_cents": 0}).into(200, &api.AutoRecharge{})
	before := f.snapshot()
	for name, c := range map[string]struct {
		account, body string
		status        int
		code          string
	}{
		"no body":            {customer, "", 400, "malformed_request"},
		"nothing said":       {customer, `{}`, 422, "invalid_request"},
		"no threshold":       {customer, `{"enabled": true}`, 422, "invalid_threshold"},
		"negative threshold": {customer, `{"enabled": true, "threshold_cents": -1}`, 422, "invalid_threshold"},
		"huge threshold":     {customer, `{"enabled": true, "threshold_cents": 10000001}`, 422, "invalid_threshold"},
		"half a cent":        {customer, `{"enabled": true, "threshold_cents": 0.5}`, 422, "invalid_threshold"},
		"under $5.00":        {customer, `{"enabled": true, "amount_cents": 499, "threshold_cents": 0}`, 422, "amount_too_small"},
		"too much":           {customer, `{"enabled": true, "amount_cents": 1000001, "threshold_cents": 0}`, 422, "amount_too_large"},
		"no cents":           {customer, `{"enabled": true, "amount_cents": "5", "threshold_cents": 0}`, 422, "invalid_amount"},
		"cap under amount":   {customer, `{"enabled": true, "threshold_cents": 0, "monthly_cap_cents": 2499}`, 422, "invalid_cap"},
		"negative cap":       {customer, `{"enabled": true, "threshold_cents": 0, "monthly_cap_cents": -1}`, 422, "invalid_cap"},
		"cap of words":       {customer, `{"enabled": true, "threshold_cents": 0, "monthly_cap_cents": "none"}`, 422, "invalid_cap"},
		"unknown field":      {customer, `{"enabled": true, "threshold_cents": 0, "currency": "eur"}`, 422, "invalid_request"},
		"no card":            {cardless, `{"enabled": true, "threshold_cents": 0}`, 409, "card_required"},
		"no account":         {uuid.NewString(), `{"enabled": true, "threshold_cents": 0}`, 404, "not_found"},
		"no id":              {"acct-1", `{"enabled": true, "threshold_cents": 0}`, 404, "not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.putRecharge(c.account, c.body).refused(c.status, c.code)
			f.preview(c.account, c.body).refused(c.status, c.code)
			f.unchanged(before)
		})
	}
}

// Whoever only switches off keeps what was set, whatever the bounds are by now.
func TestSwitchingOffKeepsTheSettings(t *testing.T) {
	f := open(t)
	account := f.customer()
	var seen api.AutoRecharge
	f.putRecharge(account, object{"enabled": false}).into(200, &seen)
	if seen.Enabled || seen.State != "off" || seen.AmountCents != 2500 {
		t.Errorf("never on: %+v", seen)
	}
	f.putRecharge(account, object{"enabled": true, "amount_cents": 20000, "threshold_cents": 100, "monthly_cap_cents": 30000}).into(200, &seen)
	f.maxCents = 1000
	f.serve()
	f.putRecharge(account, object{"enabled": false}).into(200, &seen)
	if seen.Enabled || seen.State != "off" || seen.AmountCents != 20000 || seen.ThresholdCents != 100 || *seen.MonthlyCapCents != 30000 || seen.Sentence != "Auto-recharge is off." {
		t.Errorf("switched off it is %+v", seen)
	}
	if below := scan[*int64](f, "select recharge_below_micros from balances where account_id = $1", account); below != nil {
		t.Errorf("its balance is still watched: %d", *below)
	}
}

// R27: each kind of decline shows as a state with a sentence, and says nothing that
// the bank only suspects.
func TestR27DeclinesShowOnTheBillingPage(t *testing.T) {
	f := open(t)
	for code, c := range map[string]struct {
		state, reason, says string
		enabled             bool
	}{
		"stolen_card":                 {"stopped", "card_refused", billing.MessageDeclined, false},
		"revocation_of_authorization": {"stopped", "card_refused", billing.MessageRecurringPayments, false},
		"expired_card":                {"paused", "card_data", billing.MessageExpired, true},
		"insufficient_funds":          {"paused", "retry", billing.MessageInsufficientFunds, true},
		"authentication_required":     {"paused", "authentication_required", "your bank wants to hear from you", true},
	} {
		t.Run(code, func(t *testing.T) {
			f.t = t
			account := f.customer()
			f.putRecharge(account, object{"enabled": true, "threshold_cents": 100}).into(200, &api.AutoRecharge{})
			f.advance(account)
			f.declineRecharge(account, code)
			now := f.billing(account).AutoRecharge
			if now.State != c.state || now.Reason != c.reason || now.Enabled != c.enabled || !strings.Contains(now.Sentence, c.says) ||
				(now.Until != nil) != (c.reason == "retry") {
				t.Errorf("it shows %+v", now)
			}
			text, err := json.Marshal(now)
			done(t, err)
			if strings.Contains(string(text), "stolen") {
				t.Errorf("it tells what the bank suspects: %s", text)
			}
			again := f.putRecharge(account, object{"enabled": true, "threshold_cents": 100})
			if c.reason == "card_refused" {
				again.refused(409, "new_card_required")
			} else {
				again.into(200, now)
				if now.Reason != c.reason {
					t.Errorf("settings that changed ended the pause: %+v", now)
				}
			}
			f.putCard(account, cardBody("pm_card_mastercard")).into(200, &api.Card{})
			if now = f.billing(account).AutoRecharge; now.State != "recharging" || !now.Enabled || now.Reason != "" {
				t.Errorf("with another card it shows %+v", now)
			}
		})
	}
}

// A card that was declined three times in a row is tried again when the customer
// switches auto-recharge on again, and not by itself.
func TestR27ThreeSoftDeclinesAreTheEnd(t *testing.T) {
	f := open(t)
	account := f.customer()
	body := object{"enabled": true, "threshold_cents": 100}
	f.putRecharge(account, body).into(200, &api.AutoRecharge{})
	for range 3 {
		f.advance(account)
		f.declineRecharge(account, "insufficient_funds")
		f.clock.advance(25 * time.Hour)
	}
	now := f.billing(account).AutoRecharge
	if now.State != "stopped" || now.Reason != "tries_used_up" || now.Enabled {
		t.Errorf("it shows %+v", now)
	}
	if step := f.advance(account); step.Action != billing.RechargeHalted {
		t.Errorf("the loop goes on: %+v", step)
	}
	f.putRecharge(account, body).into(200, now)
	if now.State != "recharging" || !now.Enabled {
		t.Errorf("switched on again it shows %+v", now)
	}
	if step := f.advance(account); step.Action != billing.RechargeAwait {
		t.Errorf("nothing is bought: %+v", step)
	}
}
