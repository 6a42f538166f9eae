package sim

import (
	"net/http"
	"net/url"
	"strings"
)

// The states of a PaymentIntent.
const (
	statusRequiresPaymentMethod = "requires_payment_method"
	statusRequiresConfirmation  = "requires_confirmation"
	statusRequiresAction        = "requires_action"
	statusProcessing            = "processing"
	statusSucceeded             = "succeeded"
	statusCanceled              = "canceled"
)

// Stripe's limits on a charge in usd.
const (
	minAmountCents = 50
	maxAmountCents = 99_999_999
	maxSuffixChars = 22
)

// intentObject is Stripe's PaymentIntent.
type intentObject struct {
	ID                        string            `json:"id"`
	Object                    string            `json:"object"`
	Amount                    int64             `json:"amount"`
	AmountCapturable          int64             `json:"amount_capturable"`
	AmountReceived            int64             `json:"amount_received"`
	Application               null              `json:"application"`
	ApplicationFeeAmount      null              `json:"application_fee_amount"`
	AutomaticPaymentMethods   *automaticMethods `json:"automatic_payment_methods"`
	CanceledAt                unixTime          `json:"canceled_at"`
	CancellationReason        text              `json:"cancellation_reason"`
	CaptureMethod             string            `json:"capture_method"`
	ClientSecret              string            `json:"client_secret"`
	ConfirmationMethod        string            `json:"confirmation_method"`
	Created                   int64             `json:"created"`
	Currency                  string            `json:"currency"`
	Customer                  ref               `json:"customer"`
	Description               text              `json:"description"`
	Invoice                   null              `json:"invoice"`
	LastPaymentError          *problem          `json:"last_payment_error"`
	LatestCharge              ref               `json:"latest_charge"`
	Livemode                  bool              `json:"livemode"`
	Metadata                  map[string]string `json:"metadata"`
	NextAction                *nextAction       `json:"next_action"`
	OnBehalfOf                null              `json:"on_behalf_of"`
	PaymentMethod             ref               `json:"payment_method"`
	PaymentMethodOptions      methodOptions     `json:"payment_method_options"`
	PaymentMethodTypes        []string          `json:"payment_method_types"`
	Processing                *processingObject `json:"processing"`
	ReceiptEmail              null              `json:"receipt_email"`
	Review                    null              `json:"review"`
	SetupFutureUsage          text              `json:"setup_future_usage"`
	Shipping                  null              `json:"shipping"`
	StatementDescriptor       null              `json:"statement_descriptor"`
	StatementDescriptorSuffix text              `json:"statement_descriptor_suffix"`
	Status                    string            `json:"status"`
	TransferData              null              `json:"transfer_data"`
	TransferGroup             null              `json:"transfer_group"`
}

type automaticMethods struct {
	AllowRedirects string `json:"allow_redirects"`
	Enabled        bool   `json:"enabled"`
}

// nextAction sends the customer to the bank's page: by the merchant's own
// redirect when a return_url was given, else by Stripe.js.
type nextAction struct {
	Type          string         `json:"type"`
	RedirectToURL *redirectToURL `json:"redirect_to_url,omitempty"`
	UseStripeSDK  *useStripeSDK  `json:"use_stripe_sdk,omitempty"`
}

type redirectToURL struct {
	ReturnURL string `json:"return_url"`
	URL       string `json:"url"`
}

type useStripeSDK struct {
	Type     string `json:"type"`
	StripeJS string `json:"stripe_js"`
}

// intent is a PaymentIntent and what only the double knows of it.
type intent struct {
	Object intentObject `json:"object"`
	// CreatedByKey is the idempotency key that it was created under.
	CreatedByKey string `json:"created_by_key,omitempty"`
	// Authentication is the page of the attempt that waits for the customer.
	Authentication string `json:"authentication,omitempty"`
	// SettleAt is when processing ends, in nanoseconds of Unix time on the
	// double's clock; zero leaves that to an order.
	SettleAt int64 `json:"settle_at,omitempty"`
	// DisputeAt is when its card disputes it, in the same way.
	DisputeAt int64 `json:"dispute_at,omitempty"`
	// Mandate is what an off-session payment in India rests on, and Approved says
	// that the customer approved it at the notice.
	Mandate  string `json:"mandate,omitempty"`
	Approved bool   `json:"approved,omitempty"`
}

func (c *call) createPaymentIntent() (any, *refusal) {
	pi, m, r := c.intentFromParams()
	if r != nil {
		return nil, r
	}
	attempt, wanted, r := c.confirmationFromParams(pi, m)
	if r != nil {
		return nil, r
	}
	if m != nil {
		c.saveMethod(m)
	}
	c.saveIntent(pi)
	c.emit("payment_intent.created", pi.Object)
	if wanted {
		if r := c.confirm(pi, attempt); r != nil {
			return nil, r
		}
	}
	return c.intentView(pi, ""), nil
}

