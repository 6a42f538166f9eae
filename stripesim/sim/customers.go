package sim

import "net/http"

// address is Stripe's postal address.
type address struct {
	City       text `json:"city"`
	Country    text `json:"country"`
	Line1      text `json:"line1"`
	Line2      text `json:"line2"`
	PostalCode text `json:"postal_code"`
	State      text `json:"state"`
}

func (a *address) merge(p params, prefix string) {
	p.setText(&a.City, prefix+"[city]")
	p.setText(&a.Country, prefix+"[country]")
	p.setText(&a.Line1, prefix+"[line1]")
	p.setText(&a.Line2, prefix+"[line2]")
	p.setText(&a.PostalCode, prefix+"[postal_code]")
	p.setText(&a.State, prefix+"[state]")
}

// customerObject is Stripe's customer.
type customerObject struct {
	ID              string            `json:"id"`
	Object          string            `json:"object"`
	Address         *address          `json:"address"`
	Balance         int64             `json:"balance"`
	Created         int64             `json:"created"`
	Currency        null              `json:"currency"`
	DefaultSource   null              `json:"default_source"`
	Delinquent      bool              `json:"delinquent"`
	Description     text              `json:"description"`
	Discount        null              `json:"discount"`
	Email           text              `json:"email"`
	InvoiceSettings invoiceSettings   `json:"invoice_settings"`
	Livemode        bool              `json:"livemode"`
	Metadata        map[string]string `json:"metadata"`
	Name            text              `json:"name"`
	Phone           text              `json:"phone"`
	Locales         []string          `json:"preferred_locales"`
	Shipping        null              `json:"shipping"`
	TaxExempt       string            `json:"tax_exempt"`
	TestClock       null              `json:"test_clock"`
}

type invoiceSettings struct {
	CustomFields         null `json:"custom_fields"`
	DefaultPaymentMethod ref  `json:"default_payment_method"`
	Footer               null `json:"footer"`
	RenderingOptions     null `json:"rendering_options"`
}

func (c *call) createCustomer() (any, *refusal) {
	cus := &customerObject{
		ID: newID("cus_", 14), Object: "customer", Created: c.now.Unix(),
		Metadata: map[string]string{}, Locales: []string{}, TaxExempt: "none",
	}
	if r := c.mergeCustomer(cus); r != nil {
		return nil, r
	}
	c.saveCustomer(cus)
	c.emit("customer.created", cus)
	return cus, nil
}

func (c *call) updateCustomer() (any, *refusal) {
	before, found := c.customers.byID[c.id]
	if !found {
		return nil, missing(http.StatusNotFound, "customer", c.id, "id")
	}
	changed := *before
	changed.Metadata = cloneMetadata(before.Metadata)
	if r := c.mergeCustomer(&changed); r != nil {
		return nil, r
	}
	*before = changed
	c.saveCustomer(before)
	c.emit("customer.updated", before)
	return before, nil
}

func (c *call) mergeCustomer(cus *customerObject) *refusal {
	c.params.setText(&cus.Description, "description")
	c.params.setText(&cus.Email, "email")
	c.params.setText(&cus.Name, "name")
	c.params.setText(&cus.Phone, "phone")
	var home address
	if cus.Address != nil {
		home = *cus.Address
	}
	home.merge(c.params, "address")
	if home != (address{}) {
		cus.Address = &home
	}
	const preferred = "invoice_settings[default_payment_method]"
	if id := c.params.get(preferred); id != "" {
		if m, found := c.methods.byID[id]; !found || m.Object.Customer.id != cus.ID {
			return missing(http.StatusBadRequest, "PaymentMethod", id, preferred)
		}
		cus.InvoiceSettings.DefaultPaymentMethod = ref{id: id}
	}
	return c.params.mergeMetadata(cus.Metadata)
}

func (c *call) getCustomer() (any, *refusal) {
	cus, found := c.customers.byID[c.id]
	if !found {
		return nil, missing(http.StatusNotFound, "customer", c.id, "id")
	}
	return cus, nil
}

// customerRef gives the customer that a parameter names; an absent one is none.
func (c *call) customerRef(id string) (ref, *refusal) {
	if id == "" {
		return ref{}, nil
	}
	if _, found := c.customers.byID[id]; !found {
		return ref{}, missing(http.StatusBadRequest, "customer", id, "customer")
	}
	return ref{id: id}, nil
}
