package billing_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

func TestCheckCardTakesExactlyNineKinds(t *testing.T) {
	brands := []string{
		"visa", "mastercard", "amex",
		"discover", "diners", "jcb", "unionpay", "eftpos_au", "link", "unknown", "", "Visa",
	}
	fundings := []string{"credit", "debit", "unknown", "prepaid", "", "Credit"}
	for b, brand := range brands {
		for f, funding := range fundings {
			err := billing.CheckCard(brand, funding)
			if b < 3 && f < 3 {
				if err != nil {
					t.Errorf("%s %s: %v", brand, funding, err)
				}
				continue
			}
			if got := refusal(t, err, billing.CodeUnsupportedCard).Message; got != "We only accept credit or debit cards" {
				t.Errorf("%s %s: %q", brand, funding, got)
			}
		}
	}
}

func address(change func(*models.Address)) models.Address {
	a := models.Address{Line1: "1 Main St", City: "Springfield", State: "IL", PostalCode: "62701", Country: "US"}
	change(&a)
	return a
}

func TestCheckAddress(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*models.Address)
		missing []string
	}{
		"complete":              {func(*models.Address) {}, nil},
		"lower case country":    {func(a *models.Address) { a.Country = " us " }, nil},
		"spaces are nothing":    {func(a *models.Address) { a.Line1 = " \t" }, []string{"line1"}},
		"no city":               {func(a *models.Address) { a.City = "" }, []string{"city"}},
		"no state, US":          {func(a *models.Address) { a.State = "" }, []string{"state"}},
		"no state, us":          {func(a *models.Address) { a.State, a.Country = "", "us" }, []string{"state"}},
		"no state, CA":          {func(a *models.Address) { a.State, a.Country = "", "CA" }, []string{"state"}},
		"no state, IN":          {func(a *models.Address) { a.State, a.Country = "", "IN" }, []string{"state"}},
		"no state, DE":          {func(a *models.Address) { a.State, a.Country = "", "DE" }, nil},
		"no postal code":        {func(a *models.Address) { a.PostalCode = " " }, []string{"postal_code"}},
		"no postal code, HK":    {func(a *models.Address) { a.State, a.PostalCode, a.Country = "", "", "HK" }, nil},
		"no country":            {func(a *models.Address) { a.Country = "" }, []string{"country"}},
		"country in words":      {func(a *models.Address) { a.Country = "Germany" }, []string{"country"}},
		"country not of A to Z": {func(a *models.Address) { a.Country = "é" }, []string{"country"}},
		"nothing": {
			func(a *models.Address) { *a = models.Address{} },
			[]string{"line1", "city", "postal_code", "country"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := billing.CheckAddress(address(c.change))
			if c.missing == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if got := refusal(t, err, billing.CodeIncompleteAddress).Missing; !slices.Equal(got, c.missing) {
				t.Errorf("missing %q, want %q", got, c.missing)
			}
		})
	}
}

func TestIncompleteAddressSaysWhatToAddAndNothingTyped(t *testing.T) {
	err := billing.CheckAddress(models.Address{Line1: "221B Baker Street", Country: "US"})
	const want = "The billing address is incomplete. Please add: city, state or province, postal code."
	if got := refusal(t, err, billing.CodeIncompleteAddress).Message; got != want {
		t.Errorf("got %q", got)
	}
	if strings.Contains(err.Error(), "Baker") {
		t.Error("the error tells the address (I9)")
	}
}

func TestSameAddress(t *testing.T) {
	base := address(func(*models.Address) {})
	for name, c := range map[string]struct {
		change func(*models.Address)
		same   bool
	}{
		"itself":           {func(*models.Address) {}, true},
		"case":             {func(a *models.Address) { a.Line1, a.City, a.State, a.Country = "1 MAIN st", "springFIELD", "il", "us" }, true},
		"spaces":           {func(a *models.Address) { a.Line1, a.City = "  1   Main\tSt ", "Springfield " }, true},
		"postal spaces":    {func(a *models.Address) { a.PostalCode = " 627 01" }, true},
		"another street":   {func(a *models.Address) { a.Line1 = "2 Main St" }, false},
		"words run on":     {func(a *models.Address) { a.Line1 = "1 MainSt" }, false},
		"another city":     {func(a *models.Address) { a.City = "Shelbyville" }, false},
		"another state":    {func(a *models.Address) { a.State = "OR" }, false},
		"another code":     {func(a *models.Address) { a.PostalCode = "62702" }, false},
		"another country":  {func(a *models.Address) { a.Country = "CA" }, false},
		"a missing street": {func(a *models.Address) { a.Line1 = "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			other := address(c.change)
			if got := billing.SameAddress(base, other); got != c.same {
				t.Errorf("got %v", got)
			}
			if billing.SameAddress(other, base) != c.same {
				t.Error("not the same both ways")
			}
		})
	}
}