// intentFromParams reads and checks everything that a new PaymentIntent is made of.
func (c *call) intentFromParams() (*intent, *method, *refusal) {
	if r := c.checkUnmodelledValues(); r != nil {
		return nil, nil, r
	}
	amount, r := c.amountFromParams()
	if r != nil {
		return nil, nil, r
	}
	automatic, r := c.automaticMethodsFromParams()
	if r != nil {
		return nil, nil, r
	}
	customer, r := c.customerRef(c.params.get("customer"))
	if r != nil {
		return nil, nil, r
	}
	suffix := c.params.get("statement_descriptor_suffix")
	if len(suffix) > maxSuffixChars || strings.ContainsAny(suffix, `<>\'"*`) {
		return nil, nil, invalidParam("", "statement_descriptor_suffix",
			"The statement descriptor suffix must be at most %d characters and must not contain any of < > \\ ' \" *.", maxSuffixChars)
	}
	pi := &intent{CreatedByKey: string(c.origin.Key), Object: intentObject{
		ID: newID("pi_3", 23), Object: "payment_intent", Amount: amount, AutomaticPaymentMethods: automatic,
		CaptureMethod: "automatic", ConfirmationMethod: "automatic", Created: c.now.Unix(), Currency: "usd",
		Customer: customer, Description: text(c.params.get("description")), Metadata: map[string]string{},
		PaymentMethodTypes: []string{"card"}, StatementDescriptorSuffix: text(suffix), Status: statusRequiresPaymentMethod,
	}}
	pi.Object.ClientSecret = pi.Object.ID + newID("_secret_", 25)
	if r := c.params.mergeMetadata(pi.Object.Metadata); r != nil {
		return nil, nil, r
	}
	if r := c.takeFutureUsage(pi); r != nil {
		return nil, nil, r
	}
	if !c.params.has("payment_method") {
		return pi, nil, nil
	}
	m, r := c.methodFor(pi, c.params.get("payment_method"))
	if r != nil {
		return nil, nil, r
	}
	pi.Object.PaymentMethod, pi.Object.Status = ref{id: m.Object.ID}, statusRequiresConfirmation
	return pi, m, nil
}

// checkUnmodelledValues refuses the values of modelled parameters that the
// double has no behaviour for.
func (c *call) checkUnmodelledValues() *refusal {
	for _, name := range []string{"capture_method", "confirmation_method"} {
		if value := c.params.get(name); value != "" && value != "automatic" {
			return notModelled("the %s %s", name, value)
		}
	}
	switch currency := strings.ToLower(c.params.get("currency")); currency {
	case "usd":
		return c.checkMethodTypes()
	case "":
		return missingParam("currency")
	default:
		return notModelled("the currency %s", currency)
	}
}

func (c *call) checkMethodTypes() *refusal {
	for _, kind := range c.params["payment_method_types[]"] {
		if kind != "card" {
			return notModelled("the payment method type %s", kind)
		}
	}
	return nil
}

func (c *call) amountFromParams() (int64, *refusal) {
	if !c.params.has("amount") {
		return 0, missingParam("amount")
	}
	amount, r := c.params.integer("amount", 0)
	switch {
	case r != nil:
		return 0, r
	case amount < 1:
		return 0, invalidParam("parameter_invalid_integer", "amount", "This value must be greater than or equal to 1.")
	case amount < minAmountCents:
		return 0, newRefusal(http.StatusBadRequest, problem{Type: typeInvalid, Code: "amount_too_small", Param: "amount",
			Message: "Amount must be at least $0.50 usd"})
	case amount > maxAmountCents:
		return 0, newRefusal(http.StatusBadRequest, problem{Type: typeInvalid, Code: "amount_too_large", Param: "amount",
			Message: "Amount must be no more than $999,999.99"})
	}
	return amount, nil
}

// automaticMethodsFromParams: since 2023-08-16 a PaymentIntent without payment
// method types takes all that the Dashboard enables, redirects included.
func (c *call) automaticMethodsFromParams() (*automaticMethods, *refusal) {
	enabled, r := c.params.boolean("automatic_payment_methods[enabled]")
	if r != nil {
		return nil, r
	}
	explicit := c.params.has("payment_method_types[]")
	if explicit && enabled {
		return nil, invalidParam("", "payment_method_types",
			"You may only specify one of these parameters: automatic_payment_methods, payment_method_types.")
	}
	if explicit || (c.params.has("automatic_payment_methods[enabled]") && !enabled) {
		return nil, nil
	}
	redirects := c.params.get("automatic_payment_methods[allow_redirects]")
	switch redirects {
	case "":
		redirects = "always"
	case "always", "never":
	default:
		return nil, invalidParam("", "automatic_payment_methods[allow_redirects]",
			"Invalid automatic_payment_methods[allow_redirects]: must be one of always or never")
	}
	return &automaticMethods{AllowRedirects: redirects, Enabled: true}, nil
}

