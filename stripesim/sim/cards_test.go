package sim

import "testing"

func TestCardTable(t *testing.T) {
	taken := map[string]string{}
	for _, c := range testCards {
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
		name                      string
		card                      card
		offSession, authenticated bool
		says                      verdict
		code                      string
	}{
		{"Plain", card{}, false, false, approve, ""},
		{"Declines", card{decline: "lost_card"}, true, false, decline, "lost_card"},
		{"AsksOnSession", asking, false, false, askCustomer, ""},
		{"AsksOffSession", asking, true, false, decline, "authentication_required"},
		{"AskedThenDeclines", asking, false, true, decline, "insufficient_funds"},
		{"SetUpOffSession", card{asks: asksOnSession}, true, false, approve, ""},
		{"SetUpOnSession", card{asks: asksOnSession}, false, false, askCustomer, ""},
		{"Processes", card{processing: true, decline: "generic_decline"}, false, false, answerLater, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if says, code := test.card.judge(test.offSession, test.authenticated); says != test.says || code != test.code {
				t.Errorf("got %d %q, want %d %q", says, code, test.says, test.code)
			}
		})
	}
}
