package sim

import (
	"net/http"
	"slices"
)

// setupObject is Stripe's SetupIntent: saving a card for later, for $0.
type setupObject struct {
	ID                      string            `json:"id"`
	Object                  string            `json:"object"`
	Application             null              `json:"application"`
	AutomaticPaymentMethods *automaticMethods `json:"automatic_payment_methods"`
	CancellationReason      text              `json:"cancellation_reason"`
	ClientSecret            string            `json:"client_secret"`
	Created                 int64             `json:"created"`
	Customer                ref               `json:"customer"`
	Description             text              `json:"description"`
	LastSetupError          *problem          `json:"last_setup_error"`
	LatestAttempt           null              `json:"latest_attempt"`
	Livemode                bool              `json:"livemode"`
	Mandate                 ref               `json:"mandate"`
	Metadata                map[string]string `json:"metadata"`
	NextAction              *nextAction       `json:"next_action"`
	OnBehalfOf              null              `json:"on_behalf_of"`
	PaymentMethod           ref               `json:"payment_method"`
	PaymentMethodOptions    methodOptions     `json:"payment_method_options"`
	PaymentMethodTypes      []string          `json:"payment_method_types"`
	SingleUseMandate        null              `json:"single_use_mandate"`
	Status                  string            `json:"status"`
	Usage                   string            `json:"usage"`
}

// setup is a SetupIntent and what only the double knows of it.
type setup struct {
	Object setupObject `json:"object"`
	// Authentication is the page of the attempt that waits for the customer.
	Authentication string `json:"authentication,omitempty"`
}

func (c *call) createSetupIntent() (any, *refusal) {
	si, m, r := c.setupFromParams()
	if r != nil {
		return nil, r
	}
	confirm, r := c.params.boolean("confirm")
	if r != nil {
		return nil, r
	}
	if !confirm && c.params.has("return_url") {
		return nil, invalidParam("", "return_url", "This parameter can only be used with confirm=true.")
	}
	if confirm && m == nil {
		return nil, invalidRequest("", missingSetupMethodMessage)
	}
	returnURL, r := c.returnURL()
	if r != nil {
		return nil, r
	}
	if confirm && needsReturnURL(si.Object.AutomaticPaymentMethods, false, returnURL) {
		return nil, invalidRequest("", returnURLMessage)
	}
	if m != nil {
		c.saveMethod(m)
	}
	c.saveSetup(si)
	c.emit("setup_intent.created", si.Object)
	if confirm {
		if r := c.confirmSetup(si, m, returnURL); r != nil {
			return nil, r
		}
	}
	return c.setupView(si, ""), nil
}

// setupFromParams reads and checks everything that a new SetupIntent is made of.
func (c *call) setupFromParams() (*setup, *method, *refusal) {
	if r := c.checkMethodTypes(); r != nil {
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
	usage := c.params.get("usage")
	if !slices.Contains([]string{"", "off_session", "on_session"}, usage) {
		return nil, nil, invalidParam("", "usage", "Invalid usage: must be one of off_session or on_session")
	}
	if usage == "" {
		usage = "off_session"
	}
	options, r := c.methodOptionsFromParams(true)
	if r != nil {
		return nil, nil, r
	}
	si := &setup{Object: setupObject{
		ID: newID("seti_1", 23), Object: "setup_intent", AutomaticPaymentMethods: automatic, Created: c.now.Unix(), Customer: customer,
		Description: text(c.params.get("description")), Metadata: map[string]string{}, PaymentMethodOptions: options,
		PaymentMethodTypes: []string{"card"}, Status: statusRequiresPaymentMethod, Usage: usage,
	}}
	si.Object.ClientSecret = si.Object.ID + newID("_secret_", 25)
	if r := c.params.mergeMetadata(si.Object.Metadata); r != nil {
		return nil, nil, r
	}
	m, r := c.setupMethod(si)
	if m != nil {
		si.Object.PaymentMethod, si.Object.Status = ref{id: m.Object.ID}, statusRequiresConfirmation
	}
	return si, m, r
}

// setupMethod gives the payment method that a parameter names, nil without one.
func (c *call) setupMethod(si *setup) (*method, *refusal) {
	id := c.params.get("payment_method")
	if id == "" {
		return nil, nil
	}
	m, r := c.findMethod(id, http.StatusBadRequest)
	if r != nil {
		return nil, r
	}
	return m, mayUse(m, si.Object.Customer.id)
}

func (c *call) getSetupIntent() (any, *refusal) {
	si, r := c.namedSetup()
	if r != nil {
		return nil, r
	}
	return c.setupView(si, ""), nil
}

func (c *call) namedSetup() (*setup, *refusal) {
	si, found := c.setups.byID[c.id]
	if !found {
		return nil, missing(http.StatusNotFound, "setupintent", c.id, "intent")
	}
	return si, nil
}

func (c *call) listSetupIntents() (any, *refusal) {
	customer, method := c.params.get("customer"), c.params.get("payment_method")
	return listOf(c, c.setups, "setup_intent", "/v1/setup_intents", func(si *setup) (setupObject, bool) {
		wanted := (customer == "" || si.Object.Customer.id == customer) && (method == "" || si.Object.PaymentMethod.id == method)
		return c.setupView(si, "data."), wanted
	}, func(si *setup) int64 { return si.Object.Created })
}

func (c *call) cancelSetupIntent() (any, *refusal) {
	si, r := c.namedSetup()
	if r != nil {
		return nil, r
	}
	reason := c.params.get("cancellation_reason")
	if !slices.Contains([]string{"", "abandoned", "requested_by_customer", "duplicate"}, reason) {
		return nil, invalidParam("", "cancellation_reason", "Invalid cancellation_reason: must be one of abandoned, requested_by_customer, or duplicate")
	}
	switch si.Object.Status {
	case statusSucceeded, statusCanceled, statusProcessing:
		return nil, unexpectedSetupState(si, "You cannot cancel this SetupIntent because it has a status of "+si.Object.Status+
			". Only a SetupIntent with one of the following statuses may be canceled: requires_payment_method, requires_confirmation, requires_action.")
	}
	si.Object.Status, si.Object.CancellationReason = statusCanceled, text(reason)
	c.endSetupAction(si)
	c.saveSetup(si)
	c.emit("setup_intent.canceled", si.Object)
	return c.setupView(si, ""), nil
}

func unexpectedSetupState(si *setup, message string) *refusal {
	view := si.Object
	return newRefusal(http.StatusBadRequest, problem{
		Type: typeInvalid, Code: "setup_intent_unexpected_state", Message: message, SetupIntent: &view,
	})
}

// setupView is the SetupIntent as the caller wants it expanded.
func (c *call) setupView(si *setup, prefix string) setupObject {
	view := si.Object
	if c.expands(prefix+"customer") && view.Customer.id != "" {
		view.Customer.expanded = c.customers.byID[view.Customer.id]
	}
	if c.expands(prefix+"payment_method") && view.PaymentMethod.id != "" {
		view.PaymentMethod.expanded = c.methods.byID[view.PaymentMethod.id].Object
	}
	if c.expands(prefix+"mandate") && view.Mandate.id != "" {
		view.Mandate.expanded = c.mandates.byID[view.Mandate.id].Object
	}
	return view
}