// methodFor gives the payment method, if this PaymentIntent may use it.
func (c *call) methodFor(pi *intent, id string) (*method, *refusal) {
	m, r := c.findMethod(id, http.StatusBadRequest)
	if r != nil {
		return nil, r
	}
	return m, mayUse(m, pi.Object.Customer.id)
}

// mayUse refuses a payment method that is used up, or another customer's.
func mayUse(m *method, payer string) *refusal {
	owner, id := m.Object.Customer.id, m.Object.ID
	switch {
	case m.Spent:
		return invalidRequest("payment_method", "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must attach it to a Customer first.")
	case owner != "" && payer == "":
		return invalidRequest("payment_method", "The PaymentMethod supplied ("+id+") belongs to the Customer "+owner+". Please include the Customer in the `customer` parameter on the PaymentIntent.")
	case owner != "" && owner != payer:
		return invalidRequest("payment_method", "The customer does not have a payment method with the ID "+id+". The payment method must be attached to the customer.")
	}
	return nil
}

// takeFutureUsage reads what a confirmation may still say of saving the card.
func (c *call) takeFutureUsage(pi *intent) *refusal {
	switch usage := c.params.get("setup_future_usage"); usage {
	case "":
	case "off_session", "on_session":
		pi.Object.SetupFutureUsage = text(usage)
	default:
		return invalidParam("", "setup_future_usage", "Invalid setup_future_usage: must be one of off_session or on_session")
	}
	options, r := c.methodOptionsFromParams(false)
	if r == nil && options.Card != nil {
		pi.Object.PaymentMethodOptions = options
	}
	return r
}

func (c *call) getPaymentIntent() (any, *refusal) {
	pi, r := c.namedIntent()
	if r != nil {
		return nil, r
	}
	return c.intentView(pi, ""), nil
}

// updatePaymentIntent changes what is still open; of an ended payment only what
// it is called.
func (c *call) updatePaymentIntent() (any, *refusal) {
	pi, r := c.namedIntent()
	if r != nil {
		return nil, r
	}
	ended := pi.Object.Status == statusSucceeded || pi.Object.Status == statusCanceled || pi.Object.Status == statusProcessing
	if ended && (c.params.has("amount") || c.params.has("payment_method") || c.params.has("setup_future_usage") || c.params.hasBelow(optionsRoot)) {
		return nil, c.unexpectedState(pi, "This PaymentIntent could not be updated because it has a status of "+pi.Object.Status+".")
	}
	changed := *pi
	changed.Object.Metadata = cloneMetadata(pi.Object.Metadata)
	if r := c.params.mergeMetadata(changed.Object.Metadata); r != nil {
		return nil, r
	}
	if c.params.has("amount") {
		if changed.Object.Amount, r = c.amountFromParams(); r != nil {
			return nil, r
		}
	}
	c.params.setText(&changed.Object.Description, "description")
	if r := c.takeFutureUsage(&changed); r != nil {
		return nil, r
	}
	if c.params.has("payment_method") {
		m, r := c.methodFor(&changed, c.params.get("payment_method"))
		if r != nil {
			return nil, r
		}
		c.saveMethod(m)
		c.endAction(pi)
		changed.Authentication, changed.Object.NextAction = "", nil
		changed.Object.PaymentMethod, changed.Object.Status = ref{id: m.Object.ID}, statusRequiresConfirmation
	}
	*pi = changed
	c.saveIntent(pi)
	return c.intentView(pi, ""), nil
}

func (c *call) namedIntent() (*intent, *refusal) {
	pi, found := c.intents.byID[c.id]
	if !found {
		return nil, missing(http.StatusNotFound, "payment_intent", c.id, "intent")
	}
	return pi, nil
}

