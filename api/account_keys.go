package api

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

// APIKey is an account's API key as it is shown: Text only in the answer that made
// it.
type APIKey struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Text      string     `json:"key,omitempty" doc:"Shown this once."`
	CreatedAt time.Time  `json:"created_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

func apiKeyView(key models.AccountKey) APIKey {
	return APIKey{ID: key.ID, Name: key.Name, CreatedAt: key.CreatedAt, RevokedAt: key.RevokedAt}
}

type createAPIKeyInput struct {
	ID   string `path:"id"`
	Body *struct {
		Name string `json:"name,omitempty" maxLength:"200" doc:"What it is for."`
	} `required:"false"`
}

type apiKeyInput struct {
	ID    string `path:"id"`
	KeyID string `path:"key"`
}

type apiKeyOutput struct{ Body APIKey }

type apiKeysOutput struct {
	Body struct {
		Keys []APIKey `json:"keys"`
	}
}

func (s *Server) apiKeyRoutes(api huma.API) {
	checkout := []models.Role{models.RoleCheckout}
	const path = "/v1/accounts/{id}/api-keys"
	tags := []string{"API keys"}
	route(s, api, huma.Operation{
		OperationID: "create-api-key", Method: http.MethodPost, Path: path, DefaultStatus: http.StatusCreated, Tags: tags,
		Summary: "Make an API key of an account, from Build Tier 1 on", Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, checkout, s.createAPIKey)
	route(s, api, huma.Operation{
		OperationID: "list-api-keys", Method: http.MethodGet, Path: path, Tags: tags,
		Summary: "List the newest API keys of an account", Errors: []int{http.StatusNotFound},
	}, checkout, s.listAPIKeys)
	route(s, api, huma.Operation{
		OperationID: "revoke-api-key", Method: http.MethodDelete, Path: path + "/{key}", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Revoke an API key at every gateway", Errors: []int{http.StatusNotFound},
	}, checkout, s.revokeAPIKey)
}

// createAPIKey makes a key. It is let in once the gateways have acknowledged the
// entitlement that it comes with, which takes a moment.
func (s *Server) createAPIKey(ctx context.Context, in *createAPIKeyInput) (*apiKeyOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	made, text := gateway.NewAPIKey(account.ID)
	key := models.AccountKey{ID: made.ID, AccountID: account.ID, CreatedAt: s.Now()}
	if in.Body != nil {
		key.Name = in.Body.Name
	}
	if key.SecretHash, err = hex.DecodeString(made.SHA256); err != nil {
		return nil, err
	}
	switch err := s.Store.CreateAccountKey(ctx, key); {
	case errors.Is(err, ledger.ErrLimitedTier):
		return nil, problem(http.StatusForbidden, "limited_tier", fmt.Sprintf(
			"The account is in the Limited tier, which has no API keys. They begin with %s, at %s of lifetime spend: buy credits.",
			billing.TierName(1), money.USD(billing.TierRules().Thresholds[0])))
	case errors.Is(err, ledger.ErrTooMany):
		return nil, problem(http.StatusConflict, "too_many_keys", fmt.Sprintf(
			"The account has %d API keys, which is as many as it may. Revoke one first.", ledger.MaxAccountKeys))
	case err != nil:
		return nil, err
	}
	shown := apiKeyView(key)
	shown.Text = text
	return &apiKeyOutput{Body: shown}, nil
}

func (s *Server) listAPIKeys(ctx context.Context, in *accountInput) (*apiKeysOutput, error) {
	if _, err := s.account(ctx, in.ID); err != nil {
		return nil, err
	}
	keys, err := s.Store.AccountKeys(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &apiKeysOutput{}
	out.Body.Keys = make([]APIKey, len(keys))
	for i, key := range keys {
		out.Body.Keys[i] = apiKeyView(key)
	}
	return out, nil
}

func (s *Server) revokeAPIKey(ctx context.Context, in *apiKeyInput) (*apiKeyOutput, error) {
	if err := pathID("The account", in.ID); err != nil {
		return nil, err
	}
	if !IsKeyID(in.KeyID) {
		return nil, notFound("The key")
	}
	key, err := s.Store.RevokeAccountKey(ctx, in.ID, in.KeyID, s.Now())
	if err != nil {
		return nil, named("The key", err)
	}
	return &apiKeyOutput{Body: apiKeyView(key)}, nil
}
