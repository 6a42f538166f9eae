package activities

import "testing"

func TestMailServerAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"smtp://mail.example":                    "mail.example:25",
		"smtp://mail.example:587":                "mail.example:587",
		"smtps://mail.example":                   "mail.example:465",
		"smtps://user:p%40ss@mail.example:10465": "mail.example:10465",
	} {
		m, err := NewMail("", in, "billing@paystage.example")
		if err != nil {
			t.Fatal(err)
		}
		if got := m.smtp.ServerAddr(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
