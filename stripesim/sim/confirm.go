package sim

import (
	"net/http"
	"net/url"
	"time"
)

const (
	missingMethodMessage = "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method."
	returnURLMessage     = "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents."
	errorOnActionMessage = "The parameter `error_on_requires_action` cannot be used with automatic payment methods. Pass `payment_method_types` explicitly, such as `payment_method_types[]=card`."
	authFailureMessage   = "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent again."
)

// confirmation is one attempt to pay.
type confirmation struct {
	method     *method
	offSession bool
	returnURL  string
	// failsOnAction: the attempt fails where the bank wants to ask the customer.
	failsOnAction bool
	mandate       *mandate
}

// needsReturnURL: methods that may redirect need somewhere to come back to,
// unless the customer is not there at all.
func needsReturnURL(automatic *automaticMethods, offSession bool, returnURL string) bool {
	return automatic != nil && automatic.AllowRedirects == "always" && !offSession && returnURL == ""
}

// checkConfirmation refuses what does not go with the kinds of payment method that
// the PaymentIntent takes (2023-08-16).
func checkConfirmation(pi *intent, attempt confirmation) *refusal {
	automatic := pi.Object.AutomaticPaymentMethods
	switch {
	case attempt.failsOnAction && automatic != nil:
		return invalidRequest("error_on_requires_action", errorOnActionMessage)
	case needsReturnURL(automatic, attempt.offSession, attempt.returnURL):
		return invalidRequest("", returnURLMessage)
	}
	return nil
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
	if r := c.takeFutureUsage(pi); r != nil {
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
	if r := checkConfirmation(pi, attempt); r != nil {
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
	saved := pi.Object.SetupFutureUsage != "" && pi.Object.Customer.id != ""
	m.Spent = m.Object.Customer.id == "" && !saved
	c.saveMethod(m)
	pi.Object.PaymentMethod = ref{id: m.Object.ID}
	pi.Object.LastPaymentError = nil
	c.endAction(pi)
	if attempt.offSession && attempt.mandate != nil && m.card().india != "" {
		return c.payUnderMandate(pi, m, attempt.mandate)
	}
	says, code := m.card().judge(occasion{
		offSession: attempt.offSession, setUp: m.SetUp, challenge: pi.Object.PaymentMethodOptions.challenges(),
	})
	if says == askCustomer && attempt.failsOnAction {
		says, code = decline, "authentication_required"
	}
	switch says {
	case approve:
		c.capture(pi, c.newCharge(pi, m, false), m)
	case askCustomer:
		c.requireAction(pi, attempt.returnURL)
	case answerLater:
		c.startProcessing(pi, m, c.opts.ProcessingTime)
	case decline:
		return c.declineIntent(pi, c.newCharge(pi, m, false), m, declined(code))
	}
	return nil
}

// capture ends the PaymentIntent with the money moved: the only way to succeeded.
func (c *call) capture(pi *intent, ch *chargeObject, m *method) {
	ch.succeed(m.card().risk)
	pi.Object.Status, pi.Object.AmountReceived, pi.Object.Processing = statusSucceeded, pi.Object.Amount, nil
	pi.Object.LatestCharge, pi.SettleAt = ref{id: ch.ID}, 0
	ch.PaymentMethodDetails.Card.Mandate = text(pi.Mandate)
	c.saveForLater(pi, ch, m)
	c.saveCharge(ch)
	if m.card().disputes != "" {
		pi.DisputeAt = c.after(disputeTime)
		c.wakeTimers()
	}
	c.saveIntent(pi)
	c.emit("charge.succeeded", ch)
	c.emit("payment_intent.succeeded", pi.Object)
}

// saveForLater does with the card what setup_future_usage asks for.
func (c *call) saveForLater(pi *intent, ch *chargeObject, m *method) {
	if pi.Object.SetupFutureUsage == "" || pi.Object.Customer.id == "" {
		return
	}
	c.attachTo(pi.Object.Customer, m)
	m.SetUp = m.SetUp || pi.Object.SetupFutureUsage == "off_session"
	c.saveMethod(m)
	if options := pi.Object.PaymentMethodOptions.mandate(); options != nil && m.card().india != "" {
		ch.PaymentMethodDetails.Card.Mandate = text(c.openMandate(m, options))
	}
}

// declineIntent takes the payment method off the PaymentIntent, as Stripe does.
func (c *call) declineIntent(pi *intent, ch *chargeObject, m *method, p problem) *refusal {
	p.Charge = ch.ID
	ch.fail(p, m.card().risk)
	c.saveCharge(ch)
	pi.Object.LatestCharge = ref{id: ch.ID}
	c.emit("charge.failed", ch)
	return c.failPayment(pi, p, m)
}

// declineBeforeCharge refuses an attempt that never reached the bank.
func (c *call) declineBeforeCharge(pi *intent, m *method, p problem) *refusal {
	p.DocURL = docURL(p.Code)
	refused := c.failPayment(pi, p, m)
	refused.status = http.StatusBadRequest
	return refused
}

func (c *call) failPayment(pi *intent, p problem, m *method) *refusal {
	held := m.Object
	p.PaymentMethod = &held
	stored := p
	pi.Object.Status, pi.Object.PaymentMethod, pi.Object.LastPaymentError = statusRequiresPaymentMethod, ref{}, &stored
	pi.Object.Processing, pi.SettleAt = nil, 0
	c.saveIntent(pi)
	c.emit("payment_intent.payment_failed", pi.Object)
	view := pi.Object
	p.PaymentIntent = &view
	return newRefusal(http.StatusPaymentRequired, p)
}

// startProcessing leaves the bank so much time; none leaves it to an order.
func (c *call) startProcessing(pi *intent, m *method, within time.Duration) {
	ch := c.newCharge(pi, m, false)
	c.saveCharge(ch)
	pi.Object.Status, pi.Object.LatestCharge = statusProcessing, ref{id: ch.ID}
	if within > 0 {
		pi.SettleAt = c.after(within)
	}
	c.saveIntent(pi)
	c.emit("charge.pending", ch)
	c.emit("payment_intent.processing", pi.Object)
	c.wakeTimers()
}

// requireAction makes a page for this attempt; the pages of earlier attempts end.
func (c *call) requireAction(pi *intent, returnURL string) {
	pi.Authentication, pi.Object.NextAction = c.newAction(returnURL)
	pi.Object.Status = statusRequiresAction
	c.saveIntent(pi)
	c.emit("payment_intent.requires_action", pi.Object)
}

// newAction is a page of the bank, and how the customer gets there.
func (c *call) newAction(returnURL string) (id string, next *nextAction) {
	id = newID("payatt_", 24)
	page := c.base + "/authenticate/" + url.PathEscape(id)
	if returnURL != "" {
		return id, &nextAction{Type: "redirect_to_url", RedirectToURL: &redirectToURL{ReturnURL: returnURL, URL: page}}
	}
	return id, &nextAction{Type: "use_stripe_sdk", UseStripeSDK: &useStripeSDK{Type: "three_d_secure_redirect", StripeJS: page}}
}

// endAction withdraws the page of an attempt that is over.
func (c *call) endAction(pi *intent) {
	delete(c.authentications, pi.Authentication)
	pi.Authentication, pi.Object.NextAction = "", nil
}

// authenticate takes the customer's decision at the bank.
func (c *call) authenticate(pi *intent, approved bool) {
	m := c.methods.byID[pi.Object.PaymentMethod.id]
	c.endAction(pi)
	if !approved {
		p := problem{Type: typeInvalid, Code: "payment_intent_authentication_failure", Message: authFailureMessage}
		p.DocURL = docURL(p.Code)
		c.failPayment(pi, p, m)
		return
	}
	ch := c.newCharge(pi, m, true)
	if says, code := m.card().judge(occasion{authenticated: true}); says == decline {
		c.declineIntent(pi, ch, m, declined(code))
		return
	}
	c.capture(pi, ch, m)
}

// settle ends processing: with declineCode, or as the card would have it.
func (c *call) settle(pi *intent, declineCode string) {
	m, ch := c.methods.byID[pi.Object.PaymentMethod.id], c.charges.byID[pi.Object.LatestCharge.id]
	p, approved := problem{}, true
	switch {
	case declineCode != "":
		p, approved = declined(declineCode), false
	case pi.Object.Processing != nil:
		p, approved = c.mandateEnd(pi, m)
	case m.card().decline != "":
		p, approved = declined(m.card().decline), false
	}
	if approved {
		c.capture(pi, ch, m)
		return
	}
	c.declineIntent(pi, ch, m, p)
}
