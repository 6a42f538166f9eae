package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

func (s *Server) limitRoutes(api huma.API) {
	route(s, api, huma.Operation{
		OperationID: "put-balance-limit", Method: http.MethodPut, Path: "/v1/accounts/{id}/balance-limit", Tags: []string{"Accounts"},
		Summary: "Set the customer's own limit: how far use may go once the credits are used up", Errors: []int{http.StatusNotFound},
	}, []models.Role{models.RoleCheckout}, s.putBalanceLimit)
	route(s, api, huma.Operation{
		OperationID: "set-limit", Method: http.MethodPost, Path: "/v1/support/accounts/{id}/limit", Tags: []string{"Support"},
		Summary: "Set the plan, and the limit of a Build Tier 5, Scale or Enterprise account", Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, []models.Role{models.RoleSupport}, s.setTerms)
	route(s, api, huma.Operation{
		OperationID: "get-admission", Method: http.MethodGet, Path: "/v1/accounts/{id}/admission", Tags: []string{"Usage"},
		Summary: "May this account spend?", Errors: []int{http.StatusNotFound},
	}, []models.Role{models.RoleUsage, models.RoleGateway, models.RoleSupport}, s.getAdmission)
}

// Limit is how far an account may go and how far it has gone.
type Limit struct {
	LimitCents     *int64 `json:"limit_cents,omitempty" doc:"The limit that was set."`
	Plan           string `json:"plan,omitempty"`
	LimitMicros    int64  `json:"limit_micros" doc:"The limit that holds: the lowest of those that apply."`
	ExposureMicros int64  `json:"exposure_micros" doc:"Accrued usage and unpaid invoices."`
	Admitted       bool   `json:"admitted" doc:"Whether the account may use anything now."`
}

type limitOutput struct{ Body Limit }

type balanceLimitInput struct {
	ID   string `path:"id"`
	Body struct {
		LimitCents int64 `json:"limit_cents" minimum:"0" doc:"Whole cents; 0 is to spend no more than was bought." example:"5000"`
	}
}

// putBalanceLimit sets the customer's own limit, which only ever lowers (R7).
func (s *Server) putBalanceLimit(ctx context.Context, in *balanceLimitInput) (*limitOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	limit, err := money.FromCents(in.Body.LimitCents)
	if err != nil {
		return nil, limitTooHigh()
	}
	if err := s.Store.SetCustomerLimit(ctx, account.ID, int64(limit), billing.TierRules(), s.Now()); err != nil {
		return nil, err
	}
	return s.limitOf(ctx, account.ID, Limit{LimitCents: &in.Body.LimitCents})
}

func limitTooHigh() error {
	return problem(http.StatusUnprocessableEntity, "limit_too_high", "limit_cents is more than any account may have. Choose a smaller limit.")
}

type setTermsInput struct {
	ID   string `path:"id"`
	Body struct {
		LimitCents *int64 `json:"limit_cents,omitempty" minimum:"0" doc:"Whole cents; without it the limit is the tier's." example:"500000"`
		Plan       string `json:"plan,omitempty" enum:"build,scale,enterprise" doc:"Without it the plan stays."`
		Reason     string `json:"reason" minLength:"1" maxLength:"2000" doc:"Why; for the audit log."`
	}
}

// setTerms sets what support may set (R7, R12).
func (s *Server) setTerms(ctx context.Context, in *setTermsInput) (*limitOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	var terms ledger.Terms
	if in.Body.Plan != "" {
		terms.Plan = &in.Body.Plan
	}
	if in.Body.LimitCents != nil {
		limit, err := money.FromCents(*in.Body.LimitCents)
		if err != nil {
			return nil, limitTooHigh()
		}
		micros := int64(limit)
		terms.LimitMicros = &micros
	}
	entry := s.audit(ctx, "set_limit", account.ID, "account/"+account.ID, in.Body.Reason)
	if entry.Detail, err = json.Marshal(map[string]any{"limit_cents": in.Body.LimitCents, "plan": in.Body.Plan}); err != nil {
		return nil, err
	}
	err = s.Store.SetTerms(ctx, terms, billing.TierRules(), entry)
	if errors.Is(err, ledger.ErrLimitIsFixed) {
		return nil, problem(http.StatusConflict, "limit_is_fixed", fmt.Sprintf(
			"The limit of Build Tiers 1 to 4 is fixed at %s. Only Build Tier 5, Scale and Enterprise may have another; set plan with it.",
			billing.BalanceLimit(1)))
	}
	if err != nil {
		return nil, err
	}
	return s.limitOf(ctx, account.ID, Limit{LimitCents: in.Body.LimitCents, Plan: in.Body.Plan})
}

func (s *Server) limitOf(ctx context.Context, accountID string, set Limit) (*limitOutput, error) {
	standing, err := s.Store.Standing(ctx, accountID, billing.TierRules())
	set.LimitMicros, set.ExposureMicros, set.Admitted = standing.LimitMicros, standing.ExposureMicros, standing.Admitted
	return &limitOutput{Body: set}, err
}

// Admission is whether an account may use anything now.
type Admission struct {
	Admitted bool   `json:"admitted"`
	Reason   string `json:"reason,omitempty" doc:"limit_reached, limited_tier or suspended."`
}

type admissionOutput struct{ Body Admission }

func (s *Server) getAdmission(ctx context.Context, in *accountInput) (*admissionOutput, error) {
	if err := pathID("The account", in.ID); err != nil {
		return nil, err
	}
	admission, err := s.Store.Admission(ctx, in.ID)
	if err != nil {
		return nil, named("The account", err)
	}
	return &admissionOutput{Body: Admission(admission)}, nil
}
