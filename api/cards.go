package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/stripe/stripe-go/v76"
)

const codeInvalidMethod = "invalid_payment_method"

// Card is the account's card as callers see it.
type Card struct {
	PaymentMethod  string         `json:"payment_method"`
	Brand          string         `json:"brand" enum:"visa,mastercard,amex"`
	Funding        string         `json:"funding" enum:"credit,debit,unknown"`
	Last4          string         `json:"last4"`
	ExpMonth       int            `json:"exp_month"`
	ExpYear        int            `json:"exp_year"`
	BillingAddress models.Address `json:"billing_address"`
	TaxID          *TaxID         `json:"tax_id,omitempty"`
}

// TaxID is a tax number of the account, by Stripe's name for its kind.
type TaxID struct {
	Type  string `json:"type" minLength:"1" maxLength:"30" example:"eu_vat"`
	Value string `json:"value" minLength:"1" maxLength:"50" example:"DE123456789"`
}

type putCardInput struct {
	ID   string `path:"id"`
	Body struct {
		PaymentMethod  string      `json:"payment_method" minLength:"1" maxLength:"255" pattern:"^[A-Za-z0-9_]+$" patternDescription:"an id of Stripe" doc:"A Stripe PaymentMethod id; never a card number." example:"pm_card_visa"`
		BillingAddress cardAddress `json:"billing_address"`
		TaxID          *TaxID      `json:"tax_id,omitempty"`
	}
}

// cardAddress is an address as it arrives; what it lacks the rules say (R41).
type cardAddress struct {
	Line1      string `json:"line1,omitempty" maxLength:"500"`
	City       string `json:"city,omitempty" maxLength:"200"`
	State      string `json:"state,omitempty" maxLength:"200"`
	PostalCode string `json:"postal_code,omitempty" maxLength:"50"`
	Country    string `json:"country,omitempty" maxLength:"2" doc:"ISO 3166-1 alpha-2."`
}

type cardOutput struct{ Body Card }

// putCard makes a card the account's one card: accepted by the rules (R39), with
// a complete address (R41), attached to the account's customer at Stripe. Each
// step finds its own effect when it is repeated.
func (s *Server) putCard(ctx context.Context, in *putCardInput) (*cardOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	address := models.Address(in.Body.BillingAddress)
	if err := billing.CheckAddress(address); err != nil {
		return nil, err
	}
	held, err := s.cardOf(ctx, account.ID)
	if err != nil {
		return nil, err
	}
	method, err := s.acceptableCard(ctx, in.Body.PaymentMethod)
	if err != nil {
		return nil, err
	}
	if held != nil && held.Fingerprint == method.Card.Fingerprint && !billing.SameAddress(held.Address, address) {
		return nil, problem(http.StatusConflict, "address_mismatch",
			"This card is on file with another billing address. Use the address that the bank has, or another card.")
	}
	customer, err := s.customerOf(ctx, account)
	if err != nil {
		return nil, err
	}
	attached, err := s.attach(ctx, in.Body.PaymentMethod, customer)
	if err != nil {
		return nil, err
	}
	card := cardModel(account.ID, attached, address, in.Body.TaxID)
	card.UpdatedAt = s.Now()
	if err := s.Store.PutCard(ctx, card); err != nil {
		return nil, err
	}
	return &cardOutput{Body: *cardView(&card)}, nil
}

// acceptableCard reads a payment method from Stripe and refuses what the rules
// do not accept, before anything is attached.
func (s *Server) acceptableCard(ctx context.Context, id string) (*stripe.PaymentMethod, error) {
	params := &stripe.PaymentMethodParams{}
	params.Context = ctx
	method, err := s.Stripe.PaymentMethods.Get(id, params)
	if err != nil {
		return nil, cardProblem("read payment method", err)
	}
	if method.Card == nil {
		return nil, billing.CheckCard("", "")
	}
	return method, billing.CheckCard(string(method.Card.Brand), string(method.Card.Funding))
}

// customerOf is the account's customer at Stripe, made with its first card. Two
// requests at once may make two: the first one noted is used, and a spare customer
// holds nothing. A key would have Stripe repeat a failure for a day.
func (s *Server) customerOf(ctx context.Context, account models.Account) (string, error) {
	if account.StripeCustomerID != nil {
		return *account.StripeCustomerID, nil
	}
	params := &stripe.CustomerParams{
		Email:    stripe.String(account.Email),
		Name:     stripe.String(account.Name),
		Metadata: map[string]string{activities.MetadataAccount: account.ID},
	}
	params.Context = ctx
	customer, err := s.Stripe.Customers.New(params)
	if err != nil {
		return "", cardProblem("create customer", err)
	}
	return s.Store.SetStripeCustomer(ctx, account.ID, customer.ID)
}

func (s *Server) attach(ctx context.Context, method, customer string) (*stripe.PaymentMethod, error) {
	params := &stripe.PaymentMethodAttachParams{Customer: stripe.String(customer)}
	params.Context = ctx
	attached, err := s.Stripe.PaymentMethods.Attach(method, params)
	if err != nil {
		return nil, cardProblem("attach card", err)
	}
	return attached, billing.CheckCard(string(attached.Card.Brand), string(attached.Card.Funding))
}

// cardProblem is what an error of Stripe about a card tells the caller.
func cardProblem(operation string, err error) error {
	var e *stripe.Error
	if !errors.As(err, &e) || e.HTTPStatusCode >= http.StatusInternalServerError || e.HTTPStatusCode == http.StatusTooManyRequests ||
		e.HTTPStatusCode == http.StatusConflict {
		return problem(http.StatusServiceUnavailable, "stripe_unavailable",
			"Stripe does not answer just now. Nothing was changed; repeat the request in a moment.")
	}
	if e.Type == stripe.ErrorTypeCard {
		code := string(e.DeclineCode)
		if code == "" {
			code = string(e.Code)
		}
		decline := billing.DeclineFor(code)
		return problem(http.StatusUnprocessableEntity, decline.PublicCode, decline.Message)
	}
	if e.HTTPStatusCode == http.StatusUnauthorized || e.HTTPStatusCode == http.StatusForbidden {
		return fmt.Errorf("%s: Stripe refuses our key (request %s)", operation, e.RequestID)
	}
	return problem(http.StatusUnprocessableEntity, codeInvalidMethod,
		"Stripe does not know this payment method, or it belongs to another customer. Make a new one with Stripe.js and send its id.")
}

func cardModel(accountID string, method *stripe.PaymentMethod, address models.Address, taxID *TaxID) models.Card {
	card := models.Card{
		AccountID: accountID, PaymentMethodID: method.ID,
		Brand: string(method.Card.Brand), Funding: string(method.Card.Funding), Last4: method.Card.Last4,
		ExpMonth: int(method.Card.ExpMonth), ExpYear: int(method.Card.ExpYear), Fingerprint: method.Card.Fingerprint,
		Address: address,
	}
	if taxID != nil {
		card.TaxIDType, card.TaxIDValue = &taxID.Type, &taxID.Value
	}
	return card
}

func cardView(card *models.Card) *Card {
	if card == nil {
		return nil
	}
	view := &Card{
		PaymentMethod: card.PaymentMethodID, Brand: card.Brand, Funding: card.Funding, Last4: card.Last4,
		ExpMonth: card.ExpMonth, ExpYear: card.ExpYear, BillingAddress: card.Address,
	}
	if card.TaxIDType != nil {
		view.TaxID = &TaxID{Type: *card.TaxIDType, Value: *card.TaxIDValue}
	}
	return view
}
