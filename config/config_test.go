package config_test

import (
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/config"
	"github.com/paystage/paystage/links"
)

// variables are all that the programs read.
var variables = []string{
	"DATABASE_URL", "STRIPE_SECRET_KEY", "STRIPE_API_BASE", "PAYSTAGE_GATEWAY_URLS", "PAYSTAGE_URL", "PAYSTAGE_GATEWAY_SIGNING_KEYS",
	"MAIL_DIR", "SMTP_URL", "MAIL_FROM", "PAYSTAGE_RETURN_URL", "WORKER_LISTEN", "STRIPE_WEBHOOK_SECRET", "PAYSTAGE_LISTEN",
	"PAYSTAGE_MAX_PURCHASE_CENTS", "PAYSTAGE_GATEWAYS_FILE", "PAYSTAGE_RECHARGES_PER_SECOND", "PAYSTAGE_RECHARGES_ALERT_PER_HOUR",
	"PAYSTAGE_INVOICE_CHARGES_PER_SECOND", "PAYSTAGE_DUNNING_DAYS",
	"PAYSTAGE_COMPANY", "PAYSTAGE_COMPANY_DETAILS", "PAYSTAGE_LINK_KEYS", "PAYSTAGE_AUTHORIZATION_DAYS",
}

// needed are those without a default, for both programs.
var needed = map[string]string{
	"DATABASE_URL":                  "postgres://db/paystage",
	"STRIPE_SECRET_KEY":             "sk_test_1",
	"PAYSTAGE_GATEWAY_URLS":         "http://gateway-1:8081",
	"PAYSTAGE_URL":                  "https://pay.example:8443",
	"PAYSTAGE_GATEWAY_SIGNING_KEYS": "k1:0123456789abcdef",
	"MAIL_DIR":                      "mails",
	"STRIPE_WEBHOOK_SECRET":         "whsec_1",
}

// environment is what is needed with these changes, and nothing else.
func environment(t *testing.T, changes map[string]string) {
	t.Helper()
	values := maps.Clone(needed)
	maps.Copy(values, changes)
	for _, name := range variables {
		value, set := values[name]
		set = set && value != unset
		t.Setenv(name, strings.TrimPrefix(value, unset)) // has the old value put back
		if !set {
			done(t, os.Unsetenv(name))
		}
	}
}

