package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/models"
)

const (
	tokens  = "meta-llama/llama-3.3-70b.input" // $0.88 for a million
	schnell = "black-forest-labs/flux.1-schnell"
)

// funded opens an account that has bought credits for that many cents.
func (f *front) funded(cents int64) string {
	f.t.Helper()
	account := f.customer()
	f.credited(f.buy(account, cents).ID, cents)
	return account
}

// event is a use of a million tokens, now.
func (f *front) event(account, id string) object {
	return object{"id": id, "account_id": account, "sku": tokens, "quantity": 1_000_000, "at": f.clock.now().Format(time.RFC3339Nano)}
}

func (f *front) report(body any) api.UsageAnswer {
	f.t.Helper()
	var answer api.UsageAnswer
	f.call(models.RoleUsage, "POST", "/v1/usage", body).into(200, &answer)
	return answer
}

func events(all ...any) object { return object{"events": all} }

// R5: free credits first, then purchased ones, then what is accrued.
func TestUsageIsPaidInOrder(t *testing.T) {
	f := open(t)
	account := f.funded(500)
	f.call(models.RoleSupport, "POST", "/v1/support/accounts/"+account+"/credits", object{"amount_cents": 100, "reason": "welcome"},
		idempotencyKey("welcome")).into(201, &api.Grant{})
	for _, step := range []struct{ quantity, free, purchased, accrued int64 }{
		{1_000_000, 120_000, 5_000_000, 0},
		{1_000_000, 0, 4_240_000, 0},
		{5_000_000, 0, 0, 160_000},
	} {
		event := with(f.event(account, uuid.NewString()), object{"quantity": step.quantity})
		if answer := f.report(events(event)); answer.Accepted != 1 {
			t.Fatalf("%+v", answer)
		}
		view := f.billing(account)
		if view.FreeMicros != step.free || view.PurchasedMicros != step.purchased || view.AccruedMicros != step.accrued {
			t.Errorf("after %d: %d free, %d purchased, %d accrued", step.quantity, view.FreeMicros, view.PurchasedMicros, view.AccruedMicros)
		}
	}
}

// R11: an event counts once, by account and id, in one batch and over batches and
// months; another account's event of that id is another event.
func TestF40RepeatedUsageCountsOnce(t *testing.T) {
	f := open(t)
	account, other := f.funded(500), f.funded(500)
	event := f.event(account, "e")
	for n, c := range []struct {
		batch                object
		accepted, duplicates int
	}{
		{events(event, event), 1, 1},
		{events(event), 0, 1},
		{events(with(event, object{"at": f.clock.now().AddDate(0, -1, 0)})), 0, 1},
		{events(with(event, object{"sku": schnell, "quantity": 1}), with(event, object{"account_id": other}), with(event, object{"id": "f"})), 2, 1},
		{events(with(f.event(account, "late"), object{"at": f.clock.now().AddDate(0, -1, 0)}), f.event(account, "soon")), 2, 0},
		{events(f.event(account, "late"), with(event, object{"id": "soon"})), 0, 2},
	} {
		answer := f.report(c.batch)
		if answer.Accepted != c.accepted || answer.Duplicates != c.duplicates || len(answer.Rejected) > 0 {
			t.Errorf("batch %d: %+v", n+1, answer)
		}
	}
	if used := 5_000_000 - f.billing(account).PurchasedMicros; used != 4*880_000 {
		t.Errorf("used %d", used)
	}
}

