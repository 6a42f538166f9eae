package sim_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"

	"github.com/paystage/paystage/stripesim/judge"
	"github.com/paystage/paystage/stripesim/sim"
)

const (
	testKey    = "sk_test_stripesim"
	testSecret = "whsec_stripesim"
	returnURL  = "https://shop.example/back?order=7"
)

// double is a running Server and a real stripe-go client for it.
type double struct {
	*sim.Server
	url string
	api *client.API
}

// start gives a double whose answers are judged; a test of refusals sends it what
// Stripe refuses too.
func start(t testing.TB, opts sim.Options) *double {
	t.Helper()
	return serve(t, judge.AnswersOf(t, quietly(opts)))
}

// startJudged gives a double that is sent only what Stripe takes.
func startJudged(t testing.TB, opts sim.Options) *double {
	t.Helper()
	return serve(t, judge.Double(t, quietly(opts)))
}

func quietly(opts sim.Options) sim.Options {
	opts.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	opts.WebhookSecret = testSecret
	return opts
}

func serve(t testing.TB, srv *sim.Server) *double {
	t.Helper()
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return &double{Server: srv, url: web.URL, api: newClient(web.URL, testKey, 30*time.Second)}
}

func newClient(url, key string, timeout time.Duration) *client.API {
	config := &stripe.BackendConfig{
		URL: stripe.String(url), MaxNetworkRetries: stripe.Int64(0),
		HTTPClient: &http.Client{Timeout: timeout}, LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	}
	return client.New(key, &stripe.Backends{API: stripe.GetBackendWithConfig(stripe.APIBackend, config)})
}

// customerWith makes a customer with the payment method attached.
func (d *double) customerWith(t testing.TB, method string) (customer, attached string) {
	t.Helper()
	cus, err := d.api.Customers.New(&stripe.CustomerParams{Email: stripe.String("ada@example.com")})
	if err != nil {
		t.Fatal(err)
	}
	pm, err := d.api.PaymentMethods.Attach(method, &stripe.PaymentMethodAttachParams{Customer: stripe.String(cus.ID)})
	if err != nil {
		t.Fatalf("attach %s: %v", method, err)
	}
	return cus.ID, pm.ID
}

// charge are the parameters of a purchase on-session.
func charge(customer, method string) *stripe.PaymentIntentParams {
	return &stripe.PaymentIntentParams{
		Amount: stripe.Int64(2500), Currency: stripe.String("usd"), Customer: stripe.String(customer),
		PaymentMethod: stripe.String(method), PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
		Confirm: stripe.Bool(true), ReturnURL: stripe.String(returnURL),
		Metadata: map[string]string{"purchase_id": "pur_1"},
	}
}

func offSession(customer, method string) *stripe.PaymentIntentParams {
	p := charge(customer, method)
	p.ReturnURL, p.OffSession = nil, stripe.Bool(true)
	return p
}

func withKey(p *stripe.PaymentIntentParams, key string) *stripe.PaymentIntentParams {
	p.SetIdempotencyKey(key)
	return p
}

// mustPay makes a payment that ends in the status.
func (d *double) mustPay(t testing.TB, p *stripe.PaymentIntentParams, status stripe.PaymentIntentStatus) *stripe.PaymentIntent {
	t.Helper()
	pi, err := d.api.PaymentIntents.New(p)
	if err != nil {
		t.Fatal(err)
	}
	if pi.Status != status {
		t.Fatalf("status %s, want %s", pi.Status, status)
	}
	return pi
}

func (d *double) intent(t testing.TB, id string) *stripe.PaymentIntent {
	t.Helper()
	p := &stripe.PaymentIntentParams{}
	p.AddExpand("latest_charge")
	pi, err := d.api.PaymentIntents.Get(id, p)
	if err != nil {
		t.Fatal(err)
	}
	return pi
}

// stripeError is the error's Stripe form; the test ends without one.
func stripeError(t testing.TB, err error) *stripe.Error {
	t.Helper()
	var se *stripe.Error
	if !errors.As(err, &se) {
		t.Fatalf("got %v, want an error of Stripe's", err)
	}
	return se
}

func wantError(t testing.TB, err error, status int, kind stripe.ErrorType, code string) *stripe.Error {
	t.Helper()
	se := stripeError(t, err)
	if se.HTTPStatusCode != status || se.Type != kind || string(se.Code) != code {
		t.Fatalf("got %d %s %q (%s), want %d %s %q", se.HTTPStatusCode, se.Type, se.Code, se.Msg, status, kind, code)
	}
	return se
}

// eventTypes are the types of all events, oldest first.
func (d *double) eventTypes(t testing.TB) []string {
	t.Helper()
	var types []string
	for events := d.api.Events.List(nil); events.Next(); {
		types = append([]string{string(events.Event().Type)}, types...)
	}
	return types
}
