package sim

import (
	"net/http"
	"net/url"
)

const (
	missingMethodMessage = "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method."
	returnURLMessage     = "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents."
	authFailureMessage   = "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent again."
)

// confirmation is one attempt to pay.
type confirmation struct {
	method     *method
	offSession bool
	returnURL  string
}

// needsReturnURL: methods that may redirect need somewhere to come back to,
// unless the customer is not there at all.
func needsReturnURL(pi *intent, attempt confirmation) bool {
	automatic := pi.Object.AutomaticPaymentMethods
	return automatic != nil && automatic.AllowRedirects == "always" && !attempt.offSession && attempt.returnURL == ""
}

func (c *call) confirmPaymentIntent() (any, *refusal) {
	pi, r := c.namedIntent()
	if r != nil {
		return nil, r
	}
	attempt, r := c.readConfirmation()
	if r != nil {
		return nil, r
	}
	switch pi.Object.Status {
	case statusSucceeded:
		return nil, c.unexpectedState(pi, "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.")
	case statusCanceled, statusProcessing:
		return nil, c.unexpectedState(pi, "You cannot confirm this PaymentIntent because it has a status of "+pi.Object.Status+
			". Only a PaymentIntent with one of the following statuses may be confirmed: requires_confirmation, requires_action.")
	}
	id := pi.Object.PaymentMethod.id
	if c.params.has("payment_method") {
		id = c.params.get("payment_method")
	}
	if id == "" {
		return nil, c.unexpectedState(pi, missingMethodMessage)
	}
	attempt.method, r = c.methodFor(pi, id)
	if r != nil {
		return nil, r
	}
	if needsReturnURL(pi, attempt) {
		r := invalidRequest("", returnURLMessage)
		view := pi.Object
		r.problem.PaymentIntent = &view
		return nil, r
	}
	if r := c.confirm(pi, attempt); r != nil {
		return nil, r
	}
	return c.intentView(pi, ""), nil
}

// confirm asks the bank and moves the PaymentIntent on; a decline is a refusal
// whose effects stay.
func (c *call) confirm(pi *intent, attempt confirmation) *refusal {
	m := attempt.method
	m.Spent = m.Object.Customer.id == ""
	c.saveMethod(m)
	pi.Object.PaymentMethod = ref{id: m.Object.ID}
	pi.Object.LastPaymentError = nil
	c.endAction(pi)
	switch says, code := m.card().judge(attempt.offSession, false); says {
	case approve:
		c.capture(pi, c.newCharge(pi, m, false))
	case askCustomer:
		c.requireAction(pi, attempt.returnURL)
	case answerLater:
		c.startProcessing(pi, m)
	case decline:
		return c.declineIntent(pi, c.newCharge(pi, m, false), m, code)
	}
	return nil
}

// capture ends the PaymentIntent with the money moved: the only way to succeeded.
func (c *call) capture(pi *intent, ch *chargeObject) {
	ch.succeed()
	c.saveCharge(ch)
	pi.Object.Status, pi.Object.AmountReceived = statusSucceeded, pi.Object.Amount
	pi.Object.LatestCharge, pi.SettleAt = ref{id: ch.ID}, 0
	c.saveIntent(pi)
	c.emit("charge.succeeded", ch)
	c.emit("payment_intent.succeeded", pi.Object)
}

// declineIntent takes the payment method off the PaymentIntent, as Stripe does.
func (c *call) declineIntent(pi *intent, ch *chargeObject, m *method, code string) *refusal {
	p := declined(code)
	p.Charge = ch.ID
	ch.fail(p)
	c.saveCharge(ch)
	pi.Object.LatestCharge, pi.SettleAt = ref{id: ch.ID}, 0
	c.emit("charge.failed", ch)
	c.failPayment(pi, p, m)
	view := pi.Object
	p.PaymentIntent = &view
	p.PaymentMethod = pi.Object.LastPaymentError.PaymentMethod
	return newRefusal(http.StatusPaymentRequired, p)
}

func (c *call) failPayment(pi *intent, p problem, m *method) {
	held := m.Object
	p.PaymentMethod = &held
	pi.Object.Status, pi.Object.PaymentMethod, pi.Object.LastPaymentError = statusRequiresPaymentMethod, ref{}, &p
	c.saveIntent(pi)
	c.emit("payment_intent.payment_failed", pi.Object)
}

func (c *call) startProcessing(pi *intent, m *method) {
	ch := c.newCharge(pi, m, false)
	c.saveCharge(ch)
	pi.Object.Status, pi.Object.LatestCharge = statusProcessing, ref{id: ch.ID}
	if c.opts.ProcessingTime > 0 {
		pi.SettleAt = c.now.Add(c.opts.ProcessingTime).UnixNano()
	}
	c.saveIntent(pi)
	c.emit("charge.pending", ch)
	c.emit("payment_intent.processing", pi.Object)
	c.wakeSettler()
}

// requireAction makes a page for this attempt; the pages of earlier attempts end.
func (c *call) requireAction(pi *intent, returnURL string) {
	pi.Authentication = newID("payatt_", 24)
	page := c.base + "/authenticate/" + url.PathEscape(pi.Authentication)
	pi.Object.Status = statusRequiresAction
	if returnURL != "" {
		pi.Object.NextAction = &nextAction{Type: "redirect_to_url", RedirectToURL: &redirectToURL{ReturnURL: returnURL, URL: page}}
	} else {
		pi.Object.NextAction = &nextAction{Type: "use_stripe_sdk", UseStripeSDK: &useStripeSDK{Type: "three_d_secure_redirect", StripeJS: page}}
	}
	c.saveIntent(pi)
	c.emit("payment_intent.requires_action", pi.Object)
}

// endAction withdraws the page of an attempt that is over.
func (c *call) endAction(pi *intent) {
	delete(c.authentications, pi.Authentication)
	pi.Authentication, pi.Object.NextAction = "", nil
}

// authenticate takes the customer's decision at the bank.
func (c *call) authenticate(pi *intent, approved bool) {
	m := c.methods[pi.Object.PaymentMethod.id]
	c.endAction(pi)
	if !approved {
		p := problem{Type: typeInvalid, Code: "payment_intent_authentication_failure", Message: authFailureMessage}
		p.DocURL = docURL(p.Code)
		c.failPayment(pi, p, m)
		return
	}
	ch := c.newCharge(pi, m, true)
	if says, code := m.card().judge(false, true); says == decline {
		c.declineIntent(pi, ch, m, code)
		return
	}
	c.capture(pi, ch)
}

// settle ends processing: with declineCode, or as the card would have it.
func (c *call) settle(pi *intent, declineCode string) {
	m, ch := c.methods[pi.Object.PaymentMethod.id], c.charges[pi.Object.LatestCharge.id]
	if declineCode == "" {
		declineCode = m.card().decline
	}
	if declineCode != "" {
		c.declineIntent(pi, ch, m, declineCode)
		return
	}
	c.capture(pi, ch)
}
