package sim

import (
	"slices"
	"strings"
	"time"
)

// The states of a dispute; those of an inquiry begin with warning_.
const (
	disputeNeedsResponse        = "needs_response"
	disputeUnderReview          = "under_review"
	disputeWon                  = "won"
	disputeLost                 = "lost"
	disputeWarningNeedsResponse = "warning_needs_response"
	disputeWarningUnderReview   = "warning_under_review"
	disputeWarningClosed        = "warning_closed"
)

const (
	// disputeTime passes between a charge of a disputing card and its dispute, and
	// between evidence that decides and the decision.
	disputeTime = time.Second
	// responseTime is how long evidence is taken; without any a dispute is lost.
	responseTime = 9 * 24 * time.Hour
	// inquiryTime is how long an inquiry stays open before it closes by itself.
	inquiryTime = 120 * 24 * time.Hour
	// disputeFeeCents is Stripe's fee.
	disputeFeeCents = 1500
)

// Evidence that decides a dispute in test mode, as uncategorized_text,
// https://docs.stripe.com/testing#disputes.
const (
	winningEvidence  = "winning_evidence"
	losingEvidence   = "losing_evidence"
	escalateEvidence = "escalate_inquiry_evidence"
)

// disputeReasons are those of cards.
var disputeReasons = []string{
	"credit_not_processed", "duplicate", "fraudulent", "general", "product_not_received", "product_unacceptable",
	"subscription_canceled", "unrecognized",
}

// evidenceNames are the texts that evidence may hold; files are not modelled.
var evidenceNames = strings.Fields(`access_activity_log billing_address cancellation_policy_disclosure cancellation_rebuttal
	customer_email_address customer_name customer_purchase_ip duplicate_charge_explanation duplicate_charge_id product_description
	refund_policy_disclosure refund_refusal_explanation service_date shipping_address shipping_carrier shipping_date
	shipping_tracking_number uncategorized_text`)

// disputeObject is Stripe's dispute.
type disputeObject struct {
	ID                  string               `json:"id"`
	Object              string               `json:"object"`
	Amount              int64                `json:"amount"`
	BalanceTransactions []balanceTransaction `json:"balance_transactions"`
	Charge              ref                  `json:"charge"`
	Created             int64                `json:"created"`
	Currency            string               `json:"currency"`
	Evidence            map[string]text      `json:"evidence"`
	EvidenceDetails     evidenceDetails      `json:"evidence_details"`
	IsChargeRefundable  bool                 `json:"is_charge_refundable"`
	Livemode            bool                 `json:"livemode"`
	Metadata            map[string]string    `json:"metadata"`
	PaymentIntent       ref                  `json:"payment_intent"`
	MethodDetails       disputeCard          `json:"payment_method_details"`
	Reason              string               `json:"reason"`
	Status              string               `json:"status"`
}

type evidenceDetails struct {
	DueBy           unixTime `json:"due_by"`
	HasEvidence     bool     `json:"has_evidence"`
	PastDue         bool     `json:"past_due"`
	SubmissionCount int64    `json:"submission_count"`
}

type disputeCard struct {
	Card struct {
		Brand             string `json:"brand"`
		NetworkReasonCode string `json:"network_reason_code"`
	} `json:"card"`
	Type string `json:"type"`
}

// balanceTransaction is Stripe's, as a dispute holds it.
type balanceTransaction struct {
	ID                string `json:"id"`
	Object            string `json:"object"`
	Amount            int64  `json:"amount"`
	AvailableOn       int64  `json:"available_on"`
	Created           int64  `json:"created"`
	Currency          string `json:"currency"`
	Description       text   `json:"description"`
	ExchangeRate      null   `json:"exchange_rate"`
	Fee               int64  `json:"fee"`
	FeeDetails        []fee  `json:"fee_details"`
	Net               int64  `json:"net"`
	ReportingCategory string `json:"reporting_category"`
	Source            string `json:"source"`
	Status            string `json:"status"`
	Type              string `json:"type"`
}

type fee struct {
	Amount      int64  `json:"amount"`
	Application null   `json:"application"`
	Currency    string `json:"currency"`
	Description string `json:"description"`
	Type        string `json:"type"`
}

// dispute is a dispute and what only the double knows of it.
type dispute struct {
	Object disputeObject `json:"object"`
	// DecideAt is when time or the evidence given decides it, in nanoseconds of
	// Unix time.
	DecideAt int64 `json:"decide_at,omitempty"`
}

// inquiry tells whether no money has moved so far.
func (d *dispute) inquiry() bool { return strings.HasPrefix(d.Object.Status, "warning_") }

// closed tells whether it has ended; an inquiry that closed did so too.
func (d *dispute) closed() bool {
	return slices.Contains([]string{disputeWon, disputeLost, disputeWarningClosed}, d.Object.Status)
}

// chargedBack tells whether a dispute has taken the charge's money.
func (c *call) chargedBack(charge string) bool {
	for _, dp := range c.disputes.byID {
		if dp.Object.Charge.id == charge && !dp.inquiry() && dp.Object.Status != disputeWon {
			return true
		}
	}
	return false
}

