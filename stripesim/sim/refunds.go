package sim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// The states of a refund.
const (
	refundPending   = "pending"
	refundSucceeded = "succeeded"
	refundFailed    = "failed"
)

// refundTime is how long a refund that ends later stays as it began.
const refundTime = 10 * time.Second

// refundObject is Stripe's refund.
type refundObject struct {
	ID                 string            `json:"id"`
	Object             string            `json:"object"`
	Amount             int64             `json:"amount"`
	BalanceTransaction null              `json:"balance_transaction"`
	Charge             ref               `json:"charge"`
	Created            int64             `json:"created"`
	Currency           string            `json:"currency"`
	FailureReason      string            `json:"failure_reason,omitempty"`
	Metadata           map[string]string `json:"metadata"`
	PaymentIntent      ref               `json:"payment_intent"`
	Reason             text              `json:"reason"`
	ReceiptNumber      null              `json:"receipt_number"`
	SourceTransfer     null              `json:"source_transfer_reversal"`
	Status             string            `json:"status"`
	TransferReversal   null              `json:"transfer_reversal"`
}

// refund is a refund and what only the double knows of it.
type refund struct {
	Object refundObject `json:"object"`
	// EndAt is when it ends otherwise than it began, in nanoseconds of Unix time.
	EndAt int64 `json:"end_at,omitempty"`
}

var refundReasons = []string{"", "duplicate", "fraudulent", "requested_by_customer"}

func (c *call) createRefund() (any, *refusal) {
	ch, r := c.chargeToRefund()
	if r != nil {
		return nil, r
	}
	left := ch.AmountCaptured - ch.AmountRefunded
	amount, r := c.params.integer("amount", left)
	switch {
	case r != nil:
		return nil, r
	case left == 0:
		return nil, newRefusal(http.StatusBadRequest, problem{Type: typeInvalid, Code: "charge_already_refunded",
			Message: "Charge " + ch.ID + " has already been refunded."})
	case amount < 1:
		return nil, invalidParam("parameter_invalid_integer", "amount", "This value must be greater than or equal to 1.")
	case amount > left:
		return nil, invalidRequest("amount", fmt.Sprintf("Refund amount (%s) is greater than unrefunded amount on charge (%s)", dollars(amount), dollars(left)))
	}
	reason := c.params.get("reason")
	if !slices.Contains(refundReasons, reason) {
		return nil, invalidParam("", "reason", "Invalid reason: must be one of duplicate, fraudulent, or requested_by_customer")
	}
	re := &refund{Object: refundObject{
		ID: newID("re_3", 23), Object: "refund", Amount: amount, Charge: ref{id: ch.ID}, Created: c.now.Unix(), Currency: ch.Currency,
		Metadata: map[string]string{}, PaymentIntent: ref{id: ch.PaymentIntent.id}, Reason: text(reason), Status: refundSucceeded,
	}}
	if r := c.params.mergeMetadata(re.Object.Metadata); r != nil {
		return nil, r
	}
	c.startRefund(re, ch)
	return c.refundView(re, ""), nil
}

// chargeToRefund gives the charge that charge or payment_intent names, if it can
// be refunded at all.
func (c *call) chargeToRefund() (*chargeObject, *refusal) {
	id := c.params.get("charge")
	switch {
	case c.params.has("payment_intent"):
		pi, found := c.intents.byID[c.params.get("payment_intent")]
		if !found {
			return nil, missing(http.StatusBadRequest, "payment_intent", c.params.get("payment_intent"), "payment_intent")
		}
		if pi.Object.Status != statusSucceeded {
			return nil, invalidRequest("", "This PaymentIntent ("+pi.Object.ID+") does not have a successful charge to refund.")
		}
		id = pi.Object.LatestCharge.id
	case id == "":
		return nil, invalidParam("parameter_missing", "", "One of the following params should be provided for this request: payment_intent or charge.")
	}
	ch, found := c.charges.byID[id]
	switch {
	case !found:
		return nil, missing(http.StatusBadRequest, "charge", id, "charge")
	case ch.Status != "succeeded":
		return nil, invalidRequest("charge", "Charge "+ch.ID+" has no amount to refund: it is "+ch.Status+".")
	case c.chargedBack(ch.ID):
		return nil, newRefusal(http.StatusBadRequest, problem{Type: typeInvalid, Code: "charge_disputed",
			Message: "Charge " + ch.ID + " has been charged back; cannot issue a refund."})
	}
	return ch, nil
}

