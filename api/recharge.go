package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

// AutoRecharge is what an account asked of auto-recharge, what it would buy now,
// and where it is.
type AutoRecharge struct {
	Enabled         bool         `json:"enabled" doc:"False also where it was switched off because of the card; state says which."`
	AmountCents     int64        `json:"amount_cents" doc:"What one purchase buys."`
	ThresholdCents  int64        `json:"threshold_cents" doc:"The balance that purchases keep up."`
	MonthlyCapCents *int64       `json:"monthly_cap_cents" doc:"The most for a month of UTC; null is no cap."`
	Plan            RechargePlan `json:"plan"`
	SpentCents      int64        `json:"spent_this_month_cents"`
	State           string       `json:"state" enum:"off,idle,recharging,paused,stopped"`
	Reason          string       `json:"reason,omitempty" doc:"Why it is paused or stopped; for programs."`
	Until           *time.Time   `json:"until,omitempty" doc:"When it goes on by itself."`
	Sentence        string       `json:"sentence" doc:"The state in words, and what to do."`
}

// RechargePlan is what would be bought now.
type RechargePlan struct {
	Purchases  int64 `json:"purchases" example:"19"`
	TotalCents int64 `json:"total_cents" example:"47500"`
	Capped     bool  `json:"capped,omitempty" doc:"The monthly cap stops it short of the threshold."`
	NeedsYes   bool  `json:"confirmation_required" doc:"Over 3 purchases or $500.00: send confirm with it."`
}

type rechargeBody struct {
	Enabled         bool   `json:"enabled"`
	AmountCents     *int64 `json:"amount_cents,omitempty" doc:"Whole cents, from 500. 2500 if left out." example:"2500"`
	ThresholdCents  *int64 `json:"threshold_cents,omitempty" doc:"Whole cents. Needed to switch it on." example:"5000"`
	MonthlyCapCents *int64 `json:"monthly_cap_cents,omitempty" doc:"The most for a month of UTC. Left out is no cap."`
	Confirm         bool   `json:"confirm,omitempty" doc:"The customer has seen the plan and wants it, however large."`
}

// onlyOff says whether the body switches off and says nothing else.
func (b rechargeBody) onlyOff() bool {
	return !b.Enabled && b.AmountCents == nil && b.ThresholdCents == nil && b.MonthlyCapCents == nil
}

type rechargeInput struct {
	ID   string `path:"id"`
	Body rechargeBody
}

type rechargeOutput struct{ Body AutoRecharge }

func (s *Server) rechargeRoutes(api huma.API) {
	callers := []models.Role{models.RoleCheckout}
	route(s, api, huma.Operation{
		OperationID: "put-auto-recharge", Method: http.MethodPut, Path: "/v1/accounts/{id}/auto-recharge", Tags: []string{"Auto-recharge"},
		Summary:     "Switch automatic recharge on or off, and say how it buys",
		Description: "Answers the plan: what is bought now, before anything is charged. A large plan needs confirm.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, callers, func(ctx context.Context, in *rechargeInput) (*rechargeOutput, error) {
		asked, err := s.askedRecharge(ctx, in)
		if err != nil {
			return nil, err
		}
		return s.putRecharge(ctx, in, asked)
	})
	route(s, api, huma.Operation{
		OperationID: "preview-auto-recharge", Method: http.MethodPost, Path: "/v1/accounts/{id}/auto-recharge/preview", Tags: []string{"Auto-recharge"},
		Summary: "See what such settings would buy now; changes nothing",
		Errors:  []int{http.StatusNotFound, http.StatusConflict},
	}, callers, func(ctx context.Context, in *rechargeInput) (*rechargeOutput, error) {
		asked, err := s.askedRecharge(ctx, in)
		if err != nil {
			return nil, err
		}
		view, err := rechargeView(asked, s.Now())
		return &rechargeOutput{Body: view}, err
	})
}

