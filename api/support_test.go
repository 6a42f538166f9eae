package api_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/sim"
)

// paid makes a purchase that Stripe holds the money of, and that is credited.
func (f *front) paid(account string, cents int64) api.Purchase {
	f.t.Helper()
	p := f.buy(account, cents)
	intent := f.pay(p.ID)
	f.begin(p.ID)
	f.bankSays(p.ID, approvedAs(intent, cents))
	f.invoice(p.ID)
	f.credit(p.ID)
	return p
}

func syncBody(at time.Time, change object) object {
	return with(object{"email": email, "purchased_at": at.Format(time.RFC3339), "reason": "ticket 7"}, change)
}

func (f *front) sync(body any) answer {
	f.t.Helper()
	return f.call(models.RoleSupport, "POST", "/v1/support/tier-sync", body)
}

func (f *front) synced(body any) api.TierSync {
	f.t.Helper()
	var out api.TierSync
	f.sync(body).into(200, &out)
	return out
}

// R23: support finds a purchase by what its customer can tell: the address, however
// it is spelled, and about the time, in whatever zone.
func TestTierSyncFindsThePurchase(t *testing.T) {
	f := open(t)
	account := f.customer()
	p := f.paid(account, 2500)
	at := f.clock.now()
	pacific := time.FixedZone("PST", -8*60*60)
	for name, body := range map[string]object{
		"exactly":            syncBody(at, nil),
		"in another zone":    syncBody(at.In(pacific), nil),
		"in capital letters": syncBody(at, object{"email": strings.ToUpper(email)}),
		"hours before":       syncBody(at.Add(-23*time.Hour), nil),
		"hours after":        syncBody(at.Add(23*time.Hour), nil),
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			out := f.synced(with(body, object{"dry_run": true}))
			if out.Purchase.ID != p.ID || !out.Evidence.Verified || !out.Evidence.Credited || out.Evidence.State != "approved" ||
				out.Evidence.CapturedCents != 2500 || !strings.HasPrefix(out.Evidence.PaymentIntent, "pi_") {
				t.Errorf("found %+v", out)
			}
		})
	}
	for name, body := range map[string]object{
		"another address": syncBody(at, object{"email": "someone@example.com"}),
		"days before":     syncBody(at.Add(-25*time.Hour), nil),
		"days after":      syncBody(at.Add(25*time.Hour), nil),
		// The hour is right, the zone is not.
		"another zone": syncBody(time.Date(at.Year(), at.Month(), at.Day()+1, at.Hour(), at.Minute(), 0, 0, pacific), nil),
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.sync(body).refused(404, "purchase_not_found")
		})
	}
}

func TestTierSyncChoosesTheNearest(t *testing.T) {
	f := open(t)
	account := f.customer()
	first := f.paid(account, 2500)
	f.clock.advance(2 * time.Hour)
	second := f.paid(account, 2500)
	f.clock.advance(2 * time.Hour)
	third := f.paid(f.customer(), 2500) // another account of that address
	out := f.synced(syncBody(second.CreatedAt.Add(30*time.Minute), object{"dry_run": true}))
	if out.Purchase.ID != second.ID || !slices.Equal(out.Candidates, []string{third.ID, first.ID}) {
		t.Errorf("chose %s and named %v; want %s, and %s and %s", out.Purchase.ID, out.Candidates, second.ID, third.ID, first.ID)
	}
}

func TestBadTierSyncs(t *testing.T) {
	f := open(t)
	f.paid(f.customer(), 2500)
	now := f.clock.now()
	before := f.snapshot()
	for name, c := range map[string]struct {
		change object
		code   string
	}{
		"no zone":       {object{"purchased_at": now.Format("2006-01-02T15:04:05")}, "invalid_time"},
		"only a date":   {object{"purchased_at": now.Format(time.DateOnly)}, "invalid_time"},
		"words":         {object{"purchased_at": "yesterday"}, "invalid_time"},
		"a number":      {object{"purchased_at": now.Unix()}, "invalid_time"},
		"null":          {object{"purchased_at": nil}, "invalid_time"},
		"no reason":     {object{"reason": ""}, "reason_required"},
		"long reason":   {object{"reason": strings.Repeat("r", 2001)}, "reason_required"},
		"zero byte":     {object{"reason": "a\x00"}, "invalid_text"},
		"no email":      {object{"email": ""}, "invalid_request"},
		"unknown field": {object{"force": true}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.sync(syncBody(now, c.change)).refused(422, c.code)
			f.unchanged(before)
		})
	}
	for _, field := range []string{"purchased_at", "reason"} {
		t.Run(field+" left out", func(t *testing.T) {
			f.t = t
			body := syncBody(now, nil)
			delete(body, field)
			f.sync(body).refused(422, map[string]string{"purchased_at": "invalid_time", "reason": "reason_required"}[field])
			f.unchanged(before)
		})
	}
}

