package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

// maxCostLines bounds the lines of one answer.
const maxCostLines = 1000

func (s *Server) costRoutes(api huma.API) {
	route(s, api, huma.Operation{
		OperationID: "get-costs", Method: http.MethodGet, Path: "/v1/accounts/{id}/costs", Tags: []string{"Accounts"},
		Summary: "See what each resource cost in a month, and what was bought",
		Description: "By the month of the use. Costs are exact to a millionth of a micro-dollar; the lines are whole micro-dollars that sum to the totals. " +
			"Deployments that run are charged by the minute.",
		Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, []models.Role{models.RoleCheckout, models.RoleSupport}, s.getCosts)
}

type costsInput struct {
	ID     string `path:"id"`
	Period string `query:"period" doc:"A month of UTC; without it the current one." example:"2026-10"`
	From   int    `query:"from" minimum:"0" maximum:"2000000000" doc:"The line to begin with: next of the answer before."`
}

// Costs is what a month cost an account. Purchases of credits are apart: they are no
// cost, they pay.
type Costs struct {
	AccountID   string    `json:"account_id"`
	Period      string    `json:"period" example:"2026-10"`
	TotalMicros int64     `json:"total_micros" doc:"Usage, deployments and jobs."`
	Usage       CostPart  `json:"usage"`
	Deployments CostPart  `json:"deployments" doc:"The time of deployments, and their creation."`
	Jobs        CostPart  `json:"jobs"`
	Models      []Cost    `json:"models" doc:"What each model cost, all resources together."`
	SKUs        []Cost    `json:"skus" doc:"What each SKU cost, all resources together."`
	Purchases   Purchased `json:"purchases"`
	Next        *int      `json:"next,omitempty" doc:"There are more lines: ask again with from=next. The totals are of all lines."`
}

// CostPart is one part of the costs, with its lines on this page.
type CostPart struct {
	TotalMicros int64  `json:"total_micros"`
	Lines       []Cost `json:"lines" doc:"By SKU and resource; at most 1,000 in all parts together."`
}

// Cost is what something cost.
type Cost struct {
	Resource string `json:"resource,omitempty" doc:"What was used, in the reporter's words, or the id of the deployment or job."`
	Name     string `json:"name,omitempty"`
	SKU      string `json:"sku,omitempty"`
	Model    string `json:"model,omitempty"`
	Unit     string `json:"unit,omitempty" doc:"What quantity counts." enum:"token,image,minute,second,job"`
	Events   int64  `json:"events" doc:"Reports of usage, or creations."`
	Quantity string `json:"quantity,omitempty" doc:"A whole number, as text: it may be large." example:"3000001"`
	Micros   int64  `json:"cost_micros"`
}

// Purchased is what was bought in a month.
type Purchased struct {
	TotalMicros int64           `json:"total_micros"`
	Count       int64           `json:"count"`
	Newest      []PurchasedLine `json:"newest" doc:"At most 200, newest first."`
}

// PurchasedLine is one purchase that was credited.
type PurchasedLine struct {
	PurchaseID   string    `json:"purchase_id"`
	AmountMicros int64     `json:"amount_micros"`
	CreditedAt   time.Time `json:"credited_at"`
}

type costsOutput struct{ Body Costs }

func (s *Server) getCosts(ctx context.Context, in *costsInput) (*costsOutput, error) {
	period := billing.PeriodOf(s.Now())
	if in.Period != "" {
		var ok bool
		if period, ok = billing.ParsePeriod(in.Period); !ok {
			return nil, problem(http.StatusUnprocessableEntity, "invalid_period", "period must be a month, such as 2026-10.")
		}
	}
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	costs, err := s.Store.Costs(ctx, account.ID, period, in.From, maxCostLines)
	if err != nil {
		return nil, err
	}
	view := costsView(costs)
	view.AccountID, view.Period = account.ID, billing.PeriodText(period)
	if len(costs.Lines) == maxCostLines {
		next := in.From + maxCostLines
		view.Next = &next
	}
	return &costsOutput{Body: view}, nil
}

func costsView(costs models.Costs) Costs {
	view := Costs{Models: []Cost{}, SKUs: []Cost{}, Purchases: Purchased{
		TotalMicros: costs.PurchasedMicros, Count: costs.PurchaseCount, Newest: make([]PurchasedLine, len(costs.Purchases)),
	}}
	parts := map[models.CostPart]*CostPart{
		models.CostUsage: &view.Usage, models.CostDeployments: &view.Deployments, models.CostJobs: &view.Jobs,
	}
	for _, part := range parts {
		part.Lines = []Cost{}
	}
	places := map[string]int{}
	for _, sku := range costs.SKUs {
		line := costView(sku)
		view.SKUs = append(view.SKUs, line)
		view.TotalMicros += line.Micros
		parts[sku.Part].TotalMicros += line.Micros
		if line.Model == "" {
			continue
		}
		place, known := places[line.Model]
		if !known {
			place = len(view.Models)
			places[line.Model] = place
			view.Models = append(view.Models, Cost{Model: line.Model})
		}
		view.Models[place].Events += line.Events
		view.Models[place].Micros += line.Micros
	}
	for _, line := range costs.Lines {
		parts[line.Part].Lines = append(parts[line.Part].Lines, costView(line))
	}
	for i, p := range costs.Purchases {
		view.Purchases.Newest[i] = PurchasedLine{PurchaseID: p.ID, AmountMicros: p.AmountMicros, CreditedAt: p.CreditedAt}
	}
	return view
}

func costView(line models.CostLine) Cost {
	return Cost{
		Resource: line.Resource, Name: line.Name, SKU: line.SKU, Model: billing.ModelOf(line.SKU, line.Unit), Unit: line.Unit,
		Events: line.Events, Quantity: line.Quantity, Micros: line.Micros,
	}
}
