package sim

import "net/http"

// chargeObject is Stripe's charge: one attempt to move the money.
type chargeObject struct {
	ID                        string            `json:"id"`
	Object                    string            `json:"object"`
	Amount                    int64             `json:"amount"`
	AmountCaptured            int64             `json:"amount_captured"`
	AmountRefunded            int64             `json:"amount_refunded"`
	BalanceTransaction        null              `json:"balance_transaction"`
	BillingDetails            billingDetails    `json:"billing_details"`
	Captured                  bool              `json:"captured"`
	Created                   int64             `json:"created"`
	Currency                  string            `json:"currency"`
	Customer                  ref               `json:"customer"`
	Description               text              `json:"description"`
	Disputed                  bool              `json:"disputed"`
	FailureCode               text              `json:"failure_code"`
	FailureMessage            text              `json:"failure_message"`
	FraudDetails              struct{}          `json:"fraud_details"`
	Invoice                   null              `json:"invoice"`
	Livemode                  bool              `json:"livemode"`
	Metadata                  map[string]string `json:"metadata"`
	Outcome                   *chargeOutcome    `json:"outcome"`
	Paid                      bool              `json:"paid"`
	PaymentIntent             ref               `json:"payment_intent"`
	PaymentMethod             string            `json:"payment_method"`
	PaymentMethodDetails      chargeDetails     `json:"payment_method_details"`
	ReceiptURL                null              `json:"receipt_url"`
	Refunded                  bool              `json:"refunded"`
	Review                    null              `json:"review"`
	StatementDescriptor       null              `json:"statement_descriptor"`
	StatementDescriptorSuffix text              `json:"statement_descriptor_suffix"`
	Status                    string            `json:"status"`
}

type chargeOutcome struct {
	NetworkStatus string `json:"network_status"`
	Reason        text   `json:"reason"`
	RiskLevel     string `json:"risk_level"`
	SellerMessage string `json:"seller_message"`
	Type          string `json:"type"`
}

type chargeDetails struct {
	Card chargeCard `json:"card"`
	Type string     `json:"type"`
}

type chargeCard struct {
	Brand        string        `json:"brand"`
	Checks       cardChecks    `json:"checks"`
	Country      string        `json:"country"`
	ExpMonth     int64         `json:"exp_month"`
	ExpYear      int64         `json:"exp_year"`
	Fingerprint  string        `json:"fingerprint"`
	Funding      string        `json:"funding"`
	Installments null          `json:"installments"`
	Last4        string        `json:"last4"`
	Mandate      text          `json:"mandate"`
	Network      string        `json:"network"`
	ThreeDSecure *threeDSecure `json:"three_d_secure"`
	Wallet       null          `json:"wallet"`
}

type threeDSecure struct {
	AuthenticationFlow string `json:"authentication_flow"`
	Result             string `json:"result"`
	Version            string `json:"version"`
}

// newCharge is a charge of the whole PaymentIntent with the payment method, not
// yet decided.
func (c *call) newCharge(pi *intent, m *method, authenticated bool) *chargeObject {
	held := m.Object.Card
	ch := &chargeObject{
		ID: newID("ch_3", 23), Object: "charge", Amount: pi.Object.Amount, BillingDetails: m.Object.BillingDetails,
		Created: c.now.Unix(), Currency: pi.Object.Currency, Customer: pi.Object.Customer, Description: pi.Object.Description,
		Metadata: pi.Object.Metadata, PaymentIntent: ref{id: pi.Object.ID}, PaymentMethod: m.Object.ID,
		StatementDescriptorSuffix: pi.Object.StatementDescriptorSuffix, Status: "pending",
		PaymentMethodDetails: chargeDetails{Type: "card", Card: chargeCard{
			Brand: held.Brand, Checks: m.checks(), Country: held.Country, ExpMonth: held.ExpMonth, ExpYear: held.ExpYear,
			Fingerprint: held.Fingerprint, Funding: held.Funding, Last4: held.Last4, Network: held.Brand,
		}},
	}
	if authenticated {
		ch.PaymentMethodDetails.Card.ThreeDSecure = &threeDSecure{AuthenticationFlow: "challenge", Result: "authenticated", Version: "2.2.0"}
	}
	return ch
}

func (ch *chargeObject) succeed(risk string) {
	ch.Status, ch.Paid, ch.Captured, ch.AmountCaptured = "succeeded", true, true, ch.Amount
	ch.Outcome = &chargeOutcome{
		NetworkStatus: "approved_by_network", RiskLevel: risk, SellerMessage: "Payment complete.", Type: "authorized",
	}
}

func (ch *chargeObject) fail(p problem, risk string) {
	ch.Status, ch.FailureCode, ch.FailureMessage = "failed", text(p.Code), text(p.Message)
	ch.Outcome = &chargeOutcome{
		NetworkStatus: "declined_by_network", Reason: text(p.DeclineCode), RiskLevel: risk,
		SellerMessage: "The bank did not return any further details with this decline.", Type: "issuer_declined",
	}
}

func (c *call) getCharge() (any, *refusal) {
	ch, found := c.charges.byID[c.id]
	if !found {
		return nil, missing(http.StatusNotFound, "charge", c.id, "charge")
	}
	return c.chargeView(ch, ""), nil
}

func (c *call) listCharges() (any, *refusal) {
	customer, pi := c.params.get("customer"), c.params.get("payment_intent")
	return listOf(c, c.charges, "charge", "/v1/charges", func(ch *chargeObject) (chargeObject, bool) {
		wanted := (customer == "" || ch.Customer.id == customer) && (pi == "" || ch.PaymentIntent.id == pi)
		return c.chargeView(ch, "data."), wanted
	}, func(ch *chargeObject) int64 { return ch.Created })
}

// chargeView is the charge as the caller wants it expanded.
func (c *call) chargeView(ch *chargeObject, prefix string) chargeObject {
	view := *ch
	if c.expands(prefix+"customer") && view.Customer.id != "" {
		view.Customer.expanded = c.customers.byID[view.Customer.id]
	}
	if c.expands(prefix + "payment_intent") {
		view.PaymentIntent.expanded = c.intents.byID[view.PaymentIntent.id].Object
	}
	return view
}
