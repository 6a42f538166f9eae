package api_test

import (
	"strings"
	"testing"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/models"
)

func detailsPath(account string) string { return "/v1/support/accounts/" + account + "/details" }

func (f *front) details(account string, body object) api.Details {
	f.t.Helper()
	var d api.Details
	f.call(models.RoleSupport, "POST", detailsPath(account), body).into(200, &d)
	return d
}

// R42: support sets what the customer can't, with a reason, one thing at a time or
// all together; the audit log says what and not the values.
func TestR42SupportSetsDetails(t *testing.T) {
	f := open(t)
	account := f.customer()
	d := f.details(account, object{
		"organization_name": " Analytical Engines ", "invoice_email": "books@example.com", "business_details": "Register 7",
		"tax_id": object{"type": "xx_odd", "value": "no format"}, "reason": "ticket 1",
	})
	if *d.OrganizationName != "Analytical Engines" || *d.InvoiceEmail != "books@example.com" || *d.BusinessDetails != "Register 7" ||
		d.TaxID.Type != "xx_odd" || d.TaxID.Value != "no format" || d.Email != email {
		t.Fatalf("they are %+v", d)
	}
	d = f.details(account, object{"invoice_email": "", "reason": "ticket 2"})
	if d.InvoiceEmail != nil || d.OrganizationName == nil || d.TaxID == nil {
		t.Errorf("after taking one away: %+v", d)
	}
	held, err := f.store.Account(t.Context(), account)
	done(t, err)
	if held.InvoicesTo() != email {
		t.Errorf("invoices go to %s", held.InvoicesTo())
	}
	entries := f.audited(account)
	if len(entries) != 2 || entries[1].Action != "set_details" || entries[1].Reason != "ticket 1" || string(entries[0].Detail) != `{"changed":["invoice_email"]}` {
		t.Errorf("the audit log has %+v", entries)
	}
	for _, e := range entries {
		if strings.Contains(string(e.Detail), "books@") {
			t.Errorf("the audit log keeps an address: %s", e.Detail)
		}
	}
}

// The tax number that support set outlives the customer's and the card; without it
// the customer's own counts again.
func TestTaxIDOfSupportStands(t *testing.T) {
	f := open(t)
	account := f.account()
	f.call(models.RoleSupport, "POST", detailsPath(account), object{"tax_id": object{"type": "us_ein", "value": "odd"}, "reason": "r"}).
		refused(409, "address_required")
	f.putCard(account, with(cardBody("pm_card_visa"), object{"tax_id": object{"type": "eu_vat", "value": taxID}})).into(200, &api.Card{})
	f.details(account, object{"tax_id": object{"type": "us_ein", "value": "odd"}, "reason": "r"})
	f.putCard(account, with(cardBody("pm_card_mastercard"), object{"tax_id": object{"type": "eu_vat", "value": taxID}})).into(200, &api.Card{})
	var d api.Details
	f.call(models.RoleFinance, "GET", detailsPath(account), nil).into(200, &d)
	if d.TaxID == nil || d.TaxID.Value != "odd" {
		t.Errorf("support's tax ID became %+v", d.TaxID)
	}
	if d = f.details(account, object{"tax_id": object{"value": ""}, "reason": "r"}); d.TaxID == nil || d.TaxID.Value != taxID {
		t.Errorf("without support's it is %+v", d.TaxID)
	}
}

func TestDetailsRefused(t *testing.T) {
	f := open(t)
	account := f.customer()
	before := f.snapshot()
	for name, c := range map[string]struct {
		body object
		code string
	}{
		"no reason":         {object{"organization_name": "x"}, "reason_required"},
		"nothing":           {object{"reason": "r"}, "nothing_to_set"},
		"no address":        {object{"invoice_email": "nobody", "reason": "r"}, "invalid_email"},
		"two addresses":     {object{"invoice_email": "a@example.com, b@example.com", "reason": "r"}, "invalid_email"},
		"tax ID of no kind": {object{"tax_id": object{"value": "1"}, "reason": "r"}, "invalid_tax_id"},
		"zero byte":         {object{"business_details": "a\x00", "reason": "r"}, "invalid_text"},
		"unknown field":     {object{"email": "a@example.com", "reason": "r"}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.call(models.RoleSupport, "POST", detailsPath(account), c.body).refused(422, c.code)
			f.unchanged(before)
		})
	}
}
