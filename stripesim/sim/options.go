package sim

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// Options configure a Server. The zero value is a double in memory, without a
// webhook endpoint, that takes every sk_test_ key.
type Options struct {
	// SecretKey is the only API key taken. Empty takes every key that begins
	// with sk_test_.
	SecretKey string
	// URL is the public base of the authentication pages, without a slash at
	// its end. Empty takes the host that the API was called under.
	URL string
	// WebhookURL is where events are sent. Empty sends none; see SetWebhookURL.
	WebhookURL string
	// WebhookEvents are the types that the endpoint is enabled for, as at Stripe;
	// empty is all of them.
	WebhookEvents []string
	// WebhookSecret signs them.
	WebhookSecret string
	// StateFile is the journal that keeps the state over a restart. One Server
	// at a time may use it. Empty keeps the state in memory.
	StateFile string
	// ProcessingTime is how long a PaymentIntent stays processing, on the
	// double's clock. Zero leaves it there until Settle or Fail.
	ProcessingTime time.Duration
	// Merchant is the name on the authentication page.
	Merchant string

	// WebhookTimeout bounds one delivery attempt: 10 s by default.
	WebhookTimeout time.Duration
	// WebhookBackoff is the pause before the second attempt: 500 ms by default.
	// It doubles with each attempt, up to a minute.
	WebhookBackoff time.Duration
	// WebhookAttempts bounds the attempts for one event: 100 by default, which
	// lasts an hour and a half. None is made for an event older than 3 days.
	WebhookAttempts int

	// OnExchange, if set, is told of each request to the API with its answer, before
	// the caller has it, and OnEvent of each event. A test judges them by these; they
	// are called from several goroutines at once.
	OnExchange func(Exchange)
	OnEvent    func(event []byte)

	// Now is the machine's clock; time.Now by default.
	Now func() time.Time
	// Log is where refusals and lost webhooks are told; slog.Default by default.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	o.URL = strings.TrimSuffix(o.URL, "/")
	o.Merchant = cmp.Or(o.Merchant, "Paystage (test mode)")
	o.WebhookTimeout = cmp.Or(o.WebhookTimeout, 10*time.Second)
	o.WebhookBackoff = cmp.Or(o.WebhookBackoff, 500*time.Millisecond)
	o.WebhookAttempts = cmp.Or(o.WebhookAttempts, 100)
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func (o Options) validate() error {
	if o.SecretKey != "" && !strings.HasPrefix(o.SecretKey, "sk_test_") {
		return errors.New("the secret key must begin with sk_test_")
	}
	if err := checkBaseURL("url", o.URL); err != nil {
		return err
	}
	if err := checkBaseURL("webhook url", o.WebhookURL); err != nil {
		return err
	}
	if o.WebhookURL != "" && o.WebhookSecret == "" {
		return errors.New("a webhook url needs a webhook secret")
	}
	if o.ProcessingTime < 0 || o.WebhookTimeout < 0 || o.WebhookBackoff < 0 || o.WebhookAttempts < 0 {
		return errors.New("durations and counts must not be negative")
	}
	return nil
}

func checkBaseURL(name, raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("the %s: %w", name, err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("the %s must begin with http:// or https:// and name a host", name)
	}
	return nil
}
