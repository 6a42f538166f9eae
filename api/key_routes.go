package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/models"
)

// Key is a role key as it is shown: Text only in the answer that made it.
type Key struct {
	ID        string     `json:"id"`
	Role      string     `json:"role"`
	Name      string     `json:"name"`
	Text      string     `json:"key,omitempty" doc:"Shown this once."`
	CreatedAt time.Time  `json:"created_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// KeyOf shows a key.
func KeyOf(key models.RoleKey) Key {
	return Key{ID: key.ID, Role: string(key.Role), Name: key.Name, CreatedAt: key.CreatedAt, RevokedAt: key.RevokedAt}
}

type createKeyInput struct {
	Body struct {
		Role   string `json:"role" doc:"checkout, usage, gateway, support, finance or admin."`
		Name   string `json:"name" minLength:"1" maxLength:"200" doc:"Who holds it."`
		Reason string `json:"reason,omitempty" maxLength:"2000" doc:"Why; for the audit log."`
	}
}

type revokeKeyInput struct {
	ID     string `path:"id"`
	Reason string `query:"reason" maxLength:"2000" doc:"Why; for the audit log."`
}

// NoReason stands in the audit log where nobody said why.
const NoReason = "no reason given"

// KeySubject names a key in the audit log: by its id, never by its text.
func KeySubject(id string) string { return "key/" + id }

type keyOutput struct{ Body Key }

type keysOutput struct {
	Body struct {
		Keys []Key `json:"keys"`
	}
}

func (s *Server) keyRoutes(api huma.API) {
	admin := []models.Role{models.RoleAdmin}
	route(s, api, huma.Operation{
		OperationID: "create-key", Method: http.MethodPost, Path: "/v1/keys", DefaultStatus: http.StatusCreated,
		Summary: "Make a role key", Tags: []string{"Keys"},
	}, admin, s.createKey)
	route(s, api, huma.Operation{
		OperationID: "list-keys", Method: http.MethodGet, Path: "/v1/keys", Summary: "List the newest role keys", Tags: []string{"Keys"},
	}, admin, s.listKeys)
	route(s, api, huma.Operation{
		OperationID: "revoke-key", Method: http.MethodDelete, Path: "/v1/keys/{id}", Summary: "Revoke a role key, at once", Tags: []string{"Keys"},
		DefaultStatus: http.StatusOK, Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, admin, s.revokeKey)
}

func (s *Server) createKey(ctx context.Context, in *createKeyInput) (*keyOutput, error) {
	key, text, err := NewRoleKey(models.Role(in.Body.Role), in.Body.Name, s.Now())
	if err != nil {
		return nil, err
	}
	entry := s.audit(ctx, "create_key", "", KeySubject(key.ID), cmp.Or(in.Body.Reason, NoReason))
	if err := s.Store.CreateRoleKey(ctx, key, entry); err != nil {
		return nil, err
	}
	shown := KeyOf(key)
	shown.Text = text
	return &keyOutput{Body: shown}, nil
}

func (s *Server) listKeys(ctx context.Context, _ *struct{}) (*keysOutput, error) {
	keys, err := s.Store.RoleKeys(ctx)
	if err != nil {
		return nil, err
	}
	out := &keysOutput{}
	out.Body.Keys = make([]Key, len(keys))
	for i, key := range keys {
		out.Body.Keys[i] = KeyOf(key)
	}
	return out, nil
}

func (s *Server) revokeKey(ctx context.Context, in *revokeKeyInput) (*keyOutput, error) {
	if !IsKeyID(in.ID) {
		return nil, notFound("The key")
	}
	entry := s.audit(ctx, "revoke_key", "", KeySubject(in.ID), cmp.Or(in.Reason, NoReason))
	key, err := s.Store.RevokeRoleKey(ctx, in.ID, entry)
	if err != nil {
		return nil, named("The key", err)
	}
	return &keyOutput{Body: KeyOf(key)}, nil
}
