package sim

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// The states of a mandate.
const (
	mandatePending  = "pending"
	mandateActive   = "active"
	mandateInactive = "inactive"
)

// India's rules, https://docs.stripe.com/india-recurring-payments.
const (
	// noticeTime passes between the notice to the customer and the charge.
	noticeTime = 26 * time.Hour
	// approvalAboveCents is 15,000 INR in US cents, at the double's own rate of 83
	// to the dollar: above it the customer approves each payment.
	approvalAboveCents = 18_072
	// mandateTime is how long a mandate stays pending. Stripe says up to 30 minutes.
	mandateTime = time.Second
)

// mandateObject is Stripe's mandate.
type mandateObject struct {
	ID                 string            `json:"id"`
	Object             string            `json:"object"`
	CustomerAcceptance mandateAcceptance `json:"customer_acceptance"`
	Livemode           bool              `json:"livemode"`
	MultiUse           struct{}          `json:"multi_use"`
	PaymentMethod      ref               `json:"payment_method"`
	Details            mandateDetails    `json:"payment_method_details"`
	Status             string            `json:"status"`
	Type               string            `json:"type"`
}

type mandateAcceptance struct {
	AcceptedAt int64    `json:"accepted_at"`
	Offline    struct{} `json:"offline"`
	Type       string   `json:"type"`
}

type mandateDetails struct {
	Card struct{} `json:"card"`
	Type string   `json:"type"`
}

// mandate is a mandate and what only the double knows of it.
type mandate struct {
	Object      mandateObject `json:"object"`
	AmountCents int64         `json:"amount_cents"`
	// ActiveAt is when it becomes active, in nanoseconds of Unix time.
	ActiveAt int64 `json:"active_at,omitempty"`
}

// mandateOptions are what the customer agrees to. Currency is the SetupIntent's
// alone; a PaymentIntent has one of its own.
type mandateOptions struct {
	Amount         int64    `json:"amount"`
	AmountType     string   `json:"amount_type"`
	Currency       string   `json:"currency,omitempty"`
	Description    text     `json:"description"`
	EndDate        unixTime `json:"end_date"`
	Interval       string   `json:"interval"`
	IntervalCount  unixTime `json:"interval_count"`
	Reference      string   `json:"reference"`
	StartDate      int64    `json:"start_date"`
	SupportedTypes []string `json:"supported_types"`
}

// methodOptions are payment_method_options, of cards alone.
type methodOptions struct {
	Card *cardOptions `json:"card,omitempty"`
}

type cardOptions struct {
	MandateOptions      *mandateOptions `json:"mandate_options"`
	Network             null            `json:"network"`
	RequestThreeDSecure string          `json:"request_three_d_secure"`
}

func (o methodOptions) mandate() *mandateOptions {
	if o.Card == nil {
		return nil
	}
	return o.Card.MandateOptions
}

// challenges tells whether the merchant wants the customer asked in any case.
func (o methodOptions) challenges() bool {
	return o.Card != nil && (o.Card.RequestThreeDSecure == "any" || o.Card.RequestThreeDSecure == "challenge")
}

const (
	optionsRoot = "payment_method_options[card]"
	mandateRoot = optionsRoot + "[mandate_options]"
)

// methodOptionsFromParams reads payment_method_options[card].
func (c *call) methodOptionsFromParams(ofSetup bool) (methodOptions, *refusal) {
	if !c.params.hasBelow(optionsRoot) {
		return methodOptions{}, nil
	}
	ask := c.params.get(optionsRoot + "[request_three_d_secure]")
	switch ask {
	case "":
		ask = "automatic"
	case "automatic", "any", "challenge":
	default:
		return methodOptions{}, invalidParam("", optionsRoot+"[request_three_d_secure]",
			"Invalid request_three_d_secure: must be one of any, automatic, or challenge")
	}
	options := methodOptions{Card: &cardOptions{RequestThreeDSecure: ask}}
	if !c.params.hasBelow(mandateRoot) {
		return options, nil
	}
	agreed, r := c.mandateOptionsFromParams(ofSetup)
	options.Card.MandateOptions = agreed
	return options, r
}

func (c *call) mandateOptionsFromParams(ofSetup bool) (*mandateOptions, *refusal) {
	field := func(name string) string { return mandateRoot + "[" + name + "]" }
	required := []string{"amount", "amount_type", "interval", "reference", "start_date"}
	if ofSetup {
		required = append(required, "currency")
	}
	for _, name := range required {
		if !c.params.has(field(name)) {
			return nil, missingParam(field(name))
		}
	}
	var numbers [4]int64
	for i, name := range []string{"amount", "start_date", "end_date", "interval_count"} {
		var r *refusal
		if numbers[i], r = c.params.integer(field(name), 0); r != nil {
			return nil, r
		}
	}
	options := &mandateOptions{
		Amount: numbers[0], AmountType: c.params.get(field("amount_type")), Currency: strings.ToLower(c.params.get(field("currency"))),
		Description: text(c.params.get(field("description"))), StartDate: numbers[1], EndDate: unixTime(numbers[2]),
		Interval: c.params.get(field("interval")), IntervalCount: unixTime(numbers[3]),
		Reference: c.params.get(field("reference")), SupportedTypes: c.params[field("supported_types")+"[]"],
	}
	return options, options.check(field)
}

