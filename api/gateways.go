package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/models"
)

// The states of a gateway as a whole.
const (
	gatewayNew     = "new"
	gatewayFailing = "failing"
	gatewayFilling = "filling"
	gatewayBehind  = "behind"
	gatewayInSync  = "in_sync"
)

// Gateway is how one gateway stands as a whole.
type Gateway struct {
	Gateway  string     `json:"gateway"`
	State    string     `json:"state" enum:"new,failing,filling,behind,in_sync" doc:"new: nothing was heard of it yet; filling: a full sync is under way; behind: accounts wait."`
	Waiting  int64      `json:"waiting_accounts" doc:"Accounts whose newest entitlement it lacks, apart from those that a full sync brings."`
	Lag      float64    `json:"lag_seconds" doc:"For how long the first of them has waited."`
	SyncedAt *time.Time `json:"synced_at,omitempty" doc:"When it was last filled by a full sync."`
	Filled   int64      `json:"filled_accounts" doc:"How many the full sync under way, or the last one, brought."`
	HeardAt  *time.Time `json:"heard_at,omitempty" doc:"When it last answered."`
	Error    *string    `json:"last_error,omitempty"`
	FailedAt *time.Time `json:"failed_at,omitempty"`
}

type gatewaysOutput struct {
	Body struct {
		Gateways []Gateway `json:"gateways"`
	}
}

func (s *Server) gatewayRoutes(api huma.API) {
	tags := []string{"Gateways"}
	route(s, api, huma.Operation{
		OperationID: "list-gateways", Method: http.MethodGet, Path: "/v1/gateways", Tags: tags,
		Summary: "See how each gateway stands: state, lag, last error",
	}, []models.Role{models.RoleSupport, models.RoleAdmin}, func(ctx context.Context, _ *struct{}) (*gatewaysOutput, error) {
		all, err := s.gateways(ctx)
		if err != nil {
			return nil, err
		}
		out := &gatewaysOutput{}
		out.Body.Gateways = all
		return out, nil
	})
	route(s, api, huma.Operation{
		OperationID: "explain-tier", Method: http.MethodGet, Path: "/v1/accounts/{id}/tier/explain", Tags: []string{"Accounts"},
		Summary: "See which payments made the tier, and which gateway holds which version, since when", Errors: []int{http.StatusNotFound},
	}, []models.Role{models.RoleCheckout, models.RoleSupport}, s.explainTier)
}

// gateways is how each gateway of the configuration stands.
func (s *Server) gateways(ctx context.Context) ([]Gateway, error) {
	overviews, err := s.Store.GatewayOverviews(ctx, s.Gateways())
	if err != nil {
		return nil, err
	}
	now := s.Now()
	all := make([]Gateway, len(overviews))
	for i, o := range overviews {
		all[i] = Gateway{
			Gateway: o.Gateway, State: gatewayState(o), Waiting: o.Waiting, SyncedAt: o.SyncedAt, Filled: o.Filled,
			HeardAt: o.HeardAt, Error: o.LastError, FailedAt: o.FailedAt,
		}
		if o.WaitingSince != nil {
			all[i].Lag = max(0, now.Sub(*o.WaitingSince).Seconds())
		}
	}
	return all, nil
}

func gatewayState(o models.GatewayOverview) string {
	switch {
	case o.FailedAt != nil:
		return gatewayFailing
	case o.FillingSince != nil:
		return gatewayFilling
	case o.HeardAt == nil:
		return gatewayNew
	case o.Waiting > 0:
		return gatewayBehind
	}
	return gatewayInSync
}
