// Package config is what the programs of Paystage are told by their environment:
// one struct for each program, one field for each variable. A variable that is
// missing or wrong is named, with all the others, before anything starts.
//
// TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and whatever else reaches Temporal (TLS,
// API key) are read by the Temporal SDK's own envconfig.
package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/paystage/paystage/gateway"
)

// Common is what worker and front door both need.
type Common struct {
	DatabaseURL     string   `env:"DATABASE_URL,required,notEmpty"`
	StripeSecretKey string   `env:"STRIPE_SECRET_KEY,required,notEmpty"`
	StripeAPIBase   string   `env:"STRIPE_API_BASE"` // empty is Stripe's own
	GatewayURLs     []string `env:"PAYSTAGE_GATEWAY_URLS,required,notEmpty"`
	// URL is the front door's address as customers and Stripe reach it.
	URL string `env:"PAYSTAGE_URL,required,notEmpty"`
}

// Worker configures the worker.
type Worker struct {
	Common
	GatewaySigningKeys string `env:"PAYSTAGE_GATEWAY_SIGNING_KEYS,required,notEmpty"`
	MailDir            string `env:"MAIL_DIR"`
	SMTPURL            string `env:"SMTP_URL"`
	MailFrom           string `env:"MAIL_FROM" envDefault:"billing@paystage.example"`
	// ReturnURL is where a bank sends the customer back to; the front door's own
	// page if empty.
	ReturnURL string `env:"PAYSTAGE_RETURN_URL"`
	// Listen serves the worker's health; empty serves none.
	Listen string `env:"WORKER_LISTEN"`
}

// Keyring is the signing keys of the gateways, parsed.
func (w Worker) Keyring() (gateway.Keyring, error) {
	keys, err := gateway.ParseKeys(w.GatewaySigningKeys)
	if err != nil {
		return gateway.Keyring{}, fmt.Errorf("PAYSTAGE_GATEWAY_SIGNING_KEYS: %w", err)
	}
	return keys, nil
}

// Serve configures the front door.
type Serve struct {
	Common
	// WebhookSecrets verify Stripe's webhooks; several while one is rotated.
	WebhookSecrets []string `env:"STRIPE_WEBHOOK_SECRET,required,notEmpty"`
	// Listen is host:port; that of URL if empty.
	Listen string `env:"PAYSTAGE_LISTEN"`
	// MaxPurchaseCents is the most for one purchase (R2).
	MaxPurchaseCents int64 `env:"PAYSTAGE_MAX_PURCHASE_CENTS" envDefault:"1000000"`
}

// LoadWorker reads the worker's configuration.
func LoadWorker() (Worker, error) {
	c, err := env.ParseAs[Worker]()
	if err != nil {
		return Worker{}, fmt.Errorf("configuration: %w", err)
	}
	if err := c.Common.check(); err != nil {
		return Worker{}, err
	}
	if c.ReturnURL == "" {
		c.ReturnURL = c.URL + "/return"
	}
	if (c.MailDir == "") == (c.SMTPURL == "") {
		return Worker{}, errors.New("configuration: set one of MAIL_DIR (mails as files) and SMTP_URL (mails by a server)")
	}
	return c, nil
}

// LoadServe reads the front door's configuration.
func LoadServe() (Serve, error) {
	c, err := env.ParseAs[Serve]()
	if err != nil {
		return Serve{}, fmt.Errorf("configuration: %w", err)
	}
	if err := c.Common.check(); err != nil {
		return Serve{}, err
	}
	if c.Listen == "" {
		address, _ := url.Parse(c.URL) // check has parsed it
		c.Listen = address.Host
	}
	return c, nil
}

// check looks at what can be seen to be wrong, and brings addresses into the one
// form in which they are compared and stored.
func (c *Common) check() error {
	c.URL = strings.TrimSuffix(c.URL, "/")
	if err := checkURL("PAYSTAGE_URL", c.URL); err != nil {
		return err
	}
	for i, gateway := range c.GatewayURLs {
		c.GatewayURLs[i] = strings.TrimSuffix(strings.TrimSpace(gateway), "/")
		if err := checkURL("PAYSTAGE_GATEWAY_URLS", c.GatewayURLs[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkURL(name, value string) error {
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("configuration: %s: %q is not a URL such as http://127.0.0.1:8080", name, value)
	}
	return nil
}