func (o *mandateOptions) check(field func(string) string) *refusal {
	switch {
	case o.Amount < 1:
		return invalidParam("parameter_invalid_integer", field("amount"), "This value must be greater than or equal to 1.")
	case o.AmountType != "fixed" && o.AmountType != "maximum":
		return invalidParam("", field("amount_type"), "Invalid amount_type: must be one of fixed or maximum")
	case !slices.Contains([]string{"day", "week", "month", "year", "sporadic"}, o.Interval):
		return invalidParam("", field("interval"), "Invalid interval: must be one of day, week, month, year, or sporadic")
	case o.Currency != "" && o.Currency != "usd":
		return notModelled("the currency %s of a mandate", o.Currency)
	case !slices.Contains(o.SupportedTypes, "india"):
		return notModelled("a mandate whose supported_types lack india")
	}
	return nil
}

// openMandate registers what the customer agreed to and gives its id.
func (c *call) openMandate(m *method, options *mandateOptions) string {
	opened := &mandate{AmountCents: options.Amount, ActiveAt: c.after(mandateTime), Object: mandateObject{
		ID: newID("mandate_1", 23), Object: "mandate", PaymentMethod: ref{id: m.Object.ID}, Status: mandatePending, Type: "multi_use",
		CustomerAcceptance: mandateAcceptance{AcceptedAt: c.now.Unix(), Type: "offline"}, Details: mandateDetails{Type: "card"},
	}}
	c.saveMandate(opened)
	c.wakeTimers()
	return opened.Object.ID
}

func (c *call) changeMandate(m *mandate, status string) {
	m.Object.Status, m.ActiveAt = status, 0
	c.saveMandate(m)
	c.emit("mandate.updated", m.Object)
}

func (c *call) getMandate() (any, *refusal) {
	m, found := c.mandates.byID[c.id]
	if !found {
		return nil, missing(http.StatusNotFound, "mandate", c.id, "mandate")
	}
	view := m.Object
	if c.expands("payment_method") {
		view.PaymentMethod.expanded = c.methods.byID[view.PaymentMethod.id].Object
	}
	return view, nil
}

// processingObject is Stripe's processing: the notice that the customer was sent.
type processingObject struct {
	Card struct {
		CustomerNotification customerNotification `json:"customer_notification"`
	} `json:"card"`
	Type string `json:"type"`
}

type customerNotification struct {
	ApprovalRequested bool  `json:"approval_requested"`
	CompletesAt       int64 `json:"completes_at"`
}

// payUnderMandate starts an off-session payment that the customer has notice of.
func (c *call) payUnderMandate(pi *intent, m *method, agreed *mandate) *refusal {
	if agreed.Object.PaymentMethod.id != m.Object.ID || agreed.Object.Status != mandateActive {
		return c.declineBeforeCharge(pi, m, problem{Type: typeInvalid, Code: "payment_intent_mandate_invalid",
			Message: "The provided mandate is invalid and can not be used for this payment intent."})
	}
	pi.Mandate = agreed.Object.ID
	notice := &processingObject{Type: "card"}
	notice.Card.CustomerNotification = customerNotification{
		ApprovalRequested: pi.Object.Amount > min(agreed.AmountCents, approvalAboveCents), CompletesAt: c.now.Add(noticeTime).Unix(),
	}
	pi.Object.Processing = notice
	pi.Approved = false
	c.startProcessing(pi, m, noticeTime)
	return nil
}

// mandateEnd is what becomes of a payment when the time of its notice is over.
func (c *call) mandateEnd(pi *intent, m *method) (problem, bool) {
	notice := pi.Object.Processing.Card.CustomerNotification
	switch m.card().india {
	case noticeFails:
		return declined("processing_error"), false
	case mandateRevoked:
		c.changeMandate(c.mandates.byID[pi.Mandate], mandateInactive)
		p := problem{Type: typeInvalid, Code: "india_recurring_payment_mandate_canceled",
			Message: "The mandate of this payment was canceled by the customer."}
		p.DocURL = docURL(p.Code)
		return p, false
	case mandatePaused:
		return declined("transaction_not_approved"), false
	}
	if notice.ApprovalRequested && !pi.Approved {
		return declined("transaction_not_approved"), false
	}
	return problem{}, true
}
