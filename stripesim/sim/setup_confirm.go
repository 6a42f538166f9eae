package sim

import "net/http"

const (
	missingSetupMethodMessage = "You cannot confirm this SetupIntent because it's missing a payment method. You can either update the SetupIntent with a payment method and then confirm it again, or confirm it again directly with a payment method."
	setupAuthFailureMessage   = "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this SetupIntent again."
)

func (c *call) confirmSetupIntent() (any, *refusal) {
	si, r := c.namedSetup()
	if r != nil {
		return nil, r
	}
	returnURL, r := c.returnURL()
	if r != nil {
		return nil, r
	}
	switch si.Object.Status {
	case statusSucceeded, statusCanceled, statusProcessing:
		return nil, unexpectedSetupState(si, "You cannot confirm this SetupIntent because it has already "+si.Object.Status+".")
	}
	m, r := c.setupMethod(si)
	if r != nil {
		return nil, r
	}
	if m == nil {
		m = c.methods.byID[si.Object.PaymentMethod.id]
	}
	if m == nil {
		return nil, unexpectedSetupState(si, missingSetupMethodMessage)
	}
	if needsReturnURL(si.Object.AutomaticPaymentMethods, false, returnURL) {
		return nil, invalidRequest("", returnURLMessage)
	}
	if r := c.confirmSetup(si, m, returnURL); r != nil {
		return nil, r
	}
	return c.setupView(si, ""), nil
}

// confirmSetup asks the bank whether the card may be saved.
func (c *call) confirmSetup(si *setup, m *method, returnURL string) *refusal {
	c.saveMethod(m)
	si.Object.PaymentMethod, si.Object.LastSetupError = ref{id: m.Object.ID}, nil
	c.endSetupAction(si)
	switch says, code := m.card().judgeSetup(false, si.Object.PaymentMethodOptions.challenges()); says {
	case askCustomer:
		c.requireSetupAction(si, returnURL)
	case decline:
		return c.failSetup(si, m, declined(code))
	case approve, answerLater:
		c.completeSetup(si, m)
	}
	return nil
}

// completeSetup saves the card: it belongs to the customer, is set up for
// off-session use if that was wanted, and has a mandate where one was agreed.
func (c *call) completeSetup(si *setup, m *method) {
	c.attachTo(si.Object.Customer, m)
	m.SetUp = m.SetUp || si.Object.Usage == "off_session"
	c.saveMethod(m)
	si.Object.Status = statusSucceeded
	if options := si.Object.PaymentMethodOptions.mandate(); options != nil && m.card().india != "" {
		si.Object.Mandate = ref{id: c.openMandate(m, options)}
	}
	c.saveSetup(si)
	c.emit("setup_intent.succeeded", si.Object)
}

// failSetup takes the payment method off the SetupIntent.
func (c *call) failSetup(si *setup, m *method, p problem) *refusal {
	held := m.Object
	p.PaymentMethod = &held
	stored := p
	si.Object.Status, si.Object.PaymentMethod, si.Object.LastSetupError = statusRequiresPaymentMethod, ref{}, &stored
	c.saveSetup(si)
	c.emit("setup_intent.setup_failed", si.Object)
	view := si.Object
	p.SetupIntent = &view
	return newRefusal(http.StatusPaymentRequired, p)
}

func (c *call) requireSetupAction(si *setup, returnURL string) {
	si.Authentication, si.Object.NextAction = c.newAction(returnURL)
	si.Object.Status = statusRequiresAction
	c.saveSetup(si)
	c.emit("setup_intent.requires_action", si.Object)
}

func (c *call) endSetupAction(si *setup) {
	delete(c.authentications, si.Authentication)
	si.Authentication, si.Object.NextAction = "", nil
}

// authenticateSetup takes the customer's decision at the bank.
func (c *call) authenticateSetup(si *setup, approved bool) {
	m := c.methods.byID[si.Object.PaymentMethod.id]
	c.endSetupAction(si)
	if !approved {
		p := problem{Type: typeInvalid, Code: "setup_intent_authentication_failure", Message: setupAuthFailureMessage}
		p.DocURL = docURL(p.Code)
		c.failSetup(si, m, p)
		return
	}
	if says, code := m.card().judgeSetup(true, false); says == decline {
		c.failSetup(si, m, declined(code))
		return
	}
	c.completeSetup(si, m)
}