func (c *call) disputeAsTheCardDoes(pi *intent) {
	pi.DisputeAt = 0
	c.saveIntent(pi)
	ch := c.charges.byID[pi.Object.LatestCharge.id]
	known := c.methods.byID[ch.PaymentMethod].card()
	c.openDispute(ch, known.disputes, known.inquires)
}

// openDispute is the cardholder's complaint at the bank.
func (c *call) openDispute(ch *chargeObject, reason string, inquiry bool) *dispute {
	dp := &dispute{DecideAt: c.after(responseTime), Object: disputeObject{
		ID: newID("dp_1", 23), Object: "dispute", Amount: ch.AmountCaptured - ch.AmountRefunded, BalanceTransactions: []balanceTransaction{},
		Charge: ref{id: ch.ID}, Created: c.now.Unix(), Currency: ch.Currency, Evidence: map[string]text{},
		EvidenceDetails: evidenceDetails{DueBy: unixTime(c.now.Add(responseTime).Unix())}, IsChargeRefundable: inquiry,
		Metadata: map[string]string{}, PaymentIntent: ref{id: ch.PaymentIntent.id}, MethodDetails: disputeCard{Type: "card"},
		Reason: reason, Status: disputeNeedsResponse,
	}}
	dp.Object.MethodDetails.Card.Brand, dp.Object.MethodDetails.Card.NetworkReasonCode = ch.PaymentMethodDetails.Card.Brand, "10"
	for _, name := range evidenceNames {
		dp.Object.Evidence[name] = ""
	}
	if inquiry {
		dp.Object.Status, dp.DecideAt = disputeWarningNeedsResponse, c.after(inquiryTime)
	}
	ch.Disputed = true
	c.saveCharge(ch)
	if !inquiry {
		dp.move(c, -dp.Object.Amount, disputeFeeCents)
	}
	c.saveDispute(dp)
	c.emit("charge.dispute.created", dp.Object)
	if !inquiry {
		c.emit("charge.dispute.funds_withdrawn", dp.Object)
	}
	c.wakeTimers()
	return dp
}

// move books an amount and Stripe's fee on the merchant's balance.
func (d *dispute) move(c *call, cents, feeCents int64) {
	entry := balanceTransaction{
		ID: newID("txn_1", 23), Object: "balance_transaction", Amount: cents, AvailableOn: c.now.Unix(), Created: c.now.Unix(),
		Currency: d.Object.Currency, Description: "Chargeback withdrawal for " + text(d.Object.Charge.id), Fee: feeCents, FeeDetails: []fee{},
		Net: cents - feeCents, ReportingCategory: "dispute", Source: d.Object.ID, Status: "available", Type: "adjustment",
	}
	if cents > 0 {
		entry.Description, entry.ReportingCategory = "Chargeback reversal for "+text(d.Object.Charge.id), "dispute_reversal"
	}
	if feeCents != 0 {
		entry.FeeDetails = append(entry.FeeDetails, fee{Amount: feeCents, Currency: d.Object.Currency, Description: "Dispute fee", Type: "stripe_fee"})
	}
	d.Object.BalanceTransactions = append(slices.Clone(d.Object.BalanceTransactions), entry)
	d.Object.IsChargeRefundable = false
}

// decideDispute is what time, or the evidence that was submitted, makes of it.
func (c *call) decideDispute(dp *dispute) {
	evidence := dp.Object.Evidence["uncategorized_text"]
	switch {
	case dp.Object.Status == disputeWarningUnderReview && evidence == escalateEvidence:
		c.escalateDispute(dp)
	case dp.inquiry():
		c.closeDispute(dp, disputeWarningClosed)
	case dp.Object.Status == disputeUnderReview && evidence == winningEvidence:
		c.closeDispute(dp, disputeWon)
	default:
		dp.Object.EvidenceDetails.PastDue = dp.Object.Status == disputeNeedsResponse
		c.closeDispute(dp, disputeLost)
	}
}

// escalateDispute makes a chargeback of an inquiry.
func (c *call) escalateDispute(dp *dispute) {
	dp.Object.Status, dp.DecideAt = disputeNeedsResponse, c.after(responseTime)
	dp.Object.EvidenceDetails.DueBy = unixTime(c.now.Add(responseTime).Unix())
	dp.move(c, -dp.Object.Amount, disputeFeeCents)
	c.saveDispute(dp)
	c.emit("charge.dispute.updated", dp.Object)
	c.emit("charge.dispute.funds_withdrawn", dp.Object)
}

// closeDispute ends it. A won one gives the money back, its fee too.
func (c *call) closeDispute(dp *dispute, status string) {
	dp.Object.Status, dp.DecideAt = status, 0
	if status == disputeWon {
		dp.move(c, dp.Object.Amount, -disputeFeeCents)
	}
	c.saveDispute(dp)
	c.emit("charge.dispute.closed", dp.Object)
	if status == disputeWon {
		c.emit("charge.dispute.funds_reinstated", dp.Object)
	}
}