// unset takes a variable out of the environment.
const unset = "\x00"

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWorkerWithDefaults(t *testing.T) {
	environment(t, nil)
	c, err := config.LoadWorker()
	done(t, err)
	want := config.Worker{
		Common: config.Common{
			DatabaseURL: "postgres://db/paystage", StripeSecretKey: "sk_test_1", GatewayURLs: []string{"http://gateway-1:8081"},
			URL: "https://pay.example:8443", Company: "Paystage", AuthorizationDays: 7,
		},
		GatewaySigningKeys: "k1:0123456789abcdef", MailDir: "mails", MailFrom: "billing@paystage.example",
		ReturnURL: "https://pay.example:8443/return", RechargesPerSecond: 20, RechargesAlertPerHour: 5000,
		InvoiceChargesPerSecond: 20, DunningDays: []int{1, 3, 5, 7},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	_, err = c.Keyring()
	done(t, err)
}

func TestServeWithDefaults(t *testing.T) {
	environment(t, nil)
	c, err := config.LoadServe()
	done(t, err)
	if c.Listen != "pay.example:8443" || c.MaxPurchaseCents != 1_000_000 || !slices.Equal(c.WebhookSecrets, []string{"whsec_1"}) {
		t.Errorf("got %+v", c)
	}
}

func TestWhatIsSetIsTaken(t *testing.T) {
	environment(t, map[string]string{
		"MAIL_DIR": unset, "SMTP_URL": "smtp://mail", "MAIL_FROM": "a@b.example", "PAYSTAGE_RETURN_URL": "https://shop.example/back?from=bank#top",
		"WORKER_LISTEN": ":9090", "PAYSTAGE_RECHARGES_PER_SECOND": "50", "PAYSTAGE_INVOICE_CHARGES_PER_SECOND": "30", "PAYSTAGE_DUNNING_DAYS": "2,4", "PAYSTAGE_RECHARGES_ALERT_PER_HOUR": "100", "PAYSTAGE_LISTEN": "127.0.0.1:8080", "PAYSTAGE_MAX_PURCHASE_CENTS": "500", "STRIPE_API_BASE": "http://sim",
		"STRIPE_WEBHOOK_SECRET": "whsec_1, whsec_2", "PAYSTAGE_COMPANY": "Acme", "PAYSTAGE_COMPANY_DETAILS": "1 Main Street;EIN 12-3456789",
		"PAYSTAGE_LINK_KEYS": "k1:0123456789abcdef", "PAYSTAGE_AUTHORIZATION_DAYS": "3",
	})
	w, err := config.LoadWorker()
	done(t, err)
	if w.SMTPURL != "smtp://mail" || w.MailFrom != "a@b.example" || w.ReturnURL != "https://shop.example/back?from=bank#top" || w.Listen != ":9090" ||
		w.StripeAPIBase != "http://sim" || w.Company != "Acme" || w.RechargePace() != 20*time.Millisecond || w.AuthorizationLasts() != 72*time.Hour ||
		w.InvoicePace() != time.Second/30 || !slices.Equal(w.DunningDays, []int{2, 4}) || w.RechargesAlertPerHour != 100 {
		t.Errorf("got %+v", w)
	}
	keys, err := w.Links()
	done(t, err)
	if _, err := keys.Sign(links.Token{}); err != nil {
		t.Errorf("with the keys given: %v", err)
	}
	s, err := config.LoadServe()
	done(t, err)
	if s.Listen != "127.0.0.1:8080" || s.Company != "Acme" || !slices.Equal(s.CompanyDetails, []string{"1 Main Street", "EIN 12-3456789"}) || s.MaxPurchaseCents != 500 || !slices.Equal(s.WebhookSecrets, []string{"whsec_1", "whsec_2"}) {
		t.Errorf("got %+v", s)
	}
}

// Gateways are compared and stored by their addresses, so each has one form.
func TestAddressesAreTrimmed(t *testing.T) {
	environment(t, map[string]string{"PAYSTAGE_URL": "http://127.0.0.1:8080/", "PAYSTAGE_GATEWAY_URLS": "http://a:1/, https://b/base/ ,http://c"})
	c, err := config.LoadWorker()
	done(t, err)
	if c.URL != "http://127.0.0.1:8080" || c.ReturnURL != "http://127.0.0.1:8080/return" ||
		!slices.Equal(c.GatewayURLs, []string{"http://a:1", "https://b/base", "http://c"}) {
		t.Errorf("got %+v", c)
	}
}

// Whatever is wrong is named by its variable, everything at once, and no secret
// is quoted.
func TestWhatIsWrongIsNamed(t *testing.T) {
	loaders := map[string]func() error{
		"worker": func() error { _, err := config.LoadWorker(); return err },
		"serve":  func() error { _, err := config.LoadServe(); return err },
	}
	for name, c := range map[string]struct {
		program string
		changes map[string]string
		names   []string
	}{
		"NothingIsSet/worker": {"worker", all(unset), []string{
			"DATABASE_URL", "STRIPE_SECRET_KEY", "PAYSTAGE_GATEWAY_URLS", "PAYSTAGE_URL", "PAYSTAGE_GATEWAY_SIGNING_KEYS", "MAIL_DIR", "SMTP_URL",
		}},
		"NothingIsSet/serve": {"serve", all(unset), []string{
			"DATABASE_URL", "STRIPE_SECRET_KEY", "PAYSTAGE_GATEWAY_URLS", "PAYSTAGE_URL", "STRIPE_WEBHOOK_SECRET",
		}},
		"AllEmpty/worker": {"worker", all(""), []string{
			"DATABASE_URL", "STRIPE_SECRET_KEY", "PAYSTAGE_GATEWAY_URLS", "PAYSTAGE_URL", "PAYSTAGE_GATEWAY_SIGNING_KEYS", "MAIL_DIR", "SMTP_URL",
		}},
		"AllWrong/worker": {"worker", map[string]string{
			"PAYSTAGE_URL": "pay.example", "PAYSTAGE_GATEWAY_URLS": "http://a,gateway-2", "PAYSTAGE_GATEWAY_SIGNING_KEYS": "secret-of-ours",
			"SMTP_URL": "smtp://mail", "WORKER_LISTEN": "nine", "DATABASE_URL": unset,
			"PAYSTAGE_RECHARGES_PER_SECOND": "0", "PAYSTAGE_RECHARGES_ALERT_PER_HOUR": "-1",
			"PAYSTAGE_INVOICE_CHARGES_PER_SECOND": "1001", "PAYSTAGE_DUNNING_DAYS": "3,1",
		}, []string{"PAYSTAGE_RECHARGES_PER_SECOND", "PAYSTAGE_RECHARGES_ALERT_PER_HOUR", "PAYSTAGE_INVOICE_CHARGES_PER_SECOND", "PAYSTAGE_DUNNING_DAYS", "PAYSTAGE_URL", "pay.example", "PAYSTAGE_GATEWAY_URLS", "gateway-2", "PAYSTAGE_GATEWAY_SIGNING_KEYS", "SMTP_URL", "WORKER_LISTEN",
			"DATABASE_URL"}},
		"AllWrong/serve": {"serve", map[string]string{
			"PAYSTAGE_URL": "ftp://pay.example", "PAYSTAGE_LISTEN": "8080", "PAYSTAGE_MAX_PURCHASE_CENTS": "ten", "STRIPE_WEBHOOK_SECRET": "secret-of-ours,",
		}, []string{"PAYSTAGE_URL", "PAYSTAGE_LISTEN", "PAYSTAGE_MAX_PURCHASE_CENTS", "STRIPE_WEBHOOK_SECRET"}},
		"R2/MaximumOfNothing":     {"serve", map[string]string{"PAYSTAGE_MAX_PURCHASE_CENTS": "0"}, []string{"PAYSTAGE_MAX_PURCHASE_CENTS", "500 or more"}},
		"R2/MaximumBelowZero":     {"serve", map[string]string{"PAYSTAGE_MAX_PURCHASE_CENTS": "-1"}, []string{"PAYSTAGE_MAX_PURCHASE_CENTS", "500 or more"}},
		"R2/MaximumBelowLeast":    {"serve", map[string]string{"PAYSTAGE_MAX_PURCHASE_CENTS": "499"}, []string{"499", "$5.00", "500 or more"}},
		"GatewayWithPassword":     {"worker", map[string]string{"PAYSTAGE_GATEWAY_URLS": "http://us:secret-of-ours@a"}, []string{"PAYSTAGE_GATEWAY_URLS", "without a user"}},
		"GatewayWithUser":         {"serve", map[string]string{"PAYSTAGE_GATEWAY_URLS": "http://secret-of-ours@a"}, []string{"PAYSTAGE_GATEWAY_URLS", "without a user"}},
		"GatewayWithQuery":        {"worker", map[string]string{"PAYSTAGE_GATEWAY_URLS": "http://a/?token=secret-of-ours"}, []string{"PAYSTAGE_GATEWAY_URLS", "query"}},
		"GatewayWithEmptyQuery":   {"worker", map[string]string{"PAYSTAGE_GATEWAY_URLS": "http://a/?"}, []string{"PAYSTAGE_GATEWAY_URLS", "query"}},
		"GatewayWithFragment":     {"worker", map[string]string{"PAYSTAGE_GATEWAY_URLS": "http://b,http://a/#secret-of-ours"}, []string{"PAYSTAGE_GATEWAY_URLS", "fragment"}},
		"PasswordInWhatIsNoURL":   {"worker", map[string]string{"PAYSTAGE_GATEWAY_URLS": "ftp://us:secret-of-ours@a"}, []string{"PAYSTAGE_GATEWAY_URLS"}},
		"OwnURLWithQuery":         {"serve", map[string]string{"PAYSTAGE_URL": "http://127.0.0.1:80?a=b"}, []string{"PAYSTAGE_URL", "query"}},
		"StripeBaseWithUser":      {"serve", map[string]string{"STRIPE_API_BASE": "http://secret-of-ours@sim"}, []string{"STRIPE_API_BASE", "without a user"}},
		"NoHost":                  {"worker", map[string]string{"PAYSTAGE_URL": "http://"}, []string{"PAYSTAGE_URL"}},
		"NoPortToListenOn":        {"serve", map[string]string{"PAYSTAGE_URL": "https://pay.example"}, []string{"PAYSTAGE_LISTEN"}},
		"GatewayLeftOut":          {"worker", map[string]string{"PAYSTAGE_GATEWAY_URLS": "http://a,,http://b"}, []string{"PAYSTAGE_GATEWAY_URLS"}},
		"BothGateways":            {"worker", map[string]string{"PAYSTAGE_GATEWAYS_FILE": "gateways"}, []string{"PAYSTAGE_GATEWAY_URLS", "PAYSTAGE_GATEWAYS_FILE"}},
		"NoGatewaysFile":          {"serve", map[string]string{"PAYSTAGE_GATEWAY_URLS": unset, "PAYSTAGE_GATEWAYS_FILE": "/nowhere"}, []string{"PAYSTAGE_GATEWAYS_FILE"}},
		"NoMail":                  {"worker", map[string]string{"MAIL_DIR": unset}, []string{"MAIL_DIR", "SMTP_URL"}},
		"BothMails":               {"worker", map[string]string{"SMTP_URL": "smtp://mail"}, []string{"MAIL_DIR", "SMTP_URL"}},
		"F15/EmptyWebhookSecret":  {"serve", map[string]string{"STRIPE_WEBHOOK_SECRET": "secret-of-ours,"}, []string{"STRIPE_WEBHOOK_SECRET"}},
		"F15/BlankWebhookSecret":  {"serve", map[string]string{"STRIPE_WEBHOOK_SECRET": "secret-of-ours, ,x"}, []string{"STRIPE_WEBHOOK_SECRET"}},
		"ShortLinkKey":            {"serve", map[string]string{"PAYSTAGE_LINK_KEYS": "k1:secret"}, []string{"PAYSTAGE_LINK_KEYS"}},
		"NoDaysToApprove":         {"worker", map[string]string{"PAYSTAGE_AUTHORIZATION_DAYS": "0"}, []string{"PAYSTAGE_AUTHORIZATION_DAYS"}},
		"ShortSigningKey":         {"worker", map[string]string{"PAYSTAGE_GATEWAY_SIGNING_KEYS": "k1:secret"}, []string{"PAYSTAGE_GATEWAY_SIGNING_KEYS"}},
		"ReturnURLOfAnotherShape": {"worker", map[string]string{"PAYSTAGE_RETURN_URL": "back"}, []string{"PAYSTAGE_RETURN_URL"}},
		"StripeBaseOfOtherShape":  {"worker", map[string]string{"STRIPE_API_BASE": "localhost:1"}, []string{"STRIPE_API_BASE"}},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, c.changes)
			err := loaders[c.program]()
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, variable := range c.names {
				if !strings.Contains(err.Error(), variable) {
					t.Errorf("%s is not named: %v", variable, err)
				}
			}
			if strings.Contains(err.Error(), "secret-of-ours") {
				t.Errorf("a secret is told: %v", err)
			}
		})
	}
}

