package sim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/stripesim/sim"
)

func TestRefusesWhatItDoesNotModel(t *testing.T) {
	d := start(t, sim.Options{})
	tests := []struct {
		name, path string
		form       url.Values
	}{
		{"Route", "/v1/payment_intents/pi_1/apply_customer_balance", url.Values{}},
		{"Capture", "/v1/payment_intents/pi_1/capture", url.Values{}},
		{"Parameter", "/v1/payment_intents", url.Values{"amount": {"500"}, "currency": {"usd"}, "transfer_data[destination]": {"acct_1"}}},
		{"Value", "/v1/payment_intents", url.Values{"amount": {"500"}, "currency": {"usd"}, "capture_method": {"manual"}}},
		{"Currency", "/v1/payment_intents", url.Values{"amount": {"500"}, "currency": {"eur"}}},
		{"Expand", "/v1/payment_intents", url.Values{"amount": {"500"}, "currency": {"usd"}, "expand[]": {"latest_charge.balance_transaction"}}},
		{"TestCard", "/v1/payment_intents", url.Values{"amount": {"500"}, "currency": {"usd"}, "payment_method": {"pm_card_createMultipleDisputes"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, body := post(t, d, test.path, "", test.form)
			if status != 501 || !strings.Contains(body, `"sim_not_modelled"`) {
				t.Errorf("got %d %s", status, body)
			}
		})
	}
	if len(d.PaymentIntents()) != 0 {
		t.Error("a refused request had an effect")
	}
}

func TestUnknownParameters(t *testing.T) {
	d := start(t, sim.Options{})
	for _, name := range []string{"colour", "metadata", "amount[cents]", "automatic_payment_methods[colour]"} {
		status, body := post(t, d, "/v1/payment_intents", "", url.Values{"amount": {"500"}, "currency": {"usd"}, name: {"1"}})
		if status != 400 || !strings.Contains(body, `"parameter_unknown"`) || !strings.Contains(body, "Received unknown parameter: "+name) {
			t.Errorf("%s: got %d %s", name, status, body)
		}
	}
}

func TestInvalidParameters(t *testing.T) {
	d := start(t, sim.Options{})
	tests := []struct {
		name, path string
		form       url.Values
		code       string
	}{
		{"NoAmount", "/v1/payment_intents", url.Values{"currency": {"usd"}}, "parameter_missing"},
		{"NoCurrency", "/v1/payment_intents", url.Values{"amount": {"500"}}, "parameter_missing"},
		{"Fraction", "/v1/payment_intents", url.Values{"amount": {"5.5"}, "currency": {"usd"}}, "parameter_invalid_integer"},
		{"Empty", "/v1/payment_intents", url.Values{"amount": {"500"}, "currency": {"usd"}, "customer": {""}}, "parameter_invalid_empty"},
		{"NoCustomer", "/v1/payment_methods/pm_card_visa/attach", url.Values{}, "parameter_missing"},
		{"NoType", "/v1/payment_methods", url.Values{}, "parameter_missing"},
		{"ReturnURL", "/v1/payment_intents", url.Values{"amount": {"500"}, "currency": {"usd"}, "payment_method": {"pm_card_visa"},
			"confirm": {"true"}, "return_url": {"nowhere"}}, "url_invalid"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if status, body := post(t, d, test.path, "", test.form); status != 400 || !strings.Contains(body, `"`+test.code+`"`) {
				t.Errorf("got %d %s", status, body)
			}
		})
	}
}

func TestCallerMustHaveTheKey(t *testing.T) {
	d := start(t, sim.Options{SecretKey: testKey})
	d.customerWith(t, "pm_card_visa")
	for _, key := range []string{"sk_test_other", "sk_live_x", "nonsense", "x"} {
		_, err := newClient(d.url, key, 0).Customers.New(nil)
		wantError(t, err, http.StatusUnauthorized, stripe.ErrorTypeInvalidRequest, "")
	}
	resp, err := http.Get(d.url + "/v1/customers/cus_1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("Request-Id") == "" {
		t.Errorf("got %d", resp.StatusCode)
	}
	if _, err := newClient(start(t, sim.Options{}).url, "sk_live_x", 0).Customers.New(nil); err == nil {
		t.Error("a live key was taken")
	}
}

func TestOtherVersionIsRefused(t *testing.T) {
	d := start(t, sim.Options{})
	params := &stripe.CustomerParams{}
	params.Headers = http.Header{"Stripe-Version": {"2024-06-20"}}
	_, err := d.api.Customers.New(params)
	wantError(t, err, 501, stripe.ErrorTypeAPI, "sim_not_modelled")
}

func TestBadOptions(t *testing.T) {
	for _, opts := range []sim.Options{
		{SecretKey: "sk_live_1"}, {URL: "nowhere"}, {WebhookURL: "ftp://x/", WebhookSecret: "s"}, {WebhookURL: "http://x/"},
		{ProcessingTime: -1}, {StateFile: t.TempDir()},
	} {
		if srv, err := sim.New(opts); err == nil {
			srv.Close()
			t.Errorf("%+v was taken", opts)
		}
	}
}
