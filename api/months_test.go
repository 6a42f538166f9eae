package api_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/mocks"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

// owesOf has an account owe so many micro-dollars for what it used in a month.
func (f *front) owesOf(account string, month time.Time, micros int64) {
	f.t.Helper()
	rules := billing.TierRules()
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{`update accounts set created_at = $2 where id = $1`, []any{account, month}},
		{`insert into usage_totals (account_id, invoice_period, period, price_id, resource, events, quantity, picos)
			values ($1, $2, $2, 1, '', 1, 1, $3::numeric * 1000000)`, []any{account, month, micros}},
		{`select usage_charge('usage', 'test', array[$1::uuid], array[$2::numeric * 1000000], $3, $4, now())`, []any{account, micros, rules.Thresholds, rules.Limits}},
	} {
		_, err := f.db.Exec(f.t.Context(), step.sql, step.args...)
		done(f.t, err)
	}
}

func (f *front) run(body object) answer {
	f.t.Helper()
	return f.call(models.RoleFinance, "POST", "/v1/finance/monthly", body)
}

// closePages does what the workflow of a month does.
func (f *front) closePages(month time.Time) {
	f.t.Helper()
	c, err := f.store.MonthlyClose(f.t.Context(), month)
	done(f.t, err)
	for page := c.FirstOpen; page < c.Pages; page++ {
		_, err := f.store.CloseMonthlyPage(f.t.Context(), month, c.Round, page, billing.LeastChargeCents, billing.TierRules(), f.clock.now())
		done(f.t, err)
	}
	_, err = f.store.FinishMonthlyClose(f.t.Context(), month, f.clock.now())
	done(f.t, err)
}

// R29, R52: finance closes a month by hand, once, with who and why in the audit log.
func TestFinanceClosesAMonth(t *testing.T) {
	f := open(t)
	month := billing.LastDueMonth(f.clock.now())
	period := billing.PeriodText(month)
	account := f.bought(500)
	f.owesOf(account, month, 7_500_000)
	f.run(object{"period": "october", "reason": "r"}).refused(422, "invalid_period")
	f.run(object{"period": billing.PeriodText(f.clock.now()), "reason": "r"}).refused(409, "month_not_over")
	f.run(object{"period": period}).refused(422, "reason_required")
	before := f.account()
	f.owesOf(before, month.AddDate(0, -1, 0), 1)
	f.run(object{"period": period, "reason": "r"}).refused(409, "months_in_order")
	_, err := f.db.Exec(t.Context(), `update accounts set created_at = $2 where id = $1`, before, month)
	done(t, err)
	f.call(models.RoleFinance, "GET", "/v1/finance/monthly/"+period, nil).refused(404, "not_found")
	f.call(models.RoleFinance, "GET", "/v1/finance/monthly/"+period+"/report", nil).refused(404, "not_found")

	started := f.starts()
	var ran struct{ Month api.Month }
	f.run(object{"period": period, "reason": "the schedule is broken"}).into(202, &ran)
	if ran.Month.State != "closing" || ran.Month.Accounts != 2 || f.starts() != started+1 {
		t.Errorf("%+v, %d starts", ran.Month, f.starts()-started)
	}
	f.closePages(month)
	f.run(object{"period": period, "reason": "once more"}).into(202, &ran)
	if ran.Month.State != "closed" || ran.Month.Round != 1 || ran.Month.Invoices != 2 || ran.Month.Owing != 1 || ran.Month.DueMicros != 2_500_000 {
		t.Errorf("%+v", ran.Month)
	}
	f.run(object{"period": period, "reason": "a late report", "backfill": true}).into(202, &ran)
	if ran.Month.State != "closing" || ran.Month.Round != 2 {
		t.Errorf("%+v", ran.Month)
	}
	f.closePages(month)
	var list struct {
		Months []api.Month
		Open   []string
	}
	f.call(models.RoleFinance, "GET", "/v1/finance/monthly", nil).into(200, &list)
	if len(list.Months) != 1 || list.Months[0].Invoices != 2 || len(list.Open) != 0 {
		t.Errorf("%+v", list)
	}
	got := scan[string](f, `select string_agg(action || ' ' || subject || ' ' || role || ': ' || reason, '; ' order by id) from audit_log where action like '%month'`)
	want := "run_month month/" + period + " finance: the schedule is broken; run_month month/" + period + " finance: once more; backfill_month month/" + period + " finance: a late report"
	if got != want {
		t.Errorf("audit log: %s", got)
	}
}

