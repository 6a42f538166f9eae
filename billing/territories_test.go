package billing_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/paystage/paystage/billing"
)

// The members of the European Economic Area, https://www.efta.int/eea, and what else
// the table must name; written down apart from the table.
var eea = []string{
	"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT",
	"LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
}

// R36: India approves each charge unless a mandate covers it; the EEA, its parts and
// the UK when the bank asks; nobody else.
func TestR36Territories(t *testing.T) {
	parts := []string{"AX", "GB", "GF", "GP", "MF", "MQ", "RE", "YT"}
	var codes []string
	for _, row := range billing.Territories() {
		codes = append(codes, row.Code)
		if billing.TerritoryRule(row.Code).Code != row.Code || billing.TerritoryRule(" "+strings.ToLower(row.Code)).Code != row.Code {
			t.Errorf("%s is not found", row.Code)
		}
		if row.Source == "" {
			t.Errorf("%s has no source", row.Code)
		}
		if row.Code != "IN" && (row.Approval != billing.ApprovalOnDemand || row.Mandate || row.NoticeHours != 0 || row.ApproveAbove != nil) {
			t.Errorf("%+v", row)
		}
	}
	want := slices.Sorted(slices.Values(slices.Concat(eea, parts, []string{"IN"})))
	if len(eea) != 30 || !slices.Equal(codes, want) {
		t.Errorf("the table is of %v, want %v", codes, want)
	}
	india := billing.TerritoryRule("IN")
	if india.Approval != billing.ApprovalAlways || !india.Mandate || india.NoticeHours != 24 || *india.ApproveAbove != (billing.Amount{Minor: 1_500_000, Currency: "inr"}) {
		t.Errorf("India is %+v", india)
	}
	for _, code := range []string{"US", "CH", "BR", "", "XX", "Germany"} {
		if r := billing.TerritoryRule(code); r.Code != "" || r.Approval != billing.ApprovalNone || r.Mandate || r.Source == "" {
			t.Errorf("%q is %+v", code, r)
		}
	}
}

// The strictest territory counts, whichever it is; what support set counts alone.
func TestChargeRule(t *testing.T) {
	none, india, us := (*string)(nil), "IN", "US"
	for _, c := range []struct {
		set             *string
		account, issuer string
		want            string
	}{
		{none, "US", "US", ""},
		{none, "US", "", ""},
		{none, "US", "DE", "DE"},
		{none, "DE", "US", "DE"},
		{none, "DE", "FR", "DE"},
		{none, "DE", "IN", "IN"},
		{none, "IN", "DE", "IN"},
		{none, "IN", "", "IN"},
		{&us, "IN", "IN", ""},
		{&india, "US", "US", "IN"},
	} {
		if got := billing.ChargeRule(c.set, c.account, c.issuer).Code; got != c.want {
			t.Errorf("%v, account %s, card %s: %q, want %q", c.set, c.account, c.issuer, got, c.want)
		}
	}
}
