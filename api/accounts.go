package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

type createAccountInput struct {
	Body struct {
		Email     string `json:"email" maxLength:"320" example:"ada@example.com"`
		Name      string `json:"name" minLength:"1" maxLength:"200" example:"Ada Lovelace"`
		Territory string `json:"territory" doc:"ISO 3166-1 alpha-2." pattern:"^[A-Z]{2}$" patternDescription:"two capital letters, such as US" example:"US"`
	}
}

// Account is an account as callers see it.
type Account struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Territory string    `json:"territory"`
	CreatedAt time.Time `json:"created_at"`
}

type accountOutput struct{ Body Account }

type accountInput struct {
	ID string `path:"id"`
}

func (s *Server) accountRoutes(api huma.API) {
	checkout := []models.Role{models.RoleCheckout}
	tags := []string{"Accounts"}
	route(s, api, huma.Operation{
		OperationID: "create-account", Method: http.MethodPost, Path: "/v1/accounts", Tags: tags,
		Summary: "Open an account", DefaultStatus: http.StatusCreated,
	}, checkout, s.createAccount)
	route(s, api, huma.Operation{
		OperationID: "get-billing", Method: http.MethodGet, Path: "/v1/accounts/{id}/billing", Tags: tags,
		Summary: "See balance, limit, tier, card and pending purchases", Errors: []int{http.StatusNotFound},
	}, []models.Role{models.RoleCheckout, models.RoleSupport}, s.getBilling)
	route(s, api, huma.Operation{
		OperationID: "put-card", Method: http.MethodPut, Path: "/v1/accounts/{id}/card", Tags: tags,
		Summary:     "Make a card the account's card",
		Description: "The card's bank verifies it first. 200 when that is done, 202 where the bank wants the customer: the card before stays until they have answered.",
		Responses: map[string]*huma.Response{
			"200": answers[Card](api, "The account's card"), "202": answers[CardPending](api, "The bank wants the customer"),
		},
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, checkout, s.putCard)
	route(s, api, huma.Operation{
		OperationID: "delete-card", Method: http.MethodDelete, Path: "/v1/accounts/{id}/card", Tags: tags,
		Summary: "Always refused: a card is replaced, never removed", Errors: []int{http.StatusConflict},
	}, checkout, s.refuseNoCard)
}

func (s *Server) createAccount(ctx context.Context, in *createAccountInput) (*accountOutput, error) {
	if !plainAddress(in.Body.Email) {
		return nil, problem(http.StatusUnprocessableEntity, "invalid_email",
			"email must be one plain address, such as ada@example.com. Receipts go there.")
	}
	name := strings.TrimSpace(in.Body.Name)
	if name == "" {
		return nil, problem(http.StatusUnprocessableEntity, "invalid_name", "name must not be empty. Invoices bear it.")
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	account := models.Account{ID: id, Email: in.Body.Email, Name: name, Territory: in.Body.Territory, CreatedAt: s.Now()}
	if err := s.Store.CreateAccount(ctx, account); err != nil {
		return nil, err
	}
	return &accountOutput{Body: Account{
		ID: account.ID, Email: account.Email, Name: account.Name, Territory: account.Territory, CreatedAt: account.CreatedAt,
	}}, nil
}

// account reads the account of a path.
func (s *Server) account(ctx context.Context, id string) (models.Account, error) {
	if err := pathID("The account", id); err != nil {
		return models.Account{}, err
	}
	account, err := s.Store.Account(ctx, id)
	return account, named("The account", err)
}

func (s *Server) refuseNoCard(context.Context, *accountInput) (*struct{}, error) {
	return nil, problem(http.StatusConflict, "card_required",
		"A card cannot be removed, only replaced. Put the new card with PUT /v1/accounts/{id}/card.")
}

// cardOf reads the account's card; nil if it has none.
func (s *Server) cardOf(ctx context.Context, accountID string) (*models.Card, error) {
	card, err := s.Store.Card(ctx, accountID)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	return &card, err
}

// answers describes an answer of a route that has several.
func answers[T any](api huma.API, description string) *huma.Response {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
}