// A dry run shows what would change, with the evidence, and changes nothing.
func TestTierSyncDryRunChangesNothing(t *testing.T) {
	f := open(t)
	p := f.paid(f.customer(), 2500)
	f.acknowledge(p.AccountID, gatewayA, 1)
	before, starts := f.snapshot(), len(f.temporal.Calls)
	out := f.synced(syncBody(p.CreatedAt, object{"dry_run": true}))
	if !out.DryRun || out.Pushed || out.Purchase.Status != "pending" {
		t.Errorf("it is %+v", out)
	}
	if tier := (api.SyncedTier{Number: 1, Name: "Build Tier 1", Version: 1}); out.TierBefore != tier || out.TierAfter != tier {
		t.Errorf("the tier goes from %+v to %+v", out.TierBefore, out.TierAfter)
	}
	if len(out.Gateways) != 2 || out.Gateways[0].Version != 1 || out.Gateways[1].Version != 0 || out.Gateways[1].NeededVersion != 1 {
		t.Errorf("the gateways are %+v", out.Gateways)
	}
	f.unchanged(before)
	if len(f.temporal.Calls) != starts {
		t.Error("a dry run spoke to Temporal")
	}
}

// The real run asks for a push to every gateway, wakes the purchase, and writes down
// who did it and why.
func TestTierSyncPushesAndIsAudited(t *testing.T) {
	f := open(t)
	p := f.paid(f.customer(), 2500)
	out := f.synced(syncBody(p.CreatedAt, nil))
	if out.DryRun || !out.Pushed {
		t.Errorf("it is %+v", out)
	}
	for _, kind := range []string{"force_sync " + p.AccountID, "payment_changed " + p.ID} {
		if scan[int64](f, "select count(*) from outbox where kind || ' ' || subject = $1", kind) != 1 {
			t.Errorf("the outbox lacks %s", kind)
		}
	}
	entry := f.audited(p.AccountID)[0]
	var detail struct {
		PaymentIntent string `json:"payment_intent"`
		TierBefore    *int   `json:"tier_before"`
		TierAfter     *int   `json:"tier_after"`
	}
	done(t, json.Unmarshal(entry.Detail, &detail))
	if entry.Action != "tier_sync" || entry.Role != "support" || !strings.HasPrefix(entry.Actor, "a test's support (") ||
		entry.Reason != "ticket 7" || entry.Subject != "purchase/"+p.ID || time.Since(entry.At).Abs() > time.Minute ||
		detail.PaymentIntent != out.Evidence.PaymentIntent || *detail.TierBefore != 1 || *detail.TierAfter != 1 {
		t.Errorf("the audit log says %+v %s", entry, entry.Detail)
	}
}

// audited are the audit entries of an account, newest first.
func (f *front) audited(account string) []api.AuditEntry {
	f.t.Helper()
	var log struct{ Entries []api.AuditEntry }
	f.call(models.RoleFinance, "GET", "/v1/support/accounts/"+account+"/audit", nil).into(200, &log)
	return log.Entries
}

// No tier is pushed for money that Stripe does not hold; a dry run shows why.
func TestTierSyncOfAnUnverifiedPayment(t *testing.T) {
	for name, c := range map[string]struct {
		card  string
		pay   bool
		state string
	}{
		"never charged": {"pm_card_visa", false, "absent"},
		"declined":      {"pm_card_chargeCustomerFail", true, "declined"},
		"processing":    {"pm_sim_processing", true, "processing"},
		"asked":         {"pm_card_authenticationRequiredSetupForOffSession", true, "requires_action"},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			account := f.account()
			f.putCard(account, cardBody(c.card)).into(200, &api.Card{})
			p := f.buy(account, 2500)
			f.begin(p.ID)
			if c.pay {
				f.pay(p.ID)
			}
			before := f.snapshot()
			problem := f.sync(syncBody(p.CreatedAt, nil)).refused(409, "payment_not_verified")
			if !strings.Contains(problem.Detail, c.state) {
				t.Errorf("it says %s", problem.Detail)
			}
			out := f.synced(syncBody(p.CreatedAt, object{"dry_run": true}))
			if out.Evidence.Verified || out.Evidence.Credited || out.Evidence.State != c.state || out.TierAfter.Number != 0 {
				t.Errorf("the evidence is %+v", out.Evidence)
			}
			f.unchanged(before)
		})
	}
}

