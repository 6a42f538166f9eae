package stack

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestEnvFile(t *testing.T) {
	path := newDir(t).EnvFile()
	written := Env{
		PaystageURL: "http://127.0.0.1:1", RoleKey("admin"): "a=b", DatabaseURL: "postgres://x",
		SMTPURL: "", WorkerListen: "127.0.0.1:2",
	}
	if err := written.write(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600: it holds keys", info.Mode().Perm())
	}
	read, err := ReadEnv(path)
	if err != nil {
		t.Fatal(err)
	}
	want := Env{PaystageURL: "http://127.0.0.1:1", "PAYSTAGE_ADMIN_KEY": "a=b", DatabaseURL: "postgres://x"}
	if !maps.Equal(read, want) {
		t.Errorf("got %v, want %v", read, want)
	}
}

func TestPartsGetNoCallersKeysAndNothingStale(t *testing.T) {
	t.Setenv("DATABASE_URL", "stale")
	t.Setenv("SMTP_URL", "stale")
	t.Setenv("PAYSTAGE_ADMIN_KEY", "stale")
	t.Setenv("SOMETHING_ELSE", "kept")
	env := Env{DatabaseURL: "fresh", RoleKey("admin"): "secret"}.forPart(Env{WorkerListen: "127.0.0.1:2"})
	for _, want := range []string{"DATABASE_URL=fresh", "WORKER_LISTEN=127.0.0.1:2", "SOMETHING_ELSE=kept"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, pair := range env {
		if strings.HasSuffix(pair, "=stale") || strings.HasSuffix(pair, "=secret") {
			t.Errorf("%s should not be there", pair)
		}
	}
}

func TestTakeGiven(t *testing.T) {
	d := newDir(t)
	own := loopback(portOf(t, d, "postgres"))
	ports, err := OpenPorts(d)
	if err != nil {
		t.Fatal(err)
	}
	stripe := Env{StripeAPIBase: "https://api.stripe.com", StripeSecretKey: "sk_test_1", StripeWebhookKey: "whsec_1"}
	for _, c := range []struct {
		name   string
		given  Env
		want   Env
		failed string
	}{
		{"nothing", Env{}, Env{}, ""},
		{"stripe", stripe, stripe, ""},
		{"stripe without its keys", Env{StripeAPIBase: "https://api.stripe.com"}, nil, "STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET"},
		{"keys without stripe", Env{StripeSecretKey: "sk_test_1"}, Env{}, ""},
		{
			"a live key",
			Env{StripeAPIBase: "https://api.stripe.com", StripeSecretKey: "sk_live_1", StripeWebhookKey: "whsec_1"},
			nil, "live key",
		},
		{"a database", Env{DatabaseURL: "postgres://db.example/x"}, Env{DatabaseURL: "postgres://db.example/x"}, ""},
		{"our own database", Env{DatabaseURL: fmt.Sprintf("postgres://u:p@%s/paystage?sslmode=disable", own)}, Env{}, ""},
		{"our own database's address as Temporal", Env{TemporalAddress: own}, Env{TemporalAddress: own}, ""},
		{"a namespace alone", Env{TemporalNamespaceName: "mine"}, Env{}, ""},
		{"gateways without keys", Env{GatewayURLs: "http://g"}, nil, "PAYSTAGE_GATEWAY_SIGNING_KEYS must be given"},
		{"an address without a port", Env{PaystageURL: "http://localhost"}, nil, "PAYSTAGE_URL must look like"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := takeGiven(func(name string) string { return c.given[name] }, ports)
			if c.failed != "" {
				if err == nil || !strings.Contains(err.Error(), c.failed) {
					t.Errorf("got %v, want an error with %q", err, c.failed)
				}
				return
			}
			if err != nil || !maps.Equal(got, c.want) {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
		})
	}
}
