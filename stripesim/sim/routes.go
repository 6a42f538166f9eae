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
	pageNames       = []string{"limit", "starting_after", "ending_before", "expand[]"}
	createdNames    = []string{"created", "created[gt]", "created[gte]", "created[lt]", "created[lte]"}
	intentExpands   = []string{"latest_charge", "customer", "payment_method"}
	setupExpands    = []string{"customer", "payment_method", "mandate"}
	refundExpands   = []string{"charge", "payment_intent"}
	cardOptionNames = []string{
		optionsRoot + "[request_three_d_secure]", mandateRoot + "[amount]", mandateRoot + "[amount_type]", mandateRoot + "[description]",
		mandateRoot + "[end_date]", mandateRoot + "[interval]", mandateRoot + "[interval_count]", mandateRoot + "[reference]",
		mandateRoot + "[start_date]", mandateRoot + "[supported_types][]",
	}
	customerNames = []string{
		"email", "name", "description", "phone", "metadata[*]", "expand[]", "invoice_settings[default_payment_method]",
		"address[city]", "address[country]", "address[line1]", "address[line2]", "address[postal_code]", "address[state]",
	}
	lacksOfCustomers = []string{
		"balance", "cash_balance", "coupon", "invoice_prefix", "invoice_settings", "next_invoice_sequence", "payment_method",
		"preferred_locales", "promotion_code", "shipping", "source", "tax", "tax_exempt", "tax_id_data", "test_clock", "default_source",
	}
)

