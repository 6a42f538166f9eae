package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
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

// CardPending is the answer while the bank wants the customer.
type CardPending struct {
	AuthorizationURL string `json:"authorization_url,omitempty" doc:"Where the customer answers the bank; send them there. Until they have, the card before stays. Left out: the bank takes its time."`
}

// CardSetup is the newest card that was put and is not the account's card.
type CardSetup struct {
	State            string    `json:"state" enum:"open,waiting,refused,expired,canceled" doc:"open: Stripe is being asked; waiting: the bank wants the customer, or takes its time; the others are ends, and the card before stays."`
	PaymentMethod    string    `json:"payment_method"`
	AuthorizationURL *string   `json:"authorization_url,omitempty" doc:"Where the customer answers the bank; send them there."`
	Decline          *Decline  `json:"decline,omitempty"`
	CreatedAt        time.Time `json:"created_at"`
	ExpiresAt        time.Time `json:"expires_at" doc:"Until when the customer may answer."`
}

type cardOutput struct {
	Status int
	// Body is a Card, or a CardPending.
	Body any
}

func cardIs(card models.Card) *cardOutput {
	return &cardOutput{Status: http.StatusOK, Body: cardView(&card)}
}

// lookAfter is when a verification is gone on with whose front door died.
const lookAfter = time.Minute