func (c *call) listPaymentIntents() (any, *refusal) {
	ids := c.intents.order
	if c.params.has("customer") {
		customer, r := c.customerRef(c.params.get("customer"))
		if r != nil {
			return nil, r
		}
		ids = c.intentsOf[customer.id]
	}
	page, r := c.readPage()
	if r != nil {
		return nil, r
	}
	picked, more, r := page.pick(ids, "payment_intent", func(id string) bool {
		return page.created.contains(c.intents.byID[id].Object.Created)
	})
	if r != nil {
		return nil, r
	}
	data := make([]intentObject, 0, len(picked))
	for _, id := range picked {
		data = append(data, c.intentView(c.intents.byID[id], "data."))
	}
	return list[intentObject]{Object: "list", Data: data, HasMore: more, URL: "/v1/payment_intents"}, nil
}

var cancellationReasons = map[string]bool{
	"": true, "duplicate": true, "fraudulent": true, "requested_by_customer": true, "abandoned": true,
}

func (c *call) cancelPaymentIntent() (any, *refusal) {
	pi, r := c.namedIntent()
	if r != nil {
		return nil, r
	}
	reason := c.params.get("cancellation_reason")
	if !cancellationReasons[reason] {
		return nil, invalidParam("", "cancellation_reason",
			"Invalid cancellation_reason: must be one of duplicate, fraudulent, requested_by_customer, or abandoned")
	}
	switch pi.Object.Status {
	case statusSucceeded, statusProcessing, statusCanceled:
		return nil, c.unexpectedState(pi, "You cannot cancel this PaymentIntent because it has a status of "+pi.Object.Status+
			". Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, requires_capture, requires_confirmation, requires_action.")
	}
	pi.Object.Status, pi.Object.CanceledAt, pi.Object.CancellationReason = statusCanceled, unixTime(c.now.Unix()), text(reason)
	c.endAction(pi)
	c.saveIntent(pi)
	c.emit("payment_intent.canceled", pi.Object)
	return c.intentView(pi, ""), nil
}

func (c *call) unexpectedState(pi *intent, message string) *refusal {
	view := pi.Object
	return newRefusal(http.StatusBadRequest, problem{
		Type: typeInvalid, Code: "payment_intent_unexpected_state", Message: message, PaymentIntent: &view,
	})
}

// intentView is the PaymentIntent as the caller wants it expanded.
func (c *call) intentView(pi *intent, prefix string) intentObject {
	view := pi.Object
	if c.expands(prefix+"latest_charge") && view.LatestCharge.id != "" {
		view.LatestCharge.expanded = c.charges.byID[view.LatestCharge.id]
	}
	if c.expands(prefix+"customer") && view.Customer.id != "" {
		view.Customer.expanded = c.customers.byID[view.Customer.id]
	}
	if c.expands(prefix+"payment_method") && view.PaymentMethod.id != "" {
		view.PaymentMethod.expanded = c.methods.byID[view.PaymentMethod.id].Object
	}
	return view
}

// confirmationFromParams reads how to confirm, and whether a creation is to be
// confirmed at once. It refuses before anything is stored.
func (c *call) confirmationFromParams(pi *intent, m *method) (attempt confirmation, wanted bool, _ *refusal) {
	wanted, r := c.params.boolean("confirm")
	if r != nil {
		return attempt, false, r
	}
	for _, name := range []string{"off_session", "return_url", "error_on_requires_action", "mandate"} {
		if !wanted && c.params.has(name) {
			return attempt, false, invalidParam("", name, "This parameter can only be used with confirm=true.")
		}
	}
	if !wanted {
		return attempt, false, nil
	}
	attempt, r = c.readConfirmation()
	if r != nil {
		return attempt, true, r
	}
	if m == nil {
		return attempt, true, invalidRequest("", missingMethodMessage)
	}
	attempt.method = m
	return attempt, true, checkConfirmation(pi, attempt)
}

// readConfirmation reads how to confirm.
func (c *call) readConfirmation() (attempt confirmation, r *refusal) {
	switch value := c.params.get("off_session"); value {
	case "one_off", "recurring":
		return attempt, notModelled("off_session=%s", value)
	}
	if attempt.offSession, r = c.params.boolean("off_session"); r != nil {
		return attempt, r
	}
	if attempt.failsOnAction, r = c.params.boolean("error_on_requires_action"); r != nil {
		return attempt, r
	}
	if attempt.returnURL, r = c.returnURL(); r != nil || !c.params.has("mandate") {
		return attempt, r
	}
	id := c.params.get("mandate")
	agreed, found := c.mandates.byID[id]
	if !found {
		return attempt, missing(http.StatusBadRequest, "mandate", id, "mandate")
	}
	attempt.mandate = agreed
	return attempt, nil
}

func (c *call) returnURL() (string, *refusal) {
	returnURL := c.params.get("return_url")
	if u, err := url.Parse(returnURL); returnURL != "" && (err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "") {
		return "", invalidParam("url_invalid", "return_url", "Not a valid URL")
	}
	return returnURL, nil
}
