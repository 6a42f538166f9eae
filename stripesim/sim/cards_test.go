package sim

import (
	"slices"
	"strings"
	"testing"
)

func TestCardTable(t *testing.T) {
	taken := map[string]string{}
	all := slices.Clone(testCards)
	for country, number := range cardsOfCountries {
		all = append(all, card{key: number, ids: []string{"pm_card_" + strings.ToLower(country)}})
	}
	for _, c := range all {
		if !validLuhn(c.key) {
			t.Errorf("%s is no card number", c.key)
		}
		for _, name := range append([]string{c.key}, c.ids...) {
			if other, twice := taken[name]; twice {
				t.Errorf("%s stands at %s and at %s", name, other, c.key)
			}
			taken[name] = c.key
			if found, known := cardByName(name); !known || found.key != c.key || found.last4 != c.key[len(c.key)-4:] {
				t.Errorf("%s finds %+v", name, found)
			}
		}
	}
	for _, name := range []string{"", "pm_sim_decline_", "pm_sim_decline_UPPER", "pm_sim_other", "4242"} {
		if c, known := cardByName(name); known {
			t.Errorf("%q finds %+v", name, c)
		}
	}
}

func TestJudge(t *testing.T) {
	asking := card{asks: alwaysAsks, decline: "insufficient_funds"}
	tests := []struct {
		name string
		card card
		when occasion
		says verdict
		code string
	}{
		{"Plain", card{}, occasion{}, approve, ""},
		{"Declines", card{decline: "lost_card"}, occasion{offSession: true}, decline, "lost_card"},
		{"AsksOnSession", asking, occasion{}, askCustomer, ""},
		{"AsksOffSession", asking, occasion{offSession: true}, decline, "authentication_required"},
		{"AsksThoughSetUp", asking, occasion{offSession: true, setUp: true}, decline, "authentication_required"},
		{"AskedThenDeclines", asking, occasion{authenticated: true}, decline, "insufficient_funds"},
		{"SetUpOffSession", card{asks: asksOnSession}, occasion{offSession: true}, approve, ""},
		{"SetUpOnSession", card{asks: asksOnSession}, occasion{}, askCustomer, ""},
		{"UntilSetUp", card{asks: asksUntilSetUp}, occasion{offSession: true}, decline, "authentication_required"},
		{"OnceSetUp", card{asks: asksUntilSetUp}, occasion{offSession: true, setUp: true}, approve, ""},
		{"SetUpAndThere", card{asks: asksUntilSetUp}, occasion{setUp: true}, askCustomer, ""},
		{"MerchantAsks", card{}, occasion{challenge: true}, askCustomer, ""},
		{"IndiaOffSession", card{country: "IN"}, occasion{offSession: true}, decline, "authentication_required"},
		{"Processes", card{processing: true, decline: "generic_decline"}, occasion{}, answerLater, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if says, code := test.card.judge(test.when); says != test.says || code != test.code {
				t.Errorf("got %d %q, want %d %q", says, code, test.says, test.code)
			}
		})
	}
}