// putCard has a card verified by its bank and makes it the account's one card, in the
// place of the one before (R40). What the rules refuse is refused before anything is
// changed at Stripe. Each step finds its own effect when it is repeated.
func (s *Server) putCard(ctx context.Context, in *putCardInput) (*cardOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	address := models.Address(in.Body.BillingAddress)
	if err := checkCardInput(address, in.Body.TaxID); err != nil {
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
	if err := s.Store.CheckCardAddress(ctx, account.ID, activities.Fingerprint(method), address); err != nil {
		return nil, addressProblem(err)
	}
	if same, err := s.sameCard(ctx, held, method); err != nil || same {
		return s.putTaxID(ctx, held, in.Body.TaxID, err)
	}
	customer, err := s.customerOf(ctx, account)
	if err != nil {
		return nil, err
	}
	if method, err = s.attach(ctx, in.Body.PaymentMethod, customer); err != nil {
		return nil, err
	}
	if err := s.describe(ctx, method.ID, address); err != nil {
		return nil, err
	}
	setup, err := s.newSetup(account, customer, method, address, in.Body.TaxID)
	if err != nil {
		return nil, err
	}
	if err := s.Store.OpenCardSetup(ctx, setup, lookAfter); err != nil {
		return nil, err
	}
	setup, err = s.cards.Verify(ctx, setup)
	return s.cardAnswer(ctx, setup, err)
}

// checkCardInput refuses an address that is not complete and a tax number that is not
// in the format of its kind. A tax number comes with an address, so it comes after one
// (R41).
func checkCardInput(address models.Address, taxID *TaxID) error {
	if err := billing.CheckAddress(address); err != nil || taxID == nil {
		return err
	}
	return billing.CheckTaxID(taxID.Type, taxID.Value)
}

func addressProblem(err error) error {
	if errors.Is(err, ledger.ErrAddressMismatch) {
		return problem(http.StatusConflict, "address_mismatch",
			"This card is on file with another billing address. Use the address that the bank has, or another card.")
	}
	return err
}

// sameCard says whether a payment method is the account's verified card once more:
// then there is nothing to verify, and only the tax number may be new (R41). A card
// whose data its bank found wrong is verified anew, as is one with another date.
func (s *Server) sameCard(ctx context.Context, held *models.Card, method *stripe.PaymentMethod) (bool, error) {
	if held == nil || held.SetupID == nil || held.Fingerprint != activities.Fingerprint(method) ||
		int64(held.ExpMonth) != method.Card.ExpMonth || int64(held.ExpYear) != method.Card.ExpYear {
		return false, nil
	}
	wrong, err := s.Store.CardDataHalted(ctx, held.AccountID, held.Fingerprint)
	return !wrong, err
}

// putTaxID answers the account's card with the tax number that came with it.
func (s *Server) putTaxID(ctx context.Context, card *models.Card, taxID *TaxID, err error) (*cardOutput, error) {
	if err != nil {
		return nil, err
	}
	card.TaxIDType, card.TaxIDValue, card.UpdatedAt = nil, nil, s.Now()
	if taxID != nil {
		card.TaxIDType, card.TaxIDValue = &taxID.Type, &taxID.Value
	}
	changed, err := s.Store.SetCardTaxID(ctx, *card)
	if err != nil {
		return nil, err
	}
	if !changed {
		return nil, replacedMeanwhile()
	}
	return cardIs(*card), nil
}

func replacedMeanwhile() error {
	return problem(http.StatusConflict, "card_replaced", "Another card was put at the same time. See which one is on file, and put this one again if it is to be that.")
}

// newSetup is the verification of a card, with a mandate where the law wants one.
func (s *Server) newSetup(account models.Account, customer string, method *stripe.PaymentMethod, address models.Address, taxID *TaxID) (models.CardSetup, error) {
	id, err := newID()
	now := s.Now()
	setup := models.CardSetup{
		ID: id, AccountID: account.ID, CustomerID: customer, PaymentMethodID: method.ID,
		MandateWanted: billing.ChargeRule(account.RulesTerritory, account.Territory, method.Card.Country).Mandate,
		Line1:         address.Line1, City: address.City, AddressState: address.State, PostalCode: address.PostalCode, Country: address.Country,
		CreatedAt: now, ExpiresAt: now.Add(billing.CardSetupWindow),
	}
	if taxID != nil {
		setup.TaxIDType, setup.TaxIDValue = &taxID.Type, &taxID.Value
	}
	return setup, err
}

// cardAnswer tells the caller how the verification of a card stands.
func (s *Server) cardAnswer(ctx context.Context, setup models.CardSetup, err error) (*cardOutput, error) {
	if err != nil {
		return nil, verifyProblem(err)
	}
	switch setup.State {
	case models.CardVerified:
		card, err := s.Store.Card(ctx, setup.AccountID)
		if err != nil {
			return nil, err
		}
		return cardIs(card), nil
	case models.CardRefused:
		return nil, declineProblem(*setup.DeclineCode)
	case models.CardOpen, models.CardWaiting:
		pending := CardPending{}
		if setup.AuthorizationURL != nil {
			pending.AuthorizationURL = *setup.AuthorizationURL
		}
		return &cardOutput{Status: http.StatusAccepted, Body: pending}, nil
	case models.CardReplaced, models.CardExpired, models.CardCanceled:
	}
	return nil, replacedMeanwhile()
}

// verifyProblem is what an error of the verification itself tells the caller. Its
// outcome may be open, so it doesn't say that nothing was changed.
func verifyProblem(err error) error {
	p := cardProblem("verify card", err)
	var known *Problem
	if errors.As(p, &known) && known.Status == http.StatusServiceUnavailable {
		known.Detail = "Stripe does not answer just now, so whether the bank takes the card is not known yet. Repeat the request in a moment, or see which card is on file."
	}
	return p
}

func declineProblem(code string) error {
	decline := billing.DeclineFor(code)
	return problem(http.StatusUnprocessableEntity, decline.PublicCode, decline.Message)
}

func cardSetupView(setup models.CardSetup) *CardSetup {
	if setup.State == models.CardVerified || setup.State == models.CardReplaced {
		return nil
	}
	view := &CardSetup{
		State: string(setup.State), PaymentMethod: setup.PaymentMethodID, AuthorizationURL: setup.AuthorizationURL,
		CreatedAt: setup.CreatedAt, ExpiresAt: setup.ExpiresAt,
	}
	if setup.DeclineCode != nil {
		decline := billing.DeclineFor(*setup.DeclineCode)
		view.Decline = &Decline{Code: decline.PublicCode, Message: decline.Message}
	}
	return view
}

// cardSetupOf is the account's newest card that did not become its card; nil for none.
func (s *Server) cardSetupOf(ctx context.Context, accountID string) (*CardSetup, error) {
	setup, err := s.Store.NewestCardSetup(ctx, accountID)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return cardSetupView(setup), nil
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

// describe sets the billing address at Stripe, for the bank to check when it verifies
// the card (R41). Where Stripe's place is taken by something that has no such call the
// bank has nothing to check, which speaks neither for the card nor against it.
func (s *Server) describe(ctx context.Context, method string, address models.Address) error {
	params := &stripe.PaymentMethodParams{BillingDetails: &stripe.PaymentMethodBillingDetailsParams{Address: &stripe.AddressParams{
		Line1: &address.Line1, City: &address.City, State: &address.State, PostalCode: &address.PostalCode,
		Country: stripe.String(strings.ToUpper(address.Country)),
	}}}
	params.Context = ctx
	_, err := s.Stripe.PaymentMethods.Update(method, params)
	var e *stripe.Error
	switch {
	case err == nil || activities.NotServed(err):
		return nil
	case errors.As(err, &e) && e.HTTPStatusCode == http.StatusBadRequest:
		return problem(http.StatusUnprocessableEntity, "invalid_address",
			"Stripe does not take the billing address. Check the two-letter code of the country and the other fields.")
	}
	return cardProblem("set billing address", err)
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
		return declineProblem(code)
	}
	if e.HTTPStatusCode == http.StatusUnauthorized || e.HTTPStatusCode == http.StatusForbidden {
		return fmt.Errorf("%s: Stripe refuses our key (request %s)", operation, e.RequestID)
	}
	return problem(http.StatusUnprocessableEntity, codeInvalidMethod,
		"Stripe does not know this payment method, or it belongs to another customer. Make a new one with Stripe.js and send its id.")
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
