package sim

import (
	"cmp"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

type billingDetails struct {
	Address address `json:"address"`
	Email   text    `json:"email"`
	Name    text    `json:"name"`
	Phone   text    `json:"phone"`
}

func (b *billingDetails) merge(p params) {
	b.Address.merge(p, "billing_details[address]")
	p.setText(&b.Email, "billing_details[email]")
	p.setText(&b.Name, "billing_details[name]")
	p.setText(&b.Phone, "billing_details[phone]")
}

// cardChecks are the results of the address and security code checks.
type cardChecks struct {
	Line1      text `json:"address_line1_check"`
	PostalCode text `json:"address_postal_code_check"`
	CVC        text `json:"cvc_check"`
}

// cardObject is the card inside a payment method.
type cardObject struct {
	Brand         string     `json:"brand"`
	Checks        cardChecks `json:"checks"`
	Country       string     `json:"country"`
	DisplayBrand  string     `json:"display_brand"`
	ExpMonth      int64      `json:"exp_month"`
	ExpYear       int64      `json:"exp_year"`
	Fingerprint   string     `json:"fingerprint"`
	Funding       string     `json:"funding"`
	GeneratedFrom null       `json:"generated_from"`
	Last4         string     `json:"last4"`
	Networks      struct {
		Available []string `json:"available"`
		Preferred null     `json:"preferred"`
	} `json:"networks"`
	ThreeDSecureUsage struct {
		Supported bool `json:"supported"`
	} `json:"three_d_secure_usage"`
	Wallet null `json:"wallet"`
}

// methodObject is Stripe's payment method.
type methodObject struct {
	ID             string            `json:"id"`
	Object         string            `json:"object"`
	BillingDetails billingDetails    `json:"billing_details"`
	Card           cardObject        `json:"card"`
	Created        int64             `json:"created"`
	Customer       ref               `json:"customer"`
	Livemode       bool              `json:"livemode"`
	Metadata       map[string]string `json:"metadata"`
	Type           string            `json:"type"`
}

// method is a payment method and what only the double knows of it.
type method struct {
	Object   methodObject `json:"object"`
	CardKey  string       `json:"card_key"`
	CVCGiven bool         `json:"cvc_given"`
	// Spent is a method that was used without a customer; it can be used no more.
	Spent bool `json:"spent,omitempty"`
	// SetUp: saved for off-session payments, the customer agreeing.
	SetUp bool `json:"set_up,omitempty"`
}

func (m *method) card() card {
	found, _ := cardByName(m.CardKey) // stored only after it was found
	return found
}

// checks gives what the bank says of the address and the security code.
func (m *method) checks() cardChecks {
	var checks cardChecks
	if m.CVCGiven {
		checks.CVC = text(m.card().cvcCheck)
	}
	if m.Object.BillingDetails.Address.Line1 != "" {
		checks.Line1 = text(m.card().line1Check)
	}
	if m.Object.BillingDetails.Address.PostalCode != "" {
		checks.PostalCode = text(m.card().zipCheck)
	}
	return checks
}

func (c *call) newMethod(from card, expMonth, expYear int64, cvcGiven bool) *method {
	m := &method{CardKey: from.key, CVCGiven: cvcGiven, Object: methodObject{
		ID: newID("pm_1", 23), Object: "payment_method", Created: c.now.Unix(),
		Metadata: map[string]string{}, Type: "card",
		Card: cardObject{
			Brand: from.brand, Country: from.country, DisplayBrand: from.brand, ExpMonth: expMonth, ExpYear: expYear,
			Fingerprint: from.fingerprint(), Funding: from.funding, Last4: from.last4,
		},
	}}
	m.Object.Card.Networks.Available = []string{from.brand}
	m.Object.Card.ThreeDSecureUsage.Supported = true
	return m
}

// findMethod gives a stored payment method, or a new one, not yet stored, when
// the id is a test id.
func (c *call) findMethod(id string, statusIfMissing int) (*method, *refusal) {
	if m, found := c.methods.byID[id]; found {
		return m, nil
	}
	if strings.HasPrefix(id, "pm_") {
		if known, found := cardByName(id); found {
			return c.newMethod(known, 12, int64(c.now.Year()+3), true), nil
		}
	}
	if strings.HasPrefix(id, "pm_card_") || strings.HasPrefix(id, "pm_sim_") {
		return nil, notModelled("the test payment method %s", id)
	}
	return nil, missing(statusIfMissing, "PaymentMethod", id, "payment_method")
}

func (c *call) createPaymentMethod() (any, *refusal) {
	switch kind := c.params.get("type"); kind {
	case "card":
	case "":
		return nil, missingParam("type")
	default:
		return nil, notModelled("payment methods of type %s", kind)
	}
	from, expMonth, expYear, r := c.cardFromParams()
	if r != nil {
		return nil, r
	}
	m := c.newMethod(from, expMonth, expYear, c.params.has("card[cvc]") || c.params.has("card[token]"))
	m.Object.BillingDetails.merge(c.params)
	if r := c.params.mergeMetadata(m.Object.Metadata); r != nil {
		return nil, r
	}
	c.saveMethod(m)
	return c.methodView(m), nil
}

var cvcForm = regexp.MustCompile(`^[0-9]{3,4}$`)

// cardFromParams reads card[...]; only Stripe's test numbers and tokens are cards
// here.
func (c *call) cardFromParams() (from card, expMonth, expYear int64, _ *refusal) {
	if token := c.params.get("card[token]"); token != "" {
		return c.cardFromToken(token)
	}
	number := strings.NewReplacer(" ", "", "-", "").Replace(c.params.get("card[number]"))
	for _, name := range []string{"card[number]", "card[exp_month]", "card[exp_year]"} {
		if !c.params.has(name) {
			return from, 0, 0, missingParam(name)
		}
	}
	if !validLuhn(number) {
		return from, 0, 0, cardRefusal("incorrect_number", "number")
	}
	from, known := cardByName(number)
	if !known {
		return from, 0, 0, cardRefusal("test_mode_live_card", "")
	}
	expMonth, _ = strconv.ParseInt(c.params.get("card[exp_month]"), 10, 64)
	if expMonth < 1 || expMonth > 12 {
		return from, 0, 0, cardRefusal("invalid_expiry_month", "exp_month")
	}
	expYear, _ = strconv.ParseInt(c.params.get("card[exp_year]"), 10, 64)
	if expYear < 100 {
		expYear += 2000
	}
	thisYear, thisMonth := int64(c.now.Year()), int64(c.now.Month())
	if expYear > thisYear+50 || expYear < thisYear || (expYear == thisYear && expMonth < thisMonth) {
		return from, 0, 0, cardRefusal("invalid_expiry_year", "exp_year")
	}
	if c.params.has("card[cvc]") && !cvcForm.MatchString(c.params.get("card[cvc]")) {
		return from, 0, 0, cardRefusal("invalid_cvc", "cvc")
	}
	return from, expMonth, expYear, nil
}

// cardFromToken: each pm_card_ id has a token of its name.
func (c *call) cardFromToken(token string) (from card, expMonth, expYear int64, _ *refusal) {
	name, isToken := strings.CutPrefix(token, "tok_")
	from, known := cardByName("pm_card_" + name)
	if !isToken || !known {
		return from, 0, 0, missing(http.StatusBadRequest, "token", token, "card[token]")
	}
	return from, 12, int64(c.now.Year() + 3), nil
}

func (c *call) getPaymentMethod() (any, *refusal) {
	m, r := c.findMethod(c.id, http.StatusNotFound)
	if r != nil {
		return nil, r
	}
	if _, stored := c.methods.byID[m.Object.ID]; !stored {
		c.saveMethod(m)
	}
	return c.methodView(m), nil
}

func (c *call) updatePaymentMethod() (any, *refusal) {
	m, found := c.methods.byID[c.id]
	if !found {
		return nil, missing(http.StatusNotFound, "PaymentMethod", c.id, "payment_method")
	}
	if m.Object.Customer.id == "" {
		return nil, invalidRequest("", "You must save this PaymentMethod to a customer before you can update it.")
	}
	changed := *m
	changed.Object.Metadata = cloneMetadata(m.Object.Metadata)
	if r := c.params.mergeMetadata(changed.Object.Metadata); r != nil {
		return nil, r
	}
	changed.Object.BillingDetails.merge(c.params)
	changed.Object.Card.Checks = changed.checks()
	*m = changed
	c.saveMethod(m)
	c.emit("payment_method.updated", m.Object)
	return c.methodView(m), nil
}

const spentMessage = "This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, and may not be used again."

func (c *call) attachPaymentMethod() (any, *refusal) {
	if !c.params.has("customer") {
		return nil, missingParam("customer")
	}
	owner, r := c.customerRef(c.params.get("customer"))
	if r != nil {
		return nil, r
	}
	m, r := c.findMethod(c.id, http.StatusNotFound)
	if r != nil {
		return nil, r
	}
	switch {
	case m.Object.Customer.id == owner.id:
		return c.methodView(m), nil
	case m.Object.Customer.id != "":
		return nil, invalidRequest("", "The payment method you provided has already been attached to a customer.")
	case m.Spent:
		return nil, invalidRequest("", spentMessage)
	case m.card().refusesAttachment():
		return nil, cardRefusal(m.card().decline, "")
	}
	c.attachTo(owner, m)
	return c.methodView(m), nil
}

// attachTo makes the payment method the customer's; without one, or where it is
// somebody's already, nothing happens.
func (c *call) attachTo(owner ref, m *method) {
	if owner.id == "" || m.Object.Customer.id != "" {
		return
	}
	m.Object.Customer = owner
	m.Object.Card.Checks = m.checks()
	c.saveMethod(m)
	c.emit("payment_method.attached", m.Object)
}

// detachPaymentMethod ends it for good: Stripe lets nobody use it again.
func (c *call) detachPaymentMethod() (any, *refusal) {
	m, found := c.methods.byID[c.id]
	if !found {
		return nil, missing(http.StatusNotFound, "PaymentMethod", c.id, "payment_method")
	}
	if m.Object.Customer.id == "" {
		return nil, invalidRequest("", "The payment method you provided is not attached to a customer so detachment is impossible.")
	}
	m.Object.Customer, m.Spent = ref{}, true
	c.saveMethod(m)
	c.emit("payment_method.detached", m.Object)
	return c.methodView(m), nil
}

func (c *call) listPaymentMethods() (any, *refusal) {
	return c.methodsOf(c.params.get("customer"), "/v1/payment_methods")
}

func (c *call) listCustomerPaymentMethods() (any, *refusal) {
	return c.methodsOf(c.id, "/v1/customers/"+c.id+"/payment_methods")
}

func (c *call) methodsOf(customer, url string) (any, *refusal) {
	if kind := c.params.get("type"); kind != "" && kind != "card" {
		return nil, notModelled("payment methods of type %s", kind)
	}
	if _, r := c.customerRef(customer); r != nil || customer == "" {
		return nil, cmp.Or(r, missingParam("customer"))
	}
	return listOf(c, c.methods, "PaymentMethod", url, func(m *method) (methodObject, bool) {
		return c.methodView(m), m.Object.Customer.id == customer
	}, func(m *method) int64 { return m.Object.Created })
}

func (c *call) methodView(m *method) methodObject {
	view := m.Object
	if c.expands("customer") && view.Customer.id != "" {
		view.Customer.expanded = c.customers.byID[view.Customer.id]
	}
	return view
}

func cloneMetadata(from map[string]string) map[string]string {
	to := make(map[string]string, len(from))
	for key, value := range from {
		to[key] = value
	}
	return to
}