// startRefund gives the money back; the card says what the bank makes of it later.
func (c *call) startRefund(re *refund, ch *chargeObject) {
	switch c.methods.byID[ch.PaymentMethod].card().refund {
	case refundPends:
		re.Object.Status, re.EndAt = refundPending, c.after(refundTime)
	case refundFails:
		re.EndAt = c.after(refundTime)
	}
	c.saveRefund(re)
	c.addRefunded(ch, re.Object.Amount)
	c.emit("refund.created", re.Object)
	c.emit("charge.refunded", ch)
	c.wakeTimers()
}

func (c *call) addRefunded(ch *chargeObject, cents int64) {
	ch.AmountRefunded += cents
	ch.Refunded = ch.AmountRefunded == ch.AmountCaptured
	c.saveCharge(ch)
}

// endRefund is what the card has the bank do with a refund later.
func (c *call) endRefund(re *refund) {
	if re.Object.Status == refundSucceeded {
		c.failRefund(re, "expired_or_canceled_card")
		return
	}
	re.Object.Status, re.EndAt = refundSucceeded, 0
	c.saveRefund(re)
	c.emitRefundChange(re)
}

// failRefund: the bank did not take the money, and it is the merchant's again.
func (c *call) failRefund(re *refund, reason string) {
	re.Object.Status, re.Object.FailureReason, re.EndAt = refundFailed, reason, 0
	c.saveRefund(re)
	c.addRefunded(c.charges.byID[re.Object.Charge.id], -re.Object.Amount)
	c.emitRefundChange(re)
	c.emit("refund.failed", re.Object)
}

func (c *call) emitRefundChange(re *refund) {
	c.emit("charge.refund.updated", re.Object)
	c.emit("refund.updated", re.Object)
}

func (c *call) namedRefund() (*refund, *refusal) {
	re, found := c.refunds.byID[c.id]
	if !found {
		return nil, missing(http.StatusNotFound, "refund", c.id, "refund")
	}
	return re, nil
}

func (c *call) getRefund() (any, *refusal) {
	re, r := c.namedRefund()
	if r != nil {
		return nil, r
	}
	return c.refundView(re, ""), nil
}

func (c *call) updateRefund() (any, *refusal) {
	re, r := c.namedRefund()
	if r != nil {
		return nil, r
	}
	changed := cloneMetadata(re.Object.Metadata)
	if r := c.params.mergeMetadata(changed); r != nil {
		return nil, r
	}
	re.Object.Metadata = changed
	c.saveRefund(re)
	c.emitRefundChange(re)
	return c.refundView(re, ""), nil
}

// cancelRefund: only refunds that wait for the customer can be canceled, and a
// refund to a card never does.
func (c *call) cancelRefund() (any, *refusal) {
	re, r := c.namedRefund()
	if r != nil {
		return nil, r
	}
	return nil, invalidRequest("", "You can only cancel refunds that require action; refund "+re.Object.ID+" is "+re.Object.Status+".")
}

func (c *call) listRefunds() (any, *refusal) {
	charge, pi := c.params.get("charge"), c.params.get("payment_intent")
	return listOf(c, c.refunds, "refund", "/v1/refunds", func(re *refund) (refundObject, bool) {
		wanted := (charge == "" || re.Object.Charge.id == charge) && (pi == "" || re.Object.PaymentIntent.id == pi)
		return c.refundView(re, "data."), wanted
	}, func(re *refund) int64 { return re.Object.Created })
}

// refundView is the refund as the caller wants it expanded.
func (c *call) refundView(re *refund, prefix string) refundObject {
	view := re.Object
	if c.expands(prefix + "charge") {
		view.Charge.expanded = c.charges.byID[view.Charge.id]
	}
	if c.expands(prefix + "payment_intent") {
		view.PaymentIntent.expanded = c.intents.byID[view.PaymentIntent.id].Object
	}
	return view
}
