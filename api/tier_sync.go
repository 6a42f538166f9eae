package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

// syncWindow is how far the purchase may lie from the time that the customer
// remembers.
const syncWindow = 24 * time.Hour

type tierSyncInput struct {
	Body struct {
		Email       string    `json:"email" minLength:"3" maxLength:"320" doc:"The account's address."`
		PurchasedAt time.Time `json:"purchased_at" doc:"About when, with the time zone; up to 24 hours off." example:"2026-11-03T14:05:00-08:00"`
		Reason      string    `json:"reason" minLength:"1" maxLength:"2000" doc:"Why; for the audit log."`
		DryRun      bool      `json:"dry_run,omitempty" doc:"Show what would change, and change nothing."`
	}
}

// TierSync is what a force-sync found and did.
type TierSync struct {
	Purchase   Purchase       `json:"purchase" doc:"The purchase nearest to the time given."`
	Candidates []string       `json:"other_candidates" doc:"Other purchases with that address near that time."`
	Evidence   Evidence       `json:"evidence" doc:"What Stripe says of the payment."`
	TierBefore SyncedTier     `json:"tier_before" doc:"What the gateways were to hold."`
	TierAfter  SyncedTier     `json:"tier_after" doc:"What the money paid has earned."`
	Gateways   []GatewayState `json:"gateways"`
	DryRun     bool           `json:"dry_run"`
	Pushed     bool           `json:"pushed" doc:"Whether a push to every gateway is under way."`
}

// SyncedTier is a tier with the version of the entitlement that carries it.
type SyncedTier struct {
	Number  int    `json:"number"`
	Name    string `json:"name"`
	Version int64  `json:"version"`
}

// Evidence is Stripe's word on a purchase's payment.
type Evidence struct {
	PaymentIntent string `json:"payment_intent,omitempty"`
	State         string `json:"state" doc:"approved, declined, processing, requires_action, canceled, unknown or absent."`
	CapturedCents int64  `json:"captured_cents"`
	Verified      bool   `json:"verified" doc:"Whether Stripe holds the whole amount of the purchase."`
	Credited      bool   `json:"credited" doc:"Whether our ledger has credited it."`
}

type tierSyncOutput struct{ Body TierSync }

// tierSync finds a purchase by what a customer can tell of it, has Stripe confirm
// the payment, and pushes the tier that was earned, now (R23).
func (s *Server) tierSync(ctx context.Context, in *tierSyncInput) (*tierSyncOutput, error) {
	found, err := s.Store.PurchasesNear(ctx, in.Body.Email, in.Body.PurchasedAt, syncWindow)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, problem(http.StatusNotFound, "purchase_not_found",
			"No purchase with this address within 24 hours of that time. Check the address, the time and its zone.")
	}
	purchase := found[0]
	evidence, err := s.evidence(ctx, purchase)
	if err != nil {
		return nil, err
	}
	out := TierSync{Evidence: evidence, DryRun: in.Body.DryRun, Candidates: []string{}}
	for _, other := range found[1:] {
		out.Candidates = append(out.Candidates, other.ID)
	}
	if out.TierBefore, out.TierAfter, err = s.tiersOf(ctx, purchase.AccountID); err != nil {
		return nil, err
	}
	if !in.Body.DryRun {
		if err := s.sync(ctx, purchase, evidence, in.Body.Reason, &out); err != nil {
			return nil, err
		}
	}
	if out.Purchase, err = s.view(ctx, purchase); err != nil {
		return nil, err
	}
	entitlement, err := s.Store.Entitlement(ctx, purchase.AccountID)
	if err != nil {
		return nil, err
	}
	out.Gateways, err = s.gatewayStates(ctx, entitlement)
	return &tierSyncOutput{Body: out}, err
}

// evidence asks Stripe for the payment of a purchase.
func (s *Server) evidence(ctx context.Context, p models.Purchase) (Evidence, error) {
	find := activities.FindInput{PurchaseID: p.ID, Customer: p.StripeCustomerID, ChargedAfter: p.CreatedAt}
	if p.PaymentIntentID != nil {
		find.PaymentIntentID = *p.PaymentIntentID
	}
	payment, err := s.payments.FindPayment(ctx, find)
	if err != nil {
		s.Log.Warn("payment not verified", "purchase", p.ID, "error", err)
		return Evidence{}, problem(http.StatusServiceUnavailable, "stripe_unavailable",
			"Stripe does not answer just now, so the payment cannot be verified. Nothing was changed; try again in a moment.")
	}
	return Evidence{
		PaymentIntent: payment.PaymentIntentID, State: string(payment.State), CapturedCents: payment.CapturedCents,
		Verified: payment.State == activities.PaymentApproved && payment.CapturedCents == p.AmountCents,
		Credited: p.BalanceEndedAt != nil,
	}, nil
}

// tiersOf is the tier that the gateways are to hold and the one that the ledger's
// lifetime spend has earned.
func (s *Server) tiersOf(ctx context.Context, accountID string) (before, after SyncedTier, err error) {
	entitlement, err := s.Store.Entitlement(ctx, accountID)
	if err != nil {
		return before, after, err
	}
	balance, err := s.Store.Balance(ctx, accountID)
	if err != nil {
		return before, after, err
	}
	before = SyncedTier{Number: entitlement.Tier, Name: billing.TierName(entitlement.Tier), Version: entitlement.Version}
	earned := billing.TierFor(money.USD(balance.LifetimeSpendMicros))
	after = SyncedTier{Number: earned.Number, Name: earned.Name, Version: entitlement.Version}
	if after.Number != before.Number {
		after.Version++
	}
	return before, after, nil
}

// sync does it, with its audit entry, in one transaction; the outbox then wakes
// the propagation, and the purchase too if it is still going.
func (s *Server) sync(ctx context.Context, p models.Purchase, evidence Evidence, reason string, out *TierSync) error {
	if evidence.Verified && p.Ended() && !evidence.Credited {
		return s.reviewCapture(ctx, p, evidence)
	}
	if !evidence.Verified {
		return problem(http.StatusConflict, "payment_not_verified",
			"Stripe does not hold the money of this purchase (payment "+evidence.State+"), so no tier was pushed. Run it with dry_run to see the evidence.")
	}
	detail, err := json.Marshal(map[string]any{
		"payment_intent": evidence.PaymentIntent, "tier_before": out.TierBefore.Number, "tier_after": out.TierAfter.Number,
	})
	if err != nil {
		return err
	}
	entry := s.audit(ctx, "tier_sync", p.AccountID, "purchase/"+p.ID, reason)
	entry.Detail = detail
	if err := s.Store.ForceSync(ctx, p.AccountID, p.ID, billing.TierRules(), entry); err != nil {
		return err
	}
	out.Pushed = true
	return nil
}

// reviewCapture refuses to sync a purchase that ended without the money that Stripe
// holds for it, and puts that before a person (I3).
func (s *Server) reviewCapture(ctx context.Context, p models.Purchase, evidence Evidence) error {
	detail := "Stripe holds the money of " + evidence.PaymentIntent + ", but the purchase ended as " + string(p.Status) +
		" without credit. Refund it or grant the credits."
	err := s.Store.RaiseAlert(ctx, models.Alert{
		Kind: models.AlertCaptureInReview, Subject: "purchase/" + p.ID, AccountID: &p.AccountID, Detail: detail, RaisedAt: s.Now(),
	})
	if err != nil {
		return err
	}
	return problem(http.StatusConflict, "capture_in_review", detail)
}
