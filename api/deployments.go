package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

func (s *Server) deploymentRoutes(api huma.API) {
	checkout := []models.Role{models.RoleCheckout}
	tags := []string{"Deployments"}
	created := []int{http.StatusPaymentRequired, http.StatusNotFound, http.StatusConflict}
	route(s, api, huma.Operation{
		OperationID: "create-deployment", Method: http.MethodPost, Path: "/v1/accounts/{id}/deployments", Tags: tags,
		Summary:       "Start a dedicated endpoint or a hosted model, which costs until it is stopped",
		Description:   "Its creation is charged at once; without the balance for it nothing is created.",
		DefaultStatus: http.StatusCreated, Errors: created,
	}, checkout, s.createDeployment)
	route(s, api, huma.Operation{
		OperationID: "list-deployments", Method: http.MethodGet, Path: "/v1/accounts/{id}/deployments", Tags: tags,
		Summary: "List what is running and what was, newest first, each with its cost this month", Errors: []int{http.StatusNotFound},
	}, checkout, s.listDeployments)
	route(s, api, huma.Operation{
		OperationID: "stop-deployment", Method: http.MethodDelete, Path: "/v1/deployments/{id}", Tags: tags,
		Summary: "Stop a deployment; nothing more accrues. A repeat changes nothing", Errors: []int{http.StatusNotFound},
	}, checkout, s.stopDeployment)
	route(s, api, huma.Operation{
		OperationID: "create-job", Method: http.MethodPost, Path: "/v1/accounts/{id}/jobs", Tags: tags,
		Summary:       "Create a fine-tuning or evaluation job, which costs its creation",
		DefaultStatus: http.StatusCreated, Errors: created,
	}, checkout, s.createJob)
}

type createDeploymentInput struct {
	AccountID      string `path:"id"`
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" pattern:"^[ -~]+$" patternDescription:"printable ASCII" doc:"Optional: one key for one deployment or job, for ever."`
	Body           struct {
		Kind models.CreationKind `json:"kind" enum:"dedicated_endpoint,hosted_model"`
		SKU  string              `json:"sku" minLength:"1" maxLength:"100" doc:"What it costs by the minute; of the kind." example:"dedicated_endpoint.h100-80gb"`
		Name string              `json:"name" minLength:"1" maxLength:"200"`
	}
}

type createJobInput struct {
	AccountID      string `path:"id"`
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" pattern:"^[ -~]+$" patternDescription:"printable ASCII" doc:"Optional: one key for one deployment or job, for ever."`
	Body           struct {
		Kind models.CreationKind `json:"kind" enum:"fine_tuning,evaluation"`
		Name string              `json:"name" minLength:"1" maxLength:"200"`
	}
}

// Deployment is something that runs, or ran, and costs by the minute.
type Deployment struct {
	ID           string     `json:"id"`
	AccountID    string     `json:"account_id"`
	Kind         string     `json:"kind" enum:"dedicated_endpoint,hosted_model"`
	SKU          string     `json:"sku"`
	Name         string     `json:"name"`
	Status       string     `json:"status" enum:"running,stopped"`
	StartedAt    time.Time  `json:"started_at"`
	StoppedAt    *time.Time `json:"stopped_at,omitempty"`
	ChargedUntil time.Time  `json:"charged_until" doc:"While it runs it is charged by the minute."`
	Period       string     `json:"period" example:"2026-10" doc:"The month that the following are about."`
	Seconds      int64      `json:"period_seconds" doc:"How long it ran, as far as it is charged."`
	CostMicros   int64      `json:"period_cost_micros" doc:"What that cost, with its creation; rounded down."`
}

// Job is a job that was created.
type Job struct {
	ID         string    `json:"id"`
	AccountID  string    `json:"account_id"`
	Kind       string    `json:"kind" enum:"fine_tuning,evaluation"`
	Name       string    `json:"name"`
	CostMicros int64     `json:"cost_micros" doc:"What its creation cost."`
	CreatedAt  time.Time `json:"created_at"`
}

type (
	deploymentOutput struct{ Body Deployment }
	jobOutput        struct{ Body Job }
)

func (s *Server) createDeployment(ctx context.Context, in *createDeploymentInput) (*deploymentOutput, error) {
	id, err := s.create(ctx, ledger.NewCreation{
		AccountID: in.AccountID, Kind: in.Body.Kind, SKU: in.Body.SKU, Name: in.Body.Name, IdempotencyKey: in.IdempotencyKey,
	})
	if err != nil {
		return nil, err
	}
	return s.deployment(ctx, id)
}

