package api

import (
	"context"
	"strings"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

// TierExplanation says why an account has its tier, and who knows of it.
type TierExplanation struct {
	Tier Tier `json:"tier"`
	// Payments are those that made it, oldest first.
	Payments []TierPayment `json:"payments" doc:"Each payment that moved the tier, and the newest of the others; oldest first."`
	// Version and Since are of the entitlement that the gateways are to hold.
	Version    int64       `json:"entitlement_version"`
	Since      time.Time   `json:"since" doc:"When that version came to be."`
	Suspended  bool        `json:"suspended"`
	Exceptions []Exception `json:"exceptions" doc:"Those in force."`
}

// TierPayment is a payment that counts to the tier.
type TierPayment struct {
	TransactionID  int64     `json:"transaction_id"`
	Kind           string    `json:"kind" example:"purchase"`
	PurchaseID     string    `json:"purchase_id,omitempty"`
	InvoiceID      string    `json:"invoice_id,omitempty"`
	AmountMicros   int64     `json:"amount_micros" doc:"What it added to the lifetime spend; below zero for a refund."`
	At             time.Time `json:"at"`
	LifetimeMicros int64     `json:"lifetime_spend_micros" doc:"The lifetime spend with it."`
	Tier           int       `json:"tier" doc:"The tier that this reached."`
	Moved          bool      `json:"moved" doc:"Whether the tier was another before."`
}

type explainOutput struct{ Body TierExplanation }

// explainTier says which payments made the tier, and which gateway holds which
// version of it, since when (R53).
func (s *Server) explainTier(ctx context.Context, in *accountInput) (*explainOutput, error) {
	if _, err := s.account(ctx, in.ID); err != nil {
		return nil, err
	}
	balance, err := s.Store.Balance(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	tier, entitlement, err := s.tierOf(ctx, balance)
	if err != nil {
		return nil, err
	}
	payments, err := s.Store.TierPayments(ctx, in.ID, billing.TierRules().Thresholds)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	exceptions, err := s.Store.AccountExceptions(ctx, in.ID, &now)
	if err != nil {
		return nil, err
	}
	out := &explainOutput{Body: TierExplanation{
		Tier: tier, Payments: make([]TierPayment, len(payments)), Version: entitlement.Version, Since: entitlement.ChangedAt,
		Suspended: entitlement.Suspended, Exceptions: exceptionViews(exceptions),
	}}
	for i, p := range payments {
		out.Body.Payments[i] = tierPaymentView(p)
	}
	return out, nil
}

func tierPaymentView(p models.TierPayment) TierPayment {
	view := TierPayment{
		TransactionID: p.TransactionID, Kind: p.Kind, AmountMicros: p.AmountMicros, At: p.OccurredAt,
		LifetimeMicros: p.LifetimeMicros, Tier: p.Tier, Moved: p.Moved,
	}
	if id, ok := strings.CutPrefix(p.Key, "purchase/"); ok {
		view.PurchaseID = id
	}
	if id, ok := strings.CutPrefix(p.Key, "invoice_payment/"); ok {
		view.InvoiceID = id
	}
	return view
}
