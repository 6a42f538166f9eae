package sim

import "strings"

// route is one endpoint of Stripe's: which parameters the double takes, and
// which Stripe takes besides.
type route struct {
	method, path string
	takes        []string
	lacks        []string
	expands      []string
	run          func(*call) (any, *refusal)
}

var (
	billingNames = []string{
		"billing_details[email]", "billing_details[name]", "billing_details[phone]",
		"billing_details[address][city]", "billing_details[address][country]", "billing_details[address][line1]",
		"billing_details[address][line2]", "billing_details[address][postal_code]", "billing_details[address][state]",
	}
	pageNames     = []string{"limit", "starting_after", "ending_before", "expand[]"}
	createdNames  = []string{"created", "created[gt]", "created[gte]", "created[lt]", "created[lte]"}
	intentExpands = []string{"latest_charge", "customer", "payment_method"}
)

func names(lists ...[]string) []string {
	var all []string
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// routes are all that the double models.
var routes = []route{
	{
		method: "POST", path: "/v1/customers", run: (*call).createCustomer,
		takes: []string{"email", "name", "description", "phone", "metadata[*]", "expand[]",
			"address[city]", "address[country]", "address[line1]", "address[line2]", "address[postal_code]", "address[state]"},
		lacks: []string{"balance", "cash_balance", "coupon", "invoice_prefix", "invoice_settings", "next_invoice_sequence",
			"payment_method", "preferred_locales", "promotion_code", "shipping", "source", "tax", "tax_exempt", "tax_id_data", "test_clock"},
	},
	{method: "GET", path: "/v1/customers/{id}", run: (*call).getCustomer, takes: []string{"expand[]"}},
	{
		method: "POST", path: "/v1/payment_methods", run: (*call).createPaymentMethod,
		takes: names(billingNames, []string{"type", "card[number]", "card[exp_month]", "card[exp_year]", "card[cvc]", "metadata[*]", "expand[]"}),
		lacks: []string{"card[token]", "card[networks]", "customer", "payment_method", "radar_options", "acss_debit", "affirm",
			"afterpay_clearpay", "alipay", "au_becs_debit", "bacs_debit", "bancontact", "blik", "boleto", "cashapp", "customer_balance",
			"eps", "fpx", "giropay", "grabpay", "ideal", "interac_present", "klarna", "konbini", "link", "oxxo", "p24", "paynow",
			"paypal", "pix", "promptpay", "revolut_pay", "sepa_debit", "sofort", "swish", "us_bank_account", "wechat_pay", "zip"},
	},
	{method: "GET", path: "/v1/payment_methods/{id}", run: (*call).getPaymentMethod,
		takes: []string{"expand[]"}, expands: []string{"customer"}},
	{method: "POST", path: "/v1/payment_methods/{id}", run: (*call).updatePaymentMethod,
		takes: names(billingNames, []string{"metadata[*]", "expand[]"}), lacks: []string{"card", "link", "us_bank_account"}, expands: []string{"customer"}},
	{method: "POST", path: "/v1/payment_methods/{id}/attach", run: (*call).attachPaymentMethod,
		takes: []string{"customer", "expand[]"}, expands: []string{"customer"}},
	{
		method: "POST", path: "/v1/payment_intents", run: (*call).createPaymentIntent,
		takes: []string{"amount", "currency", "customer", "payment_method", "payment_method_types[]", "confirm", "off_session",
			"return_url", "metadata[*]", "description", "statement_descriptor_suffix", "capture_method", "confirmation_method",
			"automatic_payment_methods[enabled]", "automatic_payment_methods[allow_redirects]", "expand[]"},
		lacks: []string{"application_fee_amount", "error_on_requires_action", "mandate", "mandate_data", "on_behalf_of",
			"payment_method_configuration", "payment_method_data", "payment_method_options", "radar_options", "receipt_email",
			"setup_future_usage", "shipping", "statement_descriptor", "transfer_data", "transfer_group", "use_stripe_sdk"},
		expands: intentExpands,
	},
	{method: "GET", path: "/v1/payment_intents", run: (*call).listPaymentIntents,
		takes:   names(pageNames, createdNames, []string{"customer"}),
		expands: []string{"data.latest_charge", "data.customer", "data.payment_method"}},
	{method: "GET", path: "/v1/payment_intents/{id}", run: (*call).getPaymentIntent,
		takes: []string{"expand[]"}, lacks: []string{"client_secret"}, expands: intentExpands},
	{
		method: "POST", path: "/v1/payment_intents/{id}/confirm", run: (*call).confirmPaymentIntent,
		takes: []string{"payment_method", "return_url", "off_session", "expand[]"},
		lacks: []string{"capture_method", "client_secret", "error_on_requires_action", "mandate", "mandate_data", "payment_method_data",
			"payment_method_options", "payment_method_types[]", "radar_options", "receipt_email", "setup_future_usage", "shipping", "use_stripe_sdk"},
		expands: intentExpands,
	},
	{method: "POST", path: "/v1/payment_intents/{id}/cancel", run: (*call).cancelPaymentIntent,
		takes: []string{"cancellation_reason", "expand[]"}, expands: intentExpands},
	{method: "GET", path: "/v1/charges/{id}", run: (*call).getCharge,
		takes: []string{"expand[]"}, expands: []string{"customer", "payment_intent"}},
	{method: "GET", path: "/v1/events", run: (*call).listEvents,
		takes: names(pageNames, createdNames, []string{"type", "types[]"}), lacks: []string{"delivery_success"}},
	{method: "GET", path: "/v1/events/{id}", run: (*call).getEvent, takes: []string{"expand[]"}},
}

// findRoute gives the route of a request and the id in its path.
func findRoute(method, path string) (*route, string, bool) {
	for i := range routes {
		rt := &routes[i]
		if rt.method != method {
			continue
		}
		before, after, hasID := strings.Cut(rt.path, "{id}")
		if !hasID {
			if path == rt.path {
				return rt, "", true
			}
			continue
		}
		rest, begins := strings.CutPrefix(path, before)
		id, ends := strings.CutSuffix(rest, after)
		if begins && ends && id != "" && !strings.Contains(id, "/") {
			return rt, id, true
		}
	}
	return nil, "", false
}
