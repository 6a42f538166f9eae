package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

func (s *Server) supportRoutes(api huma.API) {
	support := []models.Role{models.RoleSupport}
	tags := []string{"Support"}
	route(s, api, huma.Operation{
		OperationID: "tier-sync", Method: http.MethodPost, Path: "/v1/support/tier-sync", Tags: tags,
		Summary: "Find a purchase, verify it with Stripe, and push the right tier to the gateways now",
		Errors:  []int{http.StatusNotFound, http.StatusConflict},
	}, support, s.tierSync)
	route(s, api, huma.Operation{
		OperationID: "grant-credits", Method: http.MethodPost, Path: "/v1/support/accounts/{id}/credits", Tags: tags,
		Summary: "Grant free credits", DefaultStatus: http.StatusCreated,
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, support, s.grantCredits)
	route(s, api, huma.Operation{
		OperationID: "list-alerts", Method: http.MethodGet, Path: "/v1/support/alerts", Tags: tags,
		Summary: "List the open alerts, oldest first",
	}, support, s.listAlerts)
	route(s, api, huma.Operation{
		OperationID: "resolve-alert", Method: http.MethodPost, Path: "/v1/support/alerts/{id}/resolve", Tags: tags,
		Summary: "Close an alert", Errors: []int{http.StatusNotFound},
	}, support, s.resolveAlert)
	route(s, api, huma.Operation{
		OperationID: "read-audit-log", Method: http.MethodGet, Path: "/v1/support/accounts/{id}/audit", Tags: tags,
		Summary: "List what was done to an account, newest first", Errors: []int{http.StatusNotFound},
	}, []models.Role{models.RoleSupport, models.RoleFinance}, s.readAudit)
}

type grantInput struct {
	ID             string `path:"id"`
	IdempotencyKey string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"200" pattern:"^[ -~]+$" patternDescription:"printable ASCII" doc:"One key for one grant, for ever."`
	Body           struct {
		AmountCents int64  `json:"amount_cents" minimum:"1" maximum:"100000000" doc:"Whole cents." example:"500"`
		Reason      string `json:"reason" minLength:"1" maxLength:"2000" doc:"Why; for the audit log."`
	}
}

// Grant is free credits given.
type Grant struct {
	TransactionID int64 `json:"transaction_id"`
	AmountCents   int64 `json:"amount_cents"`
	FreeMicros    int64 `json:"free_micros" doc:"The account's free credits now."`
}

type grantOutput struct{ Body Grant }

// grantCredits grants free credits (R4). They pay for usage and count to no tier.
func (s *Server) grantCredits(ctx context.Context, in *grantInput) (*grantOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	amount, err := money.FromCents(in.Body.AmountCents)
	if err != nil {
		return nil, err
	}
	entry := s.audit(ctx, "grant_credits", account.ID, "account/"+account.ID, in.Body.Reason)
	if entry.Detail, err = json.Marshal(map[string]any{"amount_cents": in.Body.AmountCents}); err != nil {
		return nil, err
	}
	// The account's own id, however the path spells it: a key is for one grant.
	key := "grant/" + account.ID + "/" + in.IdempotencyKey
	posted, err := s.Store.GrantFreeCredits(ctx, key, account.ID, int64(amount), billing.TierRules(), entry)
	if err != nil {
		return nil, err
	}
	balance, err := s.Store.Balance(ctx, account.ID)
	if err != nil {
		return nil, err
	}
	return &grantOutput{Body: Grant{
		TransactionID: posted.TransactionID, AmountCents: in.Body.AmountCents, FreeMicros: balance.FreeMicros,
	}}, nil
}

// Alert is something that a person must look at.
type Alert struct {
	ID        int64     `json:"id"`
	Kind      string    `json:"kind"`
	Subject   string    `json:"subject" example:"purchase/0198f3c2-7d4e-7b1a-9c00-1f2e3d4c5b6a"`
	AccountID *string   `json:"account_id,omitempty"`
	Detail    string    `json:"detail"`
	RaisedAt  time.Time `json:"raised_at"`
}

type alertsOutput struct {
	Body struct {
		Alerts []Alert `json:"alerts" doc:"At most 500."`
	}
}

func (s *Server) listAlerts(ctx context.Context, _ *struct{}) (*alertsOutput, error) {
	alerts, err := s.Store.OpenAlerts(ctx)
	if err != nil {
		return nil, err
	}
	out := &alertsOutput{}
	out.Body.Alerts = make([]Alert, len(alerts))
	for i, a := range alerts {
		out.Body.Alerts[i] = alertView(a)
	}
	return out, nil
}

func alertView(a models.Alert) Alert {
	return Alert{ID: a.ID, Kind: string(a.Kind), Subject: a.Subject, AccountID: a.AccountID, Detail: a.Detail, RaisedAt: a.RaisedAt}
}

type resolveInput struct {
	ID   int64 `path:"id"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"2000" doc:"What was done; for the audit log."`
	}
}

type alertOutput struct{ Body Alert }

func (s *Server) resolveAlert(ctx context.Context, in *resolveInput) (*alertOutput, error) {
	alert, err := s.Store.ResolveAlert(ctx, in.ID, s.audit(ctx, "resolve_alert", "", "", in.Body.Reason))
	if err != nil {
		return nil, named("The open alert "+strconv.FormatInt(in.ID, 10), err)
	}
	return &alertOutput{Body: alertView(alert)}, nil
}

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	At      time.Time       `json:"at"`
	Actor   string          `json:"actor"`
	Role    string          `json:"role"`
	Action  string          `json:"action"`
	Subject string          `json:"subject"`
	Reason  string          `json:"reason"`
	Detail  json.RawMessage `json:"detail"`
}

type auditOutput struct {
	Body struct {
		Entries []AuditEntry `json:"entries" doc:"At most 200."`
	}
}

func (s *Server) readAudit(ctx context.Context, in *accountInput) (*auditOutput, error) {
	if _, err := s.account(ctx, in.ID); err != nil {
		return nil, err
	}
	entries, err := s.Store.AuditLog(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &auditOutput{}
	out.Body.Entries = make([]AuditEntry, len(entries))
	for i, e := range entries {
		out.Body.Entries[i] = AuditEntry{
			At: e.At, Actor: e.Actor, Role: string(e.Role), Action: e.Action, Subject: e.Subject, Reason: e.Reason, Detail: e.Detail,
		}
	}
	return out, nil
}