func (s *Server) createJob(ctx context.Context, in *createJobInput) (*jobOutput, error) {
	id, err := s.create(ctx, ledger.NewCreation{
		AccountID: in.AccountID, Kind: in.Body.Kind, Name: in.Body.Name, IdempotencyKey: in.IdempotencyKey,
	})
	if err != nil {
		return nil, err
	}
	job, err := s.Store.Job(ctx, id)
	return &jobOutput{Body: Job{
		ID: job.ID, AccountID: job.AccountID, Kind: string(job.Kind), Name: job.Name, CostMicros: job.CostMicros, CreatedAt: job.CreatedAt,
	}}, err
}

// create creates what n says, and answers its id, or why it is refused (R10).
func (s *Server) create(ctx context.Context, n ledger.NewCreation) (string, error) {
	if err := pathID("The account", n.AccountID); err != nil {
		return "", err
	}
	var err error
	if n.ID, err = newID(); err != nil {
		return "", err
	}
	n.CreationSKU, n.At = billing.CreationSKU(n.Kind), s.Now()
	c, err := s.Store.Create(ctx, n, billing.TierRules())
	if err != nil {
		return "", named("The account", err)
	}
	if c.Refusal != nil {
		return "", notCreated(n, c)
	}
	return *c.ID, nil
}

// notCreated says why something was not created and what to do.
func notCreated(n ledger.NewCreation, c ledger.Creation) *Problem {
	switch code := *c.Refusal; code {
	case billing.CodeUnknownSKU:
		return problem(http.StatusUnprocessableEntity, code,
			fmt.Sprintf("There is no SKU %q of the kind %s. GET /v1/prices lists them: those of unit minute that begin with %s.", n.SKU, n.Kind, n.Kind))
	case models.UsageSuspended:
		return problem(http.StatusForbidden, code, "The account is suspended. Pay what is past due, then repeat the request.")
	case models.UsageLimitedTier:
		return problem(http.StatusForbidden, code, "The account is in the Limited tier. Buy credits first: Build Tier 1 begins at $5.00.")
	case models.UsageLimitReached:
		return problem(http.StatusPaymentRequired, code,
			"The account has no credits left and has reached its limit. Buy credits or raise the limit, then repeat the request.")
	default:
		return problem(http.StatusPaymentRequired, code, fmt.Sprintf("Creating it costs %s, and the balance is %s. Buy credits, then repeat the request.",
			money.USD(billing.MicrosUp(*c.CostPicos)), money.USD(c.BalanceMicros)))
	}
}

type listDeploymentsInput struct {
	ID     string `path:"id"`
	State  string `query:"state" enum:"running,stopped" doc:"Only these."`
	Before string `query:"before" format:"uuid" doc:"The last id of a page, for the next one."`
}

type deploymentsOutput struct {
	Body struct {
		Deployments []Deployment `json:"deployments" doc:"At most 200."`
	}
}

func (s *Server) listDeployments(ctx context.Context, in *listDeploymentsInput) (*deploymentsOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	period := billing.PeriodOf(s.Now())
	deployments, err := s.Store.Deployments(ctx, account.ID, in.State, in.Before, period)
	if err != nil {
		return nil, err
	}
	out := &deploymentsOutput{}
	out.Body.Deployments = make([]Deployment, len(deployments))
	for i, d := range deployments {
		out.Body.Deployments[i] = deploymentView(d, period)
	}
	return out, nil
}

type deploymentInput struct {
	ID string `path:"id"`
}

func (s *Server) stopDeployment(ctx context.Context, in *deploymentInput) (*deploymentOutput, error) {
	if err := pathID("The deployment", in.ID); err != nil {
		return nil, err
	}
	if err := s.Store.StopDeployment(ctx, in.ID, billing.TierRules(), s.Now()); err != nil {
		return nil, named("The deployment", err)
	}
	return s.deployment(ctx, in.ID)
}

func (s *Server) deployment(ctx context.Context, id string) (*deploymentOutput, error) {
	period := billing.PeriodOf(s.Now())
	d, err := s.Store.Deployment(ctx, id, period)
	return &deploymentOutput{Body: deploymentView(d, period)}, err
}

func deploymentView(d models.Deployment, period time.Time) Deployment {
	status := "running"
	if d.StoppedAt != nil {
		status = "stopped"
	}
	return Deployment{
		ID: d.ID, AccountID: d.AccountID, Kind: string(d.Kind), SKU: d.SKU, Name: d.Name, Status: status,
		StartedAt: d.StartedAt, StoppedAt: d.StoppedAt, ChargedUntil: d.AccruedUntil,
		Period: billing.PeriodText(period), Seconds: d.PeriodSeconds, CostMicros: d.PeriodMicros,
	}
}
