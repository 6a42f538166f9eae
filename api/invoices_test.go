package api_test

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

var october = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

// usedInOctober counts two million tokens, for which the account had bought credits.
func (f *front) usedInOctober(account string) {
	f.t.Helper()
	prices, err := f.store.Prices(f.t.Context())
	done(f.t, err)
	list := billing.NewPriceList(prices)
	at := october.AddDate(0, 0, 9)
	price, ok := list.InForce("meta-llama/llama-3.3-70b.input", at)
	if !ok {
		f.t.Fatal("no price")
	}
	w := ledger.NewUsageWriter(f.store, billing.TierRules(), f.clock.now)
	defer w.Close()
	refused, err := w.Record(f.t.Context(), []models.UsageEvent{
		{AccountID: uuid.MustParse(account), ID: "e", At: at, PriceID: price.ID, Quantity: 2_000_001, Resource: "team-1"},
	}, list.Newest())
	done(f.t, err)
	if len(refused) > 0 {
		f.t.Fatalf("refused: %v", refused)
	}
}

// document checks that an answer is a PDF to keep under that name, and gives it.
func (a answer) document(name string) []byte {
	a.t.Helper()
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/pdf" || !bytes.HasPrefix(a.body, []byte("%PDF-")) ||
		a.header.Get("Content-Disposition") != `attachment; filename="`+name+`.pdf"` {
		a.t.Fatalf("answered %d %v %.200s", a.status, a.header, a.body)
	}
	return a.body
}

// R31, R45: all invoices, and what is used now, can be seen and downloaded.
func TestR45InvoicesAreSeenAndDownloaded(t *testing.T) {
	t.Parallel()
	f := open(t)
	account := f.bought(500)
	f.usedInOctober(account)
	at := "/v1/accounts/" + account + "/invoices"

	var current api.CurrentInvoice
	f.call(models.RoleCheckout, "GET", at+"/current", nil).into(200, &current)
	if len(current.Lines) != 1 || current.Lines[0].Quantity != "2000001" || current.Lines[0].Model != "meta-llama/llama-3.3-70b" || current.Lines[0].Period != "2026-10" ||
		current.UsageMicros != current.Lines[0].Micros || current.UsageMicros != current.PurchasedMicros || current.AccruedMicros != 0 || current.More {
		t.Errorf("current: %+v", current)
	}
	f.call(models.RoleCheckout, "GET", at+"/current/pdf", nil).document("usage-" + billing.PeriodText(billing.PeriodOf(f.clock.now())))

	issued, err := f.store.CloseAccountMonth(t.Context(), account, october, billing.LeastChargeCents, billing.TierRules(), f.clock.now())
	done(t, err)
	if issued != 1 {
		t.Fatalf("%d invoices", issued)
	}
	var list struct {
		Invoices []api.Invoice
		Next     string
	}
	f.call(models.RoleFinance, "GET", at, nil).into(200, &list)
	if len(list.Invoices) != 2 || list.Next != "" {
		t.Fatalf("listed: %+v", list)
	}
	for _, listed := range list.Invoices {
		var whole api.InvoiceWhole
		f.call(models.RoleCheckout, "GET", "/v1/invoices/"+listed.ID, nil).into(200, &whole)
		monthly := listed.Kind == models.InvoiceOfMonth
		if whole.Number != listed.Number || (len(whole.Lines) == 1) != monthly || whole.Next != nil || whole.CreditNote != nil ||
			monthly && (whole.Month.Period != "2026-10" || whole.Lines[0] != current.Lines[0] || whole.Status != "paid") {
			t.Errorf("%+v", whole)
		}
		first := f.call(models.RoleCheckout, "GET", "/v1/invoices/"+listed.ID+"/pdf", nil).document("invoice-" + listed.Number)
		if again := f.call(models.RoleFinance, "GET", "/v1/invoices/"+listed.ID+"/pdf", nil).document("invoice-" + listed.Number); !bytes.Equal(first, again) {
			t.Errorf("%s is another document the second time", listed.Kind)
		}
		var behind struct{ Lines []api.InvoiceLine }
		f.call(models.RoleCheckout, "GET", "/v1/invoices/"+listed.ID+"?after=1", nil).into(200, &behind)
		if len(behind.Lines) != 0 {
			t.Errorf("behind the last line: %v", behind.Lines)
		}
	}
	f.call(models.RoleCheckout, "GET", at+"?before="+list.Invoices[0].ID, nil).into(200, &list)
	if len(list.Invoices) != 1 {
		t.Errorf("behind the newest: %+v", list)
	}
	f.call(models.RoleCheckout, "GET", at+"?before=yesterday", nil).refused(422, "invalid_before")
	f.call(models.RoleCheckout, "GET", at+"/current", nil).into(200, &current)
	if len(current.Lines) != 0 || current.UsageMicros != 0 {
		t.Errorf("after the month was invoiced: %+v", current)
	}
}