// F38, F39: each event that is wrong is rejected with its reason, and costs the
// others nothing.
func TestF38PoisonedEventsAreSetAside(t *testing.T) {
	f := open(t)
	account := f.funded(500)
	good := f.event(account, "good")
	raw := func(field, value string) json.RawMessage {
		text, err := json.Marshal(with(good, object{field: "VALUE"}))
		done(t, err)
		return json.RawMessage(strings.Replace(string(text), `"VALUE"`, value, 1))
	}
	for name, c := range map[string]struct {
		event  any
		reason string
	}{
		"NaN":                   {"NaN", "invalid_quantity"},
		"infinity":              {"Infinity", "invalid_quantity"},
		"minus infinity":        {"-Infinity", "invalid_quantity"},
		"text":                  {raw("quantity", `"NaN"`), "invalid_quantity"},
		"no number":             {raw("quantity", `true`), "invalid_quantity"},
		"null":                  {raw("quantity", `null`), "invalid_quantity"},
		"negative":              {raw("quantity", `-1`), "negative_quantity"},
		"negative and large":    {raw("quantity", `-9223372036854775809`), "negative_quantity"},
		"fraction":              {raw("quantity", `0.5`), "invalid_quantity"},
		"1e308":                 {raw("quantity", `1e308`), "usage_too_large"},
		"1e999999999":           {raw("quantity", `1e999999999`), "usage_too_large"},
		"1e-400":                {raw("quantity", `1e-400`), "invalid_quantity"},
		"over an integer":       {raw("quantity", `9223372036854775808`), "usage_too_large"},
		"overflow of the price": {raw("quantity", `9223372036854775807`), "usage_too_large"},
		"over $100,000":         {raw("quantity", `113636363637`), "usage_too_large"},
		"unknown SKU":           {raw("sku", `"gpt"`), "unknown_sku"},
		"SKU of a number":       {raw("sku", `5`), "malformed_event"},
		"unknown account":       {raw("account_id", `"`+uuid.NewString()+`"`), "unknown_account"},
		"no account id":         {raw("account_id", `"acct_1"`), "unknown_account"},
		"no id":                 {raw("id", `""`), "invalid_id"},
		"long id":               {raw("id", `"`+strings.Repeat("x", 201)+`"`), "invalid_id"},
		"zero byte":             {raw("id", `"\u0000"`), "invalid_id"},
		"long resource":         {raw("resource", `"`+strings.Repeat("x", 201)+`"`), "invalid_resource"},
		"zero byte in resource": {raw("resource", `"\u0000"`), "invalid_resource"},
		"no time":               {raw("at", `"yesterday"`), "invalid_time"},
		"time without zone":     {raw("at", `"2026-11-03T14:05:00"`), "invalid_time"},
		"far future":            {raw("at", `"9999-12-31T23:59:59Z"`), "usage_in_the_future"},
		"near future":           {with(good, object{"at": f.clock.now().Add(6 * time.Minute)}), "usage_in_the_future"},
		"too old":               {with(good, object{"at": f.clock.now().AddDate(0, 0, -61)}), "usage_too_old"},
		"not an object":         {json.RawMessage(`7`), "malformed_event"},
		"null event":            {json.RawMessage(`null`), "malformed_event"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			before, err := json.Marshal(f.event(account, "before "+name))
			done(t, err)
			after, err := json.Marshal(f.event(account, "after \"NaN\" "+name))
			done(t, err)
			poison, isText := c.event.(string)
			if isText {
				poison = string(raw("quantity", poison))
			} else {
				text, err := json.Marshal(c.event)
				done(t, err)
				poison = string(text)
			}
			answer := f.report(fmt.Sprintf(`{"events":[%s,%s,%s]}`, before, poison, after))
			if answer.Accepted != 2 || len(answer.Rejected) != 1 || answer.Rejected[0].Index != 1 || answer.Rejected[0].Reason != c.reason ||
				answer.Rejected[0].Detail == "" {
				t.Errorf("%+v", answer)
			}
		})
	}
}

// Whole numbers count however they are written.
func TestWholeNumbersOfUsage(t *testing.T) {
	f := open(t)
	account := f.funded(500)
	for n, quantity := range []string{"1000000", "1e6", "1.0E+6", "1000000.000", "10000000e-1", `"1000000"`, "0"} {
		text, err := json.Marshal(with(f.event(account, fmt.Sprint(n)), object{"quantity": json.RawMessage("7777")}))
		done(t, err)
		answer := f.report(`{"events":[` + strings.Replace(string(text), "7777", quantity, 1) + `]}`)
		if answer.Accepted != 1 {
			t.Errorf("%s: %+v", quantity, answer)
		}
	}
	if used := 5_000_000 - f.billing(account).PurchasedMicros; used != 5_000_000 {
		t.Errorf("used %d, accrued %d", used, f.billing(account).AccruedMicros)
	}
	if accrued := f.billing(account).AccruedMicros; accrued != 6*880_000-5_000_000 {
		t.Errorf("accrued %d", accrued)
	}
}

func TestBatchesThatAreNone(t *testing.T) {
	f := open(t)
	many := make([]any, 5001)
	for i := range many {
		many[i] = object{"id": "x"}
	}
	for name, c := range map[string]struct {
		body   any
		status int
		code   string
	}{
		"no JSON":       {`{"events":[`, 400, "malformed_request"},
		"a list":        {`[]`, 400, "malformed_request"},
		"events a text": {`{"events":"x"}`, 400, "malformed_request"},
		"no events":     {`{}`, 422, "no_events"},
		"empty":         {`{"events":[]}`, 422, "no_events"},
		"too many":      {events(many...), 422, "too_many_events"},
		"too long":      {`{"events":["` + strings.Repeat("x", 8<<20) + `"]}`, 413, "body_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.call(models.RoleUsage, "POST", "/v1/usage", c.body).refused(c.status, c.code)
		})
	}
}

