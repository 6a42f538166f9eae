package stack

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// The names that configure the parts of Paystage.
const (
	PaystageURL           = "PAYSTAGE_URL"
	PaystageListen        = "PAYSTAGE_LISTEN"
	GatewayURLs           = "PAYSTAGE_GATEWAY_URLS"
	GatewaySigningKeys    = "PAYSTAGE_GATEWAY_SIGNING_KEYS"
	LinkKeys              = "PAYSTAGE_LINK_KEYS"
	TemporalAddress       = "TEMPORAL_ADDRESS"
	TemporalNamespaceName = "TEMPORAL_NAMESPACE"
	TemporalUIURL         = "TEMPORAL_UI_URL"
	DatabaseURL           = "DATABASE_URL"
	StripeAPIBase         = "STRIPE_API_BASE"
	StripeSecretKey       = "STRIPE_SECRET_KEY"
	StripeWebhookKey      = "STRIPE_WEBHOOK_SECRET"
	MailDir               = "MAIL_DIR"
	SMTPURL               = "SMTP_URL"
	WorkerListen          = "WORKER_LISTEN"
)

// roles are the callers that have a key of their own (R52).
var roles = [...]string{"admin", "checkout", "usage", "support", "finance", "gateway"}

// RoleKey is the name of the variable that holds the key of a role.
func RoleKey(role string) string { return "PAYSTAGE_" + strings.ToUpper(role) + "_KEY" }

// fileNames are what the env file holds, in its order.
func fileNames() []string {
	names := []string{PaystageURL}
	for _, role := range roles {
		names = append(names, RoleKey(role))
	}
	return append(names, GatewayURLs, GatewaySigningKeys, LinkKeys, TemporalAddress, TemporalNamespaceName, TemporalUIURL,
		DatabaseURL, StripeAPIBase, StripeSecretKey, StripeWebhookKey, MailDir, SMTPURL)
}

// partNames are what worker and front door are configured by. The keys of the
// callers are not among them: nobody but a caller holds those.
var partNames = [...]string{
	PaystageURL, PaystageListen, GatewayURLs, GatewaySigningKeys, LinkKeys, TemporalAddress, TemporalNamespaceName,
	DatabaseURL, StripeAPIBase, StripeSecretKey, StripeWebhookKey, MailDir, SMTPURL, WorkerListen,
}

// Env is settings by name. An absent name and an empty value mean the same.
type Env map[string]string

// ReadEnv reads an env file of NAME=value lines.
func ReadEnv(path string) (Env, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read env: %w", err)
	}
	env := Env{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("read env: %s has a line that is not NAME=value", path)
		}
		env[name] = value
	}
	return env, nil
}

// write writes the settings that the env file holds, readable by us alone.
func (e Env) write(path string) error {
	var text strings.Builder
	for _, name := range fileNames() {
		if e[name] != "" {
			fmt.Fprintf(&text, "%s=%s\n", name, e[name])
		}
	}
	if err := replaceFile(path, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("write env: %w", err)
	}
	return nil
}

// forPart is a whole environment for a part: ours, with the names that configure
// parts and callers set from e or not at all.
func (e Env) forPart(extra Env) []string {
	var env []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if !slices.Contains(fileNames(), name) && !slices.Contains(partNames[:], name) {
			env = append(env, pair)
		}
	}
	for _, name := range partNames {
		value := e[name]
		if extra[name] != "" {
			value = extra[name]
		}
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}