// I3: Stripe holds money for a purchase that ended without it. No tier is pushed for
// it; a person is told, once.
func TestTierSyncOfACaptureThatWasNeverCredited(t *testing.T) {
	f := open(t)
	p := f.buy(f.customer(), 2500)
	f.pay(p.ID)
	f.begin(p.ID)
	f.bankSays(p.ID, ledger.BankAnswer{State: models.BankCanceled})
	outbox := f.snapshot()["outbox"]
	for range 2 {
		problem := f.sync(syncBody(p.CreatedAt, nil)).refused(409, "capture_in_review")
		if !strings.Contains(problem.Detail, "Refund it") {
			t.Errorf("it says %s", problem.Detail)
		}
	}
	if got := scan[string](f, "select string_agg(kind || ' ' || subject, ',') from alerts"); got != "capture_in_review purchase/"+p.ID {
		t.Errorf("the alerts are %s", got)
	}
	if f.snapshot()["outbox"] != outbox {
		t.Error("somebody is told to push")
	}
	if out := f.synced(syncBody(p.CreatedAt, object{"dry_run": true})); !out.Evidence.Verified || out.Evidence.Credited {
		t.Errorf("the evidence is %+v", out.Evidence)
	}
}

// A purchase that may have been paid comes before a nearer one that was declined.
func TestTierSyncPassesOverADeclinedPurchase(t *testing.T) {
	f := open(t)
	account := f.customer()
	paid := f.paid(account, 2500)
	f.clock.advance(time.Hour)
	declined := f.buy(account, 2500)
	f.begin(declined.ID)
	f.bankSays(declined.ID, ledger.BankAnswer{State: models.BankDeclined, DeclineCode: "insufficient_funds", DeclineKnown: true})
	out := f.synced(syncBody(declined.CreatedAt, object{"dry_run": true}))
	if out.Purchase.ID != paid.ID || !slices.Equal(out.Candidates, []string{declined.ID}) {
		t.Errorf("chose %s and named %v", out.Purchase.ID, out.Candidates)
	}
}

func TestTierSyncWithoutStripe(t *testing.T) {
	f := open(t)
	p := f.paid(f.customer(), 2500)
	before := f.snapshot()
	done(t, f.stripe.OrderFault(sim.Fault{Method: "GET", Path: "/v1/payment_intents/*", Kind: sim.FaultErrorBefore}))
	f.sync(syncBody(p.CreatedAt, nil)).refused(503, "stripe_unavailable")
	f.unchanged(before)
}

func (f *front) grant(account, key string, cents int64, reason string) answer {
	f.t.Helper()
	return f.call(models.RoleSupport, "POST", "/v1/support/accounts/"+account+"/credits",
		object{"amount_cents": cents, "reason": reason}, idempotencyKey(key))
}

// R4: a grant is posted once for its key, with one audit entry; it pays for usage and
// counts to no tier.
func TestGrantedCredits(t *testing.T) {
	f := open(t)
	account := f.account()
	var first api.Grant
	f.grant(account, "k1", 500, "sorry").into(201, &first)
	if first.AmountCents != 500 || first.FreeMicros != 5_000_000 || first.TransactionID == 0 {
		t.Errorf("granted %+v", first)
	}
	before := f.snapshot()
	var repeats sync.WaitGroup
	for range 10 {
		repeats.Go(func() {
			var again api.Grant
			f.grant(account, "k1", 500, "sorry").into(201, &again)
			if again != first {
				t.Errorf("a repeat answers %+v", again)
			}
		})
	}
	repeats.Wait()
	// The same account, spelled another way, is the same account.
	var again api.Grant
	f.grant(strings.ToUpper(account), "k1", 500, "sorry").into(201, &again)
	if again != first {
		t.Errorf("a repeat answers %+v", again)
	}
	f.grant(account, "k1", 600, "sorry").refused(409, "idempotency_mismatch")
	f.unchanged(before)
	f.grant(account, "k2", 250, "again").into(201, &again)
	if again.FreeMicros != 7_500_000 {
		t.Errorf("the second grant answers %+v", again)
	}
	view := f.billing(account)
	if view.FreeMicros != 7_500_000 || view.BalanceMicros != 7_500_000 || view.Tier.Number != 0 || view.Tier.LifetimeSpendMicros != 0 {
		t.Errorf("the account holds %+v", view)
	}
	entries := f.audited(account)
	if len(entries) != 2 || entries[1].Action != "grant_credits" || entries[1].Reason != "sorry" || entries[1].Subject != "account/"+account ||
		!strings.Contains(string(entries[1].Detail), "500") || entries[0].Reason != "again" {
		t.Errorf("the audit log is %+v", entries)
	}
}

