package activities

import (
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
)

// stripeTimeout bounds one call to Stripe, the bank's time included. A call that
// takes longer is unknown, and looked up.
const stripeTimeout = 20 * time.Second

// NewStripeClient makes a client of the Stripe API at base ("" is Stripe's own).
// It never repeats a request by itself: stripe-go would, and Temporal does it with
// the right key. It logs nothing: error texts may quote a customer (I9).
func NewStripeClient(base, secretKey string) *client.API {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	config := &stripe.BackendConfig{
		HTTPClient:        &http.Client{Timeout: stripeTimeout, Transport: transport},
		MaxNetworkRetries: stripe.Int64(0),
		EnableTelemetry:   stripe.Bool(false),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
	}
	if base != "" {
		config.URL = stripe.String(base)
	}
	api := stripe.GetBackendWithConfig(stripe.APIBackend, config)
	return client.New(secretKey, &stripe.Backends{API: api, Connect: api, Uploads: api})
}
