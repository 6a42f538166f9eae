package sim

import "strings"

// CardNames are each test card's number, with its ids.
func CardNames() map[string][]string {
	names := map[string][]string{}
	for _, c := range testCards {
		names[c.key] = c.ids
	}
	for country, number := range cardsOfCountries {
		names[number] = []string{"pm_card_" + strings.ToLower(country)}
	}
	return names
}