// R7, R8: at the limit use is blocked, and the entitlement says so to the gateways;
// credits or a higher limit open it again. The Limited tier may use nothing.
func TestF47UseIsBlockedAtTheLimit(t *testing.T) {
	f := open(t)
	account := f.funded(500)
	limit := func(cents int64) api.Limit {
		var limit api.Limit
		f.call(models.RoleCheckout, "PUT", "/v1/accounts/"+account+"/balance-limit", object{"limit_cents": cents}).into(200, &limit)
		return limit
	}
	admission := func() api.Admission {
		var a api.Admission
		f.call(models.RoleGateway, "GET", "/v1/accounts/"+account+"/admission", nil).into(200, &a)
		return a
	}
	if l := limit(200); l.LimitMicros != 2_000_000 || !l.Admitted {
		t.Errorf("%+v", l)
	}
	version := f.version(account)
	use := func(quantity int) api.UsageAnswer {
		return f.report(events(with(f.event(account, uuid.NewString()), object{"quantity": quantity})))
	}
	if a := use(7_500_000); a.Accepted != 1 || !admission().Admitted || f.version(account) != version {
		t.Errorf("under the limit: %+v %+v", a, admission())
	}
	if a := use(2_000_000); a.Accepted != 1 || admission() != (api.Admission{Reason: "limit_reached"}) || !f.billing(account).Blocked || f.version(account) != version+1 {
		t.Errorf("over the limit: %+v %+v", a, admission())
	}
	if a := use(1); len(a.Rejected) != 1 || a.Rejected[0].Reason != "limit_reached" {
		t.Errorf("blocked: %+v", a)
	}
	if l := limit(10_000); !l.Admitted || f.version(account) != version+2 || f.billing(account).Blocked {
		t.Errorf("limit raised: %+v", l)
	}
	if l := limit(0); l.Admitted || f.version(account) != version+3 {
		t.Errorf("limit lowered: %+v", l)
	}
	f.credited(f.buy(account, 500).ID, 500)
	if !admission().Admitted || f.version(account) != version+4 {
		t.Errorf("bought credits: %+v", admission())
	}
	limited := f.customer()
	if a := f.report(events(f.event(limited, "x"))); len(a.Rejected) != 1 || a.Rejected[0].Reason != "limited_tier" {
		t.Errorf("Limited: %+v", a)
	}
}

func (f *front) version(account string) int64 {
	f.t.Helper()
	state, err := f.store.Entitlement(f.t.Context(), account)
	done(f.t, err)
	return state.Version
}

// R7: support sets limits for tier 5, Scale and Enterprise alone.
func TestSupportLimits(t *testing.T) {
	f := open(t)
	account := f.funded(500)
	set := func(body object) answer {
		return f.call(models.RoleSupport, "POST", "/v1/support/accounts/"+account+"/limit", body)
	}
	set(object{"limit_cents": 100_000, "reason": "good customer"}).refused(409, "limit_is_fixed")
	set(object{"limit_cents": 100_000, "plan": "platinum", "reason": "x"}).refused(422, "invalid_request")
	set(object{"limit_cents": 100_000, "plan": "scale"}).refused(422, "reason_required")
	var limit api.Limit
	set(object{"limit_cents": 100_000, "plan": "scale", "reason": "agreed"}).into(200, &limit)
	if limit.LimitMicros != 1_000_000_000 || f.billing(account).LimitMicros != 1_000_000_000 || f.billing(account).Tier.Number != 5 {
		t.Errorf("%+v, %+v", limit, f.billing(account))
	}
	set(object{"plan": "build", "reason": "ended"}).into(200, &limit)
	if f.billing(account).LimitMicros != 100_000_000 || f.billing(account).Tier.Number != 1 {
		t.Errorf("%+v", f.billing(account))
	}
	var entries int
	done(t, f.db.QueryRow(t.Context(), `select count(*) from audit_log where action = 'set_limit'`).Scan(&entries))
	if entries != 2 {
		t.Errorf("%d audit entries", entries)
	}
}

// R46: the list says what a unit costs, exactly; usage is priced by the price that
// was in force at its time, however new the next one is.
func TestPrices(t *testing.T) {
	f := open(t)
	account := f.funded(500)
	f.report(events(f.event(account, "before")))
	from := f.clock.now().Add(10 * time.Second) // long enough for the statement that adds it
	_, err := f.store.AddPrice(t.Context(), models.Price{SKU: tokens, Unit: "token", PicosPerUnit: 1_000_000, FromAt: from}, models.AuditEntry{
		At: f.clock.now(), Actor: "test", Role: models.RoleFinance, Action: "add_price", Subject: tokens, Reason: "test",
	})
	done(t, err)
	answer := f.report(events(f.event(account, "old price"), with(f.event(account, "new price"), object{"at": from})))
	if answer.Accepted != 2 {
		t.Fatalf("%+v", answer)
	}
	if used := 5_000_000 - f.billing(account).PurchasedMicros; used != 2*880_000+1_000_000 {
		t.Errorf("used %d", used)
	}
	var list struct{ Prices []api.Price }
	f.call(models.RoleFinance, "GET", "/v1/prices", nil).into(200, &list)
	var found []string
	for _, p := range list.Prices {
		if p.SKU == tokens {
			found = append(found, p.MicrosPerUnit+" a "+p.Unit)
		}
	}
	if got := strings.Join(found, ", "); !strings.HasSuffix(got, "1 a token") {
		t.Errorf("got %s", got)
	}
}