// One account is closed alone, and the report of a month sums to the ledger whatever
// became of its invoices.
func TestMonthOfOneAccountAndItsReport(t *testing.T) {
	f := open(t)
	month := billing.LastDueMonth(f.clock.now())
	period := billing.PeriodText(month)
	var invoices []string
	for n := range int64(4) {
		account := f.bought(500)
		f.owesOf(account, month, 6_000_000+n*1_000_000)
		for range 2 {
			var ran struct{ Account api.AccountMonth }
			f.run(object{"period": period, "account_id": account, "reason": "asked for"}).into(202, &ran)
			if entries := f.audited(account); entries[0].Action != "run_month" || entries[0].Reason != "asked for" {
				t.Errorf("audit log: %+v", entries[0])
			}
		}
		listed, err := f.store.Invoices(t.Context(), account)
		done(t, err)
		if len(listed) != 2 || listed[0].Kind != models.InvoiceOfMonth {
			t.Fatalf("%d invoices", len(listed))
		}
		invoices = append(invoices, listed[0].ID)
	}
	for id, status := range map[string]models.InvoiceStatus{
		invoices[1]: models.InvoicePastDue, invoices[2]: models.InvoiceVoid, invoices[3]: models.InvoiceUncollectible,
	} {
		f.settleInvoice(id, status)
	}
	var r api.MonthReport
	f.call(models.RoleFinance, "GET", "/v1/finance/monthly/"+period+"/report", nil).into(200, &r)
	sum := func(dollars int64) api.Sum { return api.Sum{Invoices: 1, Micros: dollars * dollar} }
	if r.Invoiced != (api.Sum{Invoices: 4, Micros: 10 * dollar}) || r.Open != sum(1) || r.PastDue != sum(2) || r.Void != sum(3) || r.Uncollectible != sum(4) ||
		!r.Agrees || r.UsageMicros != 30*dollar || r.PurchasedMicros != 20*dollar || r.Ledger.InvoicedMicros != 10*dollar ||
		r.Ledger.VoidMicros != 3*dollar || r.Ledger.UncollectibleMicros != 4*dollar || len(r.Reasons) != 2 {
		t.Errorf("%+v", r)
	}
	var invoice api.Invoice
	f.call(models.RoleFinance, "GET", "/v1/invoices/"+invoices[0], nil).into(200, &invoice)
	if invoice.Month == nil || invoice.Month.Period != period || invoice.Month.DueCents != 100 || invoice.Status != "open" {
		t.Errorf("%+v", invoice)
	}
}

// settleInvoice has an unpaid invoice become past due, or support write it off.
func (f *front) settleInvoice(id string, status models.InvoiceStatus) {
	f.t.Helper()
	if status == models.InvoicePastDue {
		rules := billing.TierRules()
		_, err := f.db.Exec(f.t.Context(), `select invoice_settle($1, 'past_due', null, $2, $3, $4)`, id, rules.Thresholds, rules.Limits, f.clock.now())
		done(f.t, err)
		return
	}
	var written struct{ Status models.InvoiceStatus }
	f.call(models.RoleSupport, "POST", "/v1/support/invoices/"+id+"/"+string(status), object{"reason": "why " + string(status)}).into(200, &written)
	if written.Status != status {
		f.t.Fatalf("invoice %s is %s, want %s", id, written.Status, status)
	}
}

// A month that was asked for is not lost when Temporal is away: it is planned.
func TestMonthIsAskedForWithoutTemporal(t *testing.T) {
	temporal := &mocks.Client{}
	temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, errors.New("away"))
	f := openWith(t, temporal)
	month := billing.LastDueMonth(f.clock.now())
	f.owesOf(f.account(), month, 1_000_000)
	f.run(object{"period": billing.PeriodText(month), "reason": "r"}).refused(503, "unavailable")
	var m api.Month
	f.call(models.RoleFinance, "GET", "/v1/finance/monthly/"+billing.PeriodText(month), nil).into(200, &m)
	if m.State != "closing" {
		t.Errorf("%+v", m)
	}
}