// R45: a void invoice shows what took it back; a company that moves changes no document.
func TestVoidInvoiceShowsItsCreditNote(t *testing.T) {
	t.Parallel()
	f := open(t)
	account := f.bought(500)
	f.usedInOctober(account)
	_, err := f.db.Exec(t.Context(), `select from usage_charge('usage', 'more', array[$1::uuid], array[9000000000000], $2, $3, now())`,
		account, billing.TierRules().Thresholds, billing.TierRules().Limits)
	done(t, err)
	_, err = f.db.Exec(t.Context(), `update usage_totals set picos = picos + 9000000000000`)
	done(t, err)
	_, err = f.store.CloseAccountMonth(t.Context(), account, october, billing.LeastChargeCents, billing.TierRules(), f.clock.now())
	done(t, err)
	id := scan[string](f, `select id::text from invoices where kind = 'monthly'`)
	number := scan[string](f, `select number from invoices where kind = 'monthly'`)
	path := "/v1/invoices/" + id
	issued := f.call(models.RoleFinance, "GET", path+"/pdf", nil).document("invoice-" + number)
	done(t, f.store.NoteSeller(t.Context(), models.Seller{Name: "Acme, elsewhere"}))
	if !bytes.Equal(issued, f.call(models.RoleFinance, "GET", path+"/pdf", nil).document("invoice-"+number)) {
		t.Error("a company that moved changed an invoice of before")
	}
	f.settleInvoice(id, models.InvoiceVoid)
	var whole api.InvoiceWhole
	f.call(models.RoleCheckout, "GET", path, nil).into(200, &whole)
	if whole.Status != "void" || whole.CreditNote == nil || whole.CreditNote.AmountMicros != whole.TotalMicros || whole.CreditNote.Number == "" {
		t.Errorf("%+v", whole)
	}
	if bytes.Equal(issued, f.call(models.RoleCheckout, "GET", path+"/pdf", nil).document("invoice-"+number)) {
		t.Error("the document does not say that it is void")
	}
}

// Finance takes a month away as CSV that a spreadsheet reads and does not run.
func TestExportOfInvoices(t *testing.T) {
	t.Parallel()
	f := open(t)
	names := []string{"=HYPERLINK(\"http://evil.example\")", "+1", "-1", "@SUM(A1)", "\tx", " =1", "O'Neill, \"Ada\"\nInc", "Ada"}
	for _, name := range names {
		account := f.bought(500)
		_, err := f.db.Exec(t.Context(), `update accounts set name = $2 where id = $1`, account, name)
		done(t, err)
		f.usedInOctober(account)
		_, err = f.store.CloseAccountMonth(t.Context(), account, october, billing.LeastChargeCents, billing.TierRules(), f.clock.now())
		done(t, err)
	}
	got := f.call(models.RoleFinance, "GET", "/v1/finance/invoices.csv?period=2026-10", nil)
	if got.status != 200 || got.header.Get("Content-Type") != "text/csv; charset=utf-8; header=present" ||
		got.header.Get("Content-Disposition") != `attachment; filename="invoices-2026-10.csv"` {
		t.Fatalf("answered %d %v", got.status, got.header)
	}
	if n := strings.Count(string(got.body), "\r\n"); n != len(names)+2 { // a header, and a name of two lines
		t.Errorf("%d lines", n)
	}
	rows, err := csv.NewReader(bytes.NewReader(got.body)).ReadAll()
	done(t, err)
	if len(rows) != len(names)+1 {
		t.Fatalf("%d rows", len(rows))
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	wanted := map[string]bool{}
	for _, name := range names {
		if strings.Contains("=+-@\t", strings.TrimLeft(name, " ")[:1]) {
			name = "'" + name
		}
		wanted[name] = true
	}
	for _, row := range rows[1:] {
		name := row[column["name"]]
		if !wanted[name] {
			t.Errorf("%q is not as it should be", name)
		}
		delete(wanted, name)
		if row[column["kind"]] != "monthly" || row[column["period"]] != "2026-10" || row[column["status"]] != "paid" || row[column["total_usd"]] != "0.00" ||
			row[column["usage_usd"]] != row[column["purchased_credits_usd"]] || row[column["country"]] != "US" {
			t.Errorf("row %q", row)
		}
	}
	bought := f.call(models.RoleFinance, "GET", "/v1/finance/invoices.csv?period="+billing.PeriodText(billing.PeriodOf(f.clock.now())), nil)
	if n := strings.Count(string(bought.body), ",purchase,"); n != len(names) {
		t.Errorf("%d purchases", n)
	}
	f.call(models.RoleFinance, "GET", "/v1/finance/invoices.csv?period=October", nil).refused(422, "invalid_period")
	f.call(models.RoleFinance, "GET", "/v1/finance/invoices.csv", nil).refused(422, "invalid_request")
	f.call(models.RoleCheckout, "GET", "/v1/finance/invoices.csv?period=2026-10", nil).refused(403, "wrong_role")
}