// A number that is none is told once, and not as one that is too low as well.
func TestWhatIsNoNumberIsToldOnce(t *testing.T) {
	for variable, load := range map[string]func() error{
		"PAYSTAGE_MAX_PURCHASE_CENTS":       func() error { _, err := config.LoadServe(); return err },
		"PAYSTAGE_RECHARGES_PER_SECOND":     func() error { _, err := config.LoadWorker(); return err },
		"PAYSTAGE_RECHARGES_ALERT_PER_HOUR": func() error { _, err := config.LoadWorker(); return err },
	} {
		environment(t, map[string]string{variable: "ten"})
		if err := load(); err == nil || strings.Count(err.Error(), variable) != 1 {
			t.Errorf("%s: %v", variable, err)
		}
	}
}

func all(value string) map[string]string {
	changes := map[string]string{}
	for _, name := range variables {
		changes[name] = value
	}
	return changes
}

// F21: a Temporal that is down is no reason not to start.
func TestTemporalIsNotWaitedFor(t *testing.T) {
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	c, err := config.Temporal(log)
	done(t, err)
	c.Close()

	wrong := filepath.Join(t.TempDir(), "temporal.toml")
	done(t, os.WriteFile(wrong, []byte("[profile"), 0o600))
	t.Setenv("TEMPORAL_CONFIG_FILE", wrong)
	if _, err := config.Temporal(log); err == nil || !strings.Contains(err.Error(), "Temporal") {
		t.Errorf("got %v", err)
	}
}
