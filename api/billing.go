package api

import (
	"context"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

// Billing is what an account holds, owes and may use.
type Billing struct {
	BalanceMicros    int64         `json:"balance_micros" doc:"Free plus purchased credits less accrued usage; may be negative."`
	FreeMicros       int64         `json:"free_micros"`
	PurchasedMicros  int64         `json:"purchased_micros"`
	AccruedMicros    int64         `json:"accrued_micros"`
	PastDueMicros    int64         `json:"past_due_micros" doc:"Unpaid invoices; not part of the balance."`
	LimitMicros      int64         `json:"limit_micros" doc:"How far exposure may go once the credits are used up."`
	Suspended        bool          `json:"suspended"`
	Blocked          bool          `json:"blocked" doc:"Credits and limit are used up: all use is blocked until credits are bought or the limit is raised."`
	Tier             Tier          `json:"tier"`
	PendingPurchases []Purchase    `json:"pending_purchases"`
	AutoRecharge     *AutoRecharge `json:"auto_recharge" doc:"Null: it was never asked for."`
	Card             *Card         `json:"card"`
	ChargeRules      ChargeRules   `json:"charge_rules"`
	// CardSetup is there while a card is being verified, and when that came to nothing.
	CardSetup *CardSetup `json:"card_setup,omitempty" doc:"The newest card that was put, while its bank has not verified it."`
}

// Tier is the account's Build Tier and how far it has reached.
type Tier struct {
	Number              int            `json:"number"`
	Name                string         `json:"name" example:"Build Tier 1"`
	LifetimeSpendMicros int64          `json:"lifetime_spend_micros" doc:"Money paid. Free credits never count."`
	NextAtMicros        *int64         `json:"next_at_micros" doc:"The lifetime spend at which the next tier begins; null at the highest."`
	Propagated          bool           `json:"propagated" doc:"Whether every gateway holds this tier."`
	Gateways            []GatewayState `json:"gateways"`
}

// GatewayState is what one gateway is known to hold.
type GatewayState struct {
	Gateway        string     `json:"gateway"`
	Version        int64      `json:"version" doc:"The newest version that it acknowledged; 0 is none."`
	NeededVersion  int64      `json:"needed_version"`
	AcknowledgedAt *time.Time `json:"acknowledged_at,omitempty"`
	LastError      *string    `json:"last_error,omitempty"`
	FailedAt       *time.Time `json:"failed_at,omitempty"`
}

type billingOutput struct{ Body Billing }

func (s *Server) getBilling(ctx context.Context, in *accountInput) (*billingOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	// Before the balance: a purchase that ends in between shows in both, not in none.
	pending, err := s.Store.PendingPurchases(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	balance, err := s.Store.Balance(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	pastDue, err := s.Store.PastDue(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	tier, entitlement, err := s.tierOf(ctx, balance)
	if err != nil {
		return nil, err
	}
	standing, err := s.Store.Standing(ctx, in.ID, billing.TierRules())
	if err != nil {
		return nil, err
	}
	card, err := s.cardOf(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	setup, err := s.cardSetupOf(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	recharge, err := s.recharge(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &billingOutput{Body: Billing{
		BalanceMicros: balance.TotalMicros(), FreeMicros: balance.FreeMicros, PurchasedMicros: balance.PurchasedMicros,
		AccruedMicros: balance.AccruedMicros, PastDueMicros: pastDue,
		LimitMicros: standing.LimitMicros, Suspended: entitlement.Suspended, Blocked: entitlement.Blocked,
		Tier: tier, PendingPurchases: make([]Purchase, len(pending)), Card: cardView(card), CardSetup: setup, AutoRecharge: recharge,
		ChargeRules: chargeRulesView(account, card),
	}}
	now := s.Now()
	for i, p := range pending {
		out.Body.PendingPurchases[i] = purchaseView(p, pending, now)
	}
	return out, nil
}

// tierOf is the account's tier, and what each gateway holds of it.
func (s *Server) tierOf(ctx context.Context, balance models.Balance) (Tier, models.EntitlementState, error) {
	entitlement, err := s.Store.Entitlement(ctx, balance.AccountID)
	if err != nil {
		return Tier{}, entitlement, err
	}
	gateways, err := s.gatewayStates(ctx, entitlement)
	if err != nil {
		return Tier{}, entitlement, err
	}
	tier := Tier{
		Number: entitlement.Tier, Name: billing.TierName(entitlement.Tier),
		LifetimeSpendMicros: balance.LifetimeSpendMicros, Propagated: true, Gateways: gateways,
	}
	if next, ok := billing.NextAt(money.USD(balance.LifetimeSpendMicros)); ok {
		micros := int64(next)
		tier.NextAtMicros = &micros
	}
	for _, g := range gateways {
		tier.Propagated = tier.Propagated && g.Version >= g.NeededVersion
	}
	return tier, entitlement, nil
}

func (s *Server) gatewayStates(ctx context.Context, entitlement models.EntitlementState) ([]GatewayState, error) {
	states, err := s.Store.GatewayStates(ctx, entitlement.AccountID, s.Gateways())
	if err != nil {
		return nil, err
	}
	views := make([]GatewayState, len(states))
	for i, g := range states {
		views[i] = GatewayState{
			Gateway: g.Gateway, Version: g.Version, NeededVersion: entitlement.Version,
			AcknowledgedAt: g.AcknowledgedAt, LastError: g.LastError, FailedAt: g.FailedAt,
		}
	}
	return views, nil
}