func names(lists ...[]string) []string {
	var all []string
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

func evidenceParams() []string {
	all := []string{"submit", "metadata[*]", "expand[]"}
	for _, name := range evidenceNames {
		all = append(all, "evidence["+name+"]")
	}
	return all
}

// routes are all that the double models.
var routes = []route{
	{method: "POST", path: "/v1/customers", run: (*call).createCustomer, takes: customerNames, lacks: lacksOfCustomers},
	{method: "GET", path: "/v1/customers/{id}", run: (*call).getCustomer, takes: []string{"expand[]"}},
	{method: "POST", path: "/v1/customers/{id}", run: (*call).updateCustomer, takes: customerNames, lacks: lacksOfCustomers},
	{method: "GET", path: "/v1/customers/{id}/payment_methods", run: (*call).listCustomerPaymentMethods,
		takes: names(pageNames, []string{"type"}), expands: []string{"data.customer"}},
	{
		method: "POST", path: "/v1/payment_methods", run: (*call).createPaymentMethod,
		takes: names(billingNames, []string{"type", "card[number]", "card[exp_month]", "card[exp_year]", "card[cvc]", "card[token]", "metadata[*]", "expand[]"}),
		lacks: []string{"card[networks]", "customer", "payment_method", "radar_options", "acss_debit", "affirm",
			"afterpay_clearpay", "alipay", "au_becs_debit", "bacs_debit", "bancontact", "blik", "boleto", "cashapp", "customer_balance",
			"eps", "fpx", "giropay", "grabpay", "ideal", "interac_present", "klarna", "konbini", "link", "oxxo", "p24", "paynow",
			"paypal", "pix", "promptpay", "revolut_pay", "sepa_debit", "sofort", "swish", "us_bank_account", "wechat_pay", "zip"},
	},
	{method: "GET", path: "/v1/payment_methods", run: (*call).listPaymentMethods,
		takes: names(pageNames, []string{"customer", "type"}), expands: []string{"data.customer"}},
	{method: "GET", path: "/v1/payment_methods/{id}", run: (*call).getPaymentMethod,
		takes: []string{"expand[]"}, expands: []string{"customer"}},
	{method: "POST", path: "/v1/payment_methods/{id}", run: (*call).updatePaymentMethod,
		takes: names(billingNames, []string{"metadata[*]", "expand[]"}), lacks: []string{"card", "link", "us_bank_account"}, expands: []string{"customer"}},
	{method: "POST", path: "/v1/payment_methods/{id}/attach", run: (*call).attachPaymentMethod,
		takes: []string{"customer", "expand[]"}, expands: []string{"customer"}},
	{method: "POST", path: "/v1/payment_methods/{id}/detach", run: (*call).detachPaymentMethod,
		takes: []string{"expand[]"}, expands: []string{"customer"}},
	{
		method: "POST", path: "/v1/payment_intents", run: (*call).createPaymentIntent,
		takes: names(cardOptionNames, []string{"amount", "currency", "customer", "payment_method", "payment_method_types[]", "confirm",
			"off_session", "return_url", "error_on_requires_action", "mandate", "setup_future_usage", "metadata[*]", "description",
			"statement_descriptor_suffix", "capture_method", "confirmation_method",
			"automatic_payment_methods[enabled]", "automatic_payment_methods[allow_redirects]", "expand[]"}),
		lacks: []string{"application_fee_amount", "mandate_data", "on_behalf_of", "payment_method_configuration", "payment_method_data",
			"payment_method_options", "radar_options", "receipt_email", "shipping", "statement_descriptor", "transfer_data",
			"transfer_group", "use_stripe_sdk"},
		expands: intentExpands,
	},
	{method: "GET", path: "/v1/payment_intents", run: (*call).listPaymentIntents,
		takes:   names(pageNames, createdNames, []string{"customer"}),
		expands: []string{"data.latest_charge", "data.customer", "data.payment_method"}},
	{method: "GET", path: "/v1/payment_intents/{id}", run: (*call).getPaymentIntent,
		takes: []string{"expand[]"}, lacks: []string{"client_secret"}, expands: intentExpands},
	{
		method: "POST", path: "/v1/payment_intents/{id}", run: (*call).updatePaymentIntent,
		takes: names(cardOptionNames, []string{"amount", "description", "metadata[*]", "payment_method", "setup_future_usage", "expand[]"}),
		lacks: []string{"application_fee_amount", "capture_method", "currency", "customer", "payment_method_configuration", "payment_method_data",
			"payment_method_options", "payment_method_types[]", "receipt_email", "shipping", "statement_descriptor", "statement_descriptor_suffix",
			"transfer_data", "transfer_group"},
		expands: intentExpands,
	},
	{
		method: "POST", path: "/v1/payment_intents/{id}/confirm", run: (*call).confirmPaymentIntent,
		takes: names(cardOptionNames, []string{"payment_method", "return_url", "off_session", "error_on_requires_action", "mandate",
			"setup_future_usage", "expand[]"}),
		lacks: []string{"capture_method", "client_secret", "mandate_data", "payment_method_data", "payment_method_options",
			"payment_method_types[]", "radar_options", "receipt_email", "shipping", "use_stripe_sdk"},
		expands: intentExpands,
	},
	{method: "POST", path: "/v1/payment_intents/{id}/cancel", run: (*call).cancelPaymentIntent,
		takes: []string{"cancellation_reason", "expand[]"}, expands: intentExpands},
	{
		method: "POST", path: "/v1/setup_intents", run: (*call).createSetupIntent,
		takes: names(cardOptionNames, []string{mandateRoot + "[currency]", "customer", "payment_method", "payment_method_types[]", "confirm", "return_url",
			"usage", "metadata[*]", "description", "automatic_payment_methods[enabled]", "automatic_payment_methods[allow_redirects]", "expand[]"}),
		lacks: []string{"attach_to_self", "flow_directions", "mandate_data", "on_behalf_of", "payment_method_configuration",
			"payment_method_data", "payment_method_options", "single_use", "use_stripe_sdk"},
		expands: setupExpands,
	},
	{method: "GET", path: "/v1/setup_intents", run: (*call).listSetupIntents, lacks: []string{"attach_to_self"},
		takes:   names(pageNames, createdNames, []string{"customer", "payment_method"}),
		expands: []string{"data.customer", "data.payment_method", "data.mandate"}},
	{method: "GET", path: "/v1/setup_intents/{id}", run: (*call).getSetupIntent,
		takes: []string{"expand[]"}, lacks: []string{"client_secret"}, expands: setupExpands},
	{method: "POST", path: "/v1/setup_intents/{id}/confirm", run: (*call).confirmSetupIntent,
		takes:   []string{"payment_method", "return_url", "expand[]"},
		lacks:   []string{"client_secret", "mandate_data", "payment_method_data", "payment_method_options", "use_stripe_sdk"},
		expands: setupExpands},
	{method: "POST", path: "/v1/setup_intents/{id}/cancel", run: (*call).cancelSetupIntent,
		takes: []string{"cancellation_reason", "expand[]"}, expands: setupExpands},
	{method: "GET", path: "/v1/mandates/{id}", run: (*call).getMandate, takes: []string{"expand[]"}, expands: []string{"payment_method"}},
	{method: "POST", path: "/v1/refunds", run: (*call).createRefund,
		takes: []string{"charge", "payment_intent", "amount", "reason", "metadata[*]", "expand[]"},
		lacks: []string{"currency", "customer", "instructions_email", "origin", "refund_application_fee", "reverse_transfer"}, expands: refundExpands},
	{method: "GET", path: "/v1/refunds", run: (*call).listRefunds,
		takes: names(pageNames, createdNames, []string{"charge", "payment_intent"}), expands: []string{"data.charge", "data.payment_intent"}},
	{method: "GET", path: "/v1/refunds/{id}", run: (*call).getRefund, takes: []string{"expand[]"}, expands: refundExpands},
	{method: "POST", path: "/v1/refunds/{id}", run: (*call).updateRefund, takes: []string{"metadata[*]", "expand[]"}, expands: refundExpands},
	{method: "POST", path: "/v1/refunds/{id}/cancel", run: (*call).cancelRefund, takes: []string{"expand[]"}, expands: refundExpands},
	{method: "GET", path: "/v1/disputes", run: (*call).listDisputes,
		takes: names(pageNames, createdNames, []string{"charge", "payment_intent"}), expands: []string{"data.charge", "data.payment_intent"}},
	{method: "GET", path: "/v1/disputes/{id}", run: (*call).getDispute, takes: []string{"expand[]"}, expands: refundExpands},
	{method: "POST", path: "/v1/disputes/{id}", run: (*call).updateDispute, takes: evidenceParams(), lacks: []string{"evidence"}, expands: refundExpands},
	{method: "POST", path: "/v1/disputes/{id}/close", run: (*call).acceptDispute, takes: []string{"expand[]"}, expands: refundExpands},
	{method: "GET", path: "/v1/charges", run: (*call).listCharges, lacks: []string{"transfer_group"},
		takes: names(pageNames, createdNames, []string{"customer", "payment_intent"}), expands: []string{"data.customer", "data.payment_intent"}},
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
