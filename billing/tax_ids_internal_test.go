package billing

import (
	"errors"
	"strings"
	"testing"
)

// R41: each row of the table takes its own example, typed in any way, and not that
// with a character more or less.
func TestR41TaxFormatsTakeTheirExamples(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range taxFormats {
		if seen[f.kind+f.country] || f.country != "" && !isAlpha2(f.country) {
			t.Errorf("%s of %q stands twice or in no country", f.kind, f.country)
		}
		seen[f.kind+f.country] = true
		for _, typed := range []string{f.example, " " + strings.ToLower(f.example) + " "} {
			if err := CheckTaxID(f.kind, typed); err != nil {
				t.Errorf("%s: %q is refused: %v", f.kind, typed, err)
			}
		}
		if f.form.MatchString(f.example+"X") || f.form.MatchString("#"+f.example) {
			t.Errorf("%s of %s takes more than its format", f.kind, f.country)
		}
	}
}

func TestTaxIDsRefused(t *testing.T) {
	for _, c := range []struct{ kind, value, says string }{
		{"eu_vat", "DE12345678", "ATU12345678, BE0123456789, BG0123456789"},
		{"eu_vat", "XX123456789", "format"},
		{"eu_vat", "", "format"},
		{"us_ein", "123456789", "12-3456789"},
		{"us_ssn", "123-45-6789", "support"},
		{"", "12-3456789", "support"},
		{"EU_VAT", "DE123456789", "support"},
	} {
		err := CheckTaxID(c.kind, c.value)
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Code != CodeInvalidTaxID || !strings.Contains(refusal.Message, c.says) {
			t.Errorf("%s %q: %v", c.kind, c.value, err)
		}
		if c.value != "" && strings.Contains(err.Error(), c.value) {
			t.Errorf("the error tells the number: %v (I9)", err)
		}
	}
}