func TestBadGrants(t *testing.T) {
	f := open(t)
	account := f.account()
	before := f.snapshot()
	for name, c := range map[string]struct {
		body object
		code string
	}{
		"nothing":       {object{"amount_cents": 0, "reason": "r"}, "invalid_amount"},
		"negative":      {object{"amount_cents": -1, "reason": "r"}, "invalid_amount"},
		"too much":      {object{"amount_cents": 100_000_001, "reason": "r"}, "invalid_amount"},
		"fractional":    {object{"amount_cents": 5.5, "reason": "r"}, "invalid_amount"},
		"no amount":     {object{"reason": "r"}, "invalid_amount"},
		"no reason":     {object{"amount_cents": 500}, "reason_required"},
		"empty reason":  {object{"amount_cents": 500, "reason": ""}, "reason_required"},
		"zero byte":     {object{"amount_cents": 500, "reason": "\x00"}, "invalid_text"},
		"unknown field": {object{"amount_cents": 500, "reason": "r", "paid": true}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.call(models.RoleSupport, "POST", "/v1/support/accounts/"+account+"/credits", c.body, idempotencyKey("k")).refused(422, c.code)
			f.unchanged(before)
		})
	}
	for name, key := range map[string]string{"no key": "", "over-long key": strings.Repeat("k", 201)} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.grant(account, key, 500, "r").refused(422, "idempotency_key_required")
			f.unchanged(before)
		})
	}
}

// Alerts are listed oldest first until somebody says what was done.
func TestAlertsAreListedAndResolved(t *testing.T) {
	f := open(t)
	account := f.account()
	for _, subject := range []string{"purchase/1", "purchase/2"} {
		done(t, f.store.RaiseAlert(t.Context(), models.Alert{
			Kind: models.AlertPurchaseOverdue, Subject: subject, AccountID: &account, Detail: "Paid and stuck.", RaisedAt: f.clock.now(),
		}))
		f.clock.advance(time.Minute)
	}
	list := func() []api.Alert {
		var open struct{ Alerts []api.Alert }
		f.call(models.RoleSupport, "GET", "/v1/support/alerts", nil).into(200, &open)
		return open.Alerts
	}
	open := list()
	if len(open) != 2 || open[0].Subject != "purchase/1" || open[1].Subject != "purchase/2" || open[0].Kind != "purchase_overdue" ||
		*open[0].AccountID != account || open[0].Detail != "Paid and stuck." {
		t.Fatalf("the alerts are %+v", open)
	}
	resolve := func(id string, body any) answer {
		return f.call(models.RoleSupport, "POST", "/v1/support/alerts/"+id+"/resolve", body)
	}
	why, id := object{"reason": "pushed by hand"}, scan[string](f, "select min(id)::text from alerts")
	before := f.snapshot()
	resolve(id, object{"reason": ""}).refused(422, "reason_required")
	resolve(id, object{}).refused(422, "reason_required")
	resolve("999", why).refused(404, "not_found")
	resolve("one", why).refused(422, "invalid_request")
	f.unchanged(before)

	var closed api.Alert
	resolve(id, why).into(200, &closed)
	if closed.Subject != "purchase/1" {
		t.Errorf("closed %+v", closed)
	}
	resolve(id, why).refused(404, "not_found")
	if left := list(); len(left) != 1 || left[0].Subject != "purchase/2" {
		t.Errorf("left are %+v", left)
	}
	entries := f.audited(account)
	if len(entries) != 1 || entries[0].Action != "resolve_alert" || entries[0].Reason != "pushed by hand" || entries[0].Subject != "purchase/1" {
		t.Errorf("the audit log is %+v", entries)
	}
}

func TestAuditLogOfNobody(t *testing.T) {
	f := open(t)
	if entries := f.audited(f.account()); entries == nil || len(entries) != 0 {
		t.Errorf("a new account's audit log is %v", entries)
	}
	f.call(models.RoleSupport, "GET", "/v1/support/accounts/"+uuid.NewString()+"/audit", nil).refused(404, "not_found")
}
