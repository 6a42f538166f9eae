package billing

import (
	"slices"
	"strings"

	"github.com/paystage/paystage/models"
)

// withState lists the countries where an address is not complete without its
// state: the bank's address check or the post needs it (US, CA, AU, MX), or the
// tax on the invoice depends on it (US, CA, IN, BR). Nothing writes to it.
var withState = [...]string{"AU", "BR", "CA", "IN", "MX", "US"}

// withoutPostalCode lists the countries and territories that have no postal
// codes; asking for one there would keep real customers out or make them
// invent one, which the bank's check then fails. Nothing writes to it.
var withoutPostalCode = [...]string{
	"AE", "AG", "AO", "AW", "BF", "BI", "BJ", "BO", "BS", "BW", "BZ", "CD",
	"CF", "CG", "CI", "CK", "CM", "DJ", "DM", "ER", "FJ", "GA", "GD", "GM",
	"GQ", "GY", "HK", "KI", "KM", "KN", "ML", "MO", "MR", "NR", "NU", "QA",
	"RW", "SB", "SC", "SL", "SR", "ST", "SY", "TG", "TK", "TO", "TV", "UG",
	"VU", "YE", "ZW",
}

// CheckAddress refuses a billing address that is not complete (R41): line1,
// city, postal_code and country, and state where withState says so. A country
// that is not two letters counts as missing. The error is a [*Refusal] with code
// incomplete_address whose Missing names the fields.
func CheckAddress(a models.Address) error {
	country := normalCountry(a.Country)
	known := isAlpha2(country)
	var missing []string
	require := func(field string, holds bool) {
		if !holds {
			missing = append(missing, field)
		}
	}
	require("line1", !blank(a.Line1))
	require("city", !blank(a.City))
	require("state", !blank(a.State) || !slices.Contains(withState[:], country))
	require("postal_code", !blank(a.PostalCode) || slices.Contains(withoutPostalCode[:], country))
	require("country", known)
	if missing == nil {
		return nil
	}
	return &Refusal{Code: CodeIncompleteAddress, Message: incompleteSentence(missing), Missing: missing}
}

// SameAddress reports whether two billing addresses are the same but for case
// and spaces (R41: the same card cannot come back with another address). Postal
// codes are compared without any spaces at all, as "SW1A 1AA" and "SW1A1AA" are
// one code.
func SameAddress(a, b models.Address) bool {
	return sameText(a.Line1, b.Line1) &&
		sameText(a.City, b.City) &&
		sameText(a.State, b.State) &&
		strings.EqualFold(withoutSpaces(a.PostalCode), withoutSpaces(b.PostalCode)) &&
		normalCountry(a.Country) == normalCountry(b.Country)
}

// incompleteSentence names the missing fields as a form labels them.
func incompleteSentence(missing []string) string {
	labels := make([]string, len(missing))
	for i, field := range missing {
		labels[i] = label(field)
	}
	return "The billing address is incomplete. Please add: " + strings.Join(labels, ", ") + "."
}

func label(field string) string {
	switch field {
	case "line1":
		return "street and number"
	case "state":
		return "state or province"
	case "postal_code":
		return "postal code"
	case "country":
		return "country (its two-letter code)"
	}
	return field
}

func normalCountry(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }

func isAlpha2(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

func sameText(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

func withoutSpaces(s string) string { return strings.Join(strings.Fields(s), "") }