// askedRecharge is the account's auto-recharge as it would be with the settings of
// the request, if these are allowed.
func (s *Server) askedRecharge(ctx context.Context, in *rechargeInput) (models.Recharge, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return models.Recharge{}, err
	}
	r, err := s.Store.Recharge(ctx, account.ID, s.Now())
	if err != nil {
		return models.Recharge{}, err
	}
	if r.RechargeSettings, err = settingsOf(in.Body, r); err != nil {
		return models.Recharge{}, err
	}
	// What is only switched off may be of a time with other bounds.
	if !in.Body.onlyOff() {
		if err := billing.CheckRecharge(r.RechargeSettings, s.MaxPurchaseCents); err != nil {
			return models.Recharge{}, err
		}
	}
	switch {
	case r.Enabled && !r.HasCard:
		return models.Recharge{}, problem(http.StatusConflict, "card_required",
			"The account has no card. Add one with PUT /v1/accounts/{id}/card, then switch auto-recharge on.")
	case r.Enabled && r.CardHalt.Halt == models.HaltCardRefused:
		return models.Recharge{}, problem(http.StatusConflict, "new_card_required",
			billing.HaltSentence(models.HaltCardRefused, r.DeclineCode, nil))
	case r.Enabled && r.CardHalt.Halt == models.HaltTriesUsedUp: // switching on again is another try
		r.CardHalt = models.CardHalt{}
	}
	return r, nil
}

// settingsOf are the settings that a body asks for. What is left out to switch off
// stays as it was.
func settingsOf(body rechargeBody, held models.Recharge) (models.RechargeSettings, error) {
	settings := models.RechargeSettings{Enabled: body.Enabled, AmountCents: billing.DefaultRechargeCents, MonthlyCapCents: body.MonthlyCapCents}
	if !body.Enabled && held.Configured {
		settings = held.RechargeSettings
		settings.Enabled = false
		if body.MonthlyCapCents != nil {
			settings.MonthlyCapCents = body.MonthlyCapCents
		}
	}
	if body.AmountCents != nil {
		settings.AmountCents = *body.AmountCents
	}
	if body.ThresholdCents != nil {
		settings.ThresholdCents = *body.ThresholdCents
	} else if body.Enabled {
		return settings, &billing.Refusal{Code: billing.CodeInvalidThreshold,
			Message: "Say with threshold_cents below which balance credits are to be bought, such as 5000 for $50.00."}
	}
	return settings, nil
}

// putRecharge stores the settings, unless what they buy now is large and nobody said
// yes to it.
func (s *Server) putRecharge(ctx context.Context, in *rechargeInput, asked models.Recharge) (*rechargeOutput, error) {
	plan, err := billing.PlanRecharge(asked)
	if err != nil {
		return nil, err
	}
	if plan.Large() && !in.Body.Confirm {
		return nil, confirmationRequired(plan)
	}
	var confirmed int64
	if in.Body.Confirm {
		confirmed = plan.Purchases
	}
	if err := s.Store.ConfigureRecharge(ctx, asked.AccountID, asked.RechargeSettings, confirmed, s.Now()); err != nil {
		return nil, err
	}
	view, err := s.recharge(ctx, asked.AccountID)
	if err != nil {
		return nil, err
	}
	return &rechargeOutput{Body: *view}, nil
}

// recharge is the account's auto-recharge as it is now; nil if it never asked for it.
func (s *Server) recharge(ctx context.Context, accountID string) (*AutoRecharge, error) {
	now := s.Now()
	r, err := s.Store.Recharge(ctx, accountID, now)
	if err != nil || !r.Configured {
		return nil, err
	}
	view, err := rechargeView(r, now)
	return &view, err
}

func rechargeView(r models.Recharge, now time.Time) (AutoRecharge, error) {
	plan, err := billing.PlanRecharge(r)
	if err != nil {
		return AutoRecharge{}, err
	}
	is, err := billing.DescribeRecharge(r, now)
	if err != nil {
		return AutoRecharge{}, err
	}
	return AutoRecharge{
		Enabled: r.Enabled && is.State != billing.RechargeStopped, AmountCents: r.AmountCents, ThresholdCents: r.ThresholdCents,
		MonthlyCapCents: r.MonthlyCapCents, Plan: planView(plan), SpentCents: r.SpentCents,
		State: string(is.State), Reason: string(is.Halt), Until: is.Until, Sentence: is.Sentence,
	}, nil
}

// confirmationRequired refuses a large plan that nobody said yes to, and shows it.
func confirmationRequired(plan billing.RechargePlan) *Problem {
	p := problem(http.StatusConflict, "confirmation_required", fmt.Sprintf(
		"This would make %d purchases now, %s in all. Show that to the customer, and send confirm: true with the same settings if they want it. Nothing was changed.",
		plan.Purchases, money.Cent*money.USD(plan.TotalCents)))
	view := planView(plan)
	p.Plan = &view
	return p
}

func planView(plan billing.RechargePlan) RechargePlan {
	return RechargePlan{Purchases: plan.Purchases, TotalCents: plan.TotalCents, Capped: plan.Capped, NeedsYes: plan.Large()}
}
