package stack

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// secrets are what the parts of one stack authenticate each other with. They are
// made once and kept, so that what was signed before a restart still verifies.
type secrets struct {
	StripeKey     string `json:"stripe_key"`
	WebhookSecret string `json:"webhook_secret"`
	GatewayKeys   string `json:"gateway_keys"`
	LinkKeys      string `json:"link_keys"`
}

func openSecrets(d Dir) (secrets, error) {
	path := d.State("secrets.json")
	var s secrets
	text, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(text, &s); err != nil {
			return secrets{}, fmt.Errorf("read secrets from %s: %w", path, err)
		}
		if s.LinkKeys != "" {
			return s, nil
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return secrets{}, fmt.Errorf("read secrets: %w", err)
	}
	// What a version before did not make is made now; the rest stays.
	s.StripeKey = cmp.Or(s.StripeKey, "sk_test_"+rand.Text())
	s.WebhookSecret = cmp.Or(s.WebhookSecret, "whsec_"+rand.Text())
	s.GatewayKeys = cmp.Or(s.GatewayKeys, "dev1:"+rand.Text()+rand.Text())
	s.LinkKeys = cmp.Or(s.LinkKeys, "dev1:"+rand.Text()+rand.Text())
	if text, err = json.MarshalIndent(s, "", "  "); err != nil {
		return secrets{}, fmt.Errorf("keep secrets: %w", err)
	}
	if err := replaceFile(path, text, 0o600); err != nil {
		return secrets{}, fmt.Errorf("keep secrets: %w", err)
	}
	return s, nil
}
