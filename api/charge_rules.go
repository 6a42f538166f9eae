package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

func (s *Server) chargeRuleRoutes(api huma.API) {
	route(s, api, huma.Operation{
		OperationID: "set-charge-rules", Method: http.MethodPost, Path: "/v1/support/accounts/{id}/charge-rules", Tags: []string{"Support"},
		Summary: "Have an account's charges follow the rules of another territory", Errors: []int{http.StatusNotFound},
	}, []models.Role{models.RoleSupport}, s.setChargeRules)
}

// ChargeRules is what the law says of charges that are made without the customer.
type ChargeRules struct {
	Territory    string      `json:"territory,omitempty" doc:"Whose rules these are; left out where none are known."`
	Approval     string      `json:"approval" enum:"none,on_demand,always" doc:"When the bank asks the customer: never by law, when it wants to, or for each charge that no mandate covers."`
	Mandate      bool        `json:"mandate" doc:"Cards are set up with a mandate."`
	NoticeHours  int         `json:"notice_hours,omitempty" doc:"How long before an automatic charge the customer is told of it."`
	ApproveAbove *MinorUnits `json:"approve_above,omitempty" doc:"Above this the customer approves each charge, mandate or not."`
	Source       string      `json:"source" doc:"Where the rule stands."`
}

// MinorUnits is money in the smallest unit of a currency.
type MinorUnits struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency" example:"inr"`
}

func chargeRulesView(account models.Account, card *models.Card) ChargeRules {
	issuer := ""
	if card != nil && card.IssuedIn != nil {
		issuer = *card.IssuedIn
	}
	rule := billing.ChargeRule(account.RulesTerritory, account.Territory, issuer)
	view := ChargeRules{
		Territory: rule.Code, Approval: string(rule.Approval), Mandate: rule.Mandate, NoticeHours: rule.NoticeHours, Source: rule.Source,
	}
	if rule.ApproveAbove != nil {
		view.ApproveAbove = &MinorUnits{Amount: rule.ApproveAbove.Minor, Currency: rule.ApproveAbove.Currency}
	}
	return view
}

type setChargeRulesInput struct {
	ID   string `path:"id"`
	Body struct {
		Territory string `json:"territory" pattern:"^([A-Z]{2})?$" patternDescription:"two capital letters, such as US, or empty" doc:"Empty: those of the account and its card again." example:"IN"`
		Reason    string `json:"reason" minLength:"1" maxLength:"2000" doc:"Why; for the audit log."`
	}
}

type chargeRulesOutput struct{ Body ChargeRules }

// setChargeRules has an account treated as one of another territory, whatever its own
// and its card's are (R36). A card that is put from then on follows them.
func (s *Server) setChargeRules(ctx context.Context, in *setChargeRulesInput) (*chargeRulesOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	entry := s.audit(ctx, "set_charge_rules", account.ID, "account/"+account.ID, in.Body.Reason)
	if entry.Detail, err = json.Marshal(map[string]any{"territory": in.Body.Territory}); err != nil {
		return nil, err
	}
	account, err = s.Store.SetRulesTerritory(ctx, account.ID, in.Body.Territory, entry)
	if err != nil {
		return nil, err
	}
	card, err := s.cardOf(ctx, account.ID)
	if err != nil {
		return nil, err
	}
	return &chargeRulesOutput{Body: chargeRulesView(account, card)}, nil
}
