package api

import (
	"context"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

// Purchase is a purchase as callers see it.
type Purchase struct {
	ID          string  `json:"id"`
	AccountID   string  `json:"account_id"`
	AmountCents int64   `json:"amount_cents"`
	Origin      string  `json:"origin" enum:"checkout,auto_recharge"`
	Status      string  `json:"status" enum:"pending,completed,declined,canceled,expired"`
	Stages      []Stage `json:"stages" doc:"The four stages in their order."`
	Slow        bool    `json:"slow" doc:"Pending for over 60 seconds."`
	Overdue     bool    `json:"overdue" doc:"Approved over 15 minutes ago and not complete; support has been alerted."`
	// Decline says why, and what to do.
	Decline          *Decline  `json:"decline,omitempty"`
	AuthorizationURL *string   `json:"authorization_url,omitempty" doc:"Where the customer answers the bank; send them there."`
	InvoiceID        *string   `json:"invoice_id,omitempty"`
	OtherPending     []string  `json:"other_pending" doc:"Other purchases of the account that are pending: each is charged on its own."`
	CreatedAt        time.Time `json:"created_at"`
}

// Stage is one stage of a purchase.
type Stage struct {
	Name      string     `json:"name" enum:"bank_approval,invoice,balance,tier"`
	State     string     `json:"state" enum:"waiting,running,done,failed"`
	StartedAt *time.Time `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
}

// Decline is why the bank said no, for the customer's eyes.
type Decline struct {
	Code    string `json:"code" example:"insufficient_funds"`
	Message string `json:"message" doc:"A sentence that says what to do."`
}

// view shows a purchase, with the account's other pending ones.
func (s *Server) view(ctx context.Context, p models.Purchase) (Purchase, error) {
	pending, err := s.Store.PendingPurchases(ctx, p.AccountID)
	if err != nil {
		return Purchase{}, err
	}
	return purchaseView(p, pending, s.Now()), nil
}

func purchaseView(p models.Purchase, pending []models.Purchase, now time.Time) Purchase {
	v := Purchase{
		ID: p.ID, AccountID: p.AccountID, AmountCents: p.AmountCents,
		Origin: string(p.Origin), Status: string(p.Status),
		AuthorizationURL: p.AuthorizationURL, InvoiceID: p.InvoiceID,
		OtherPending: []string{}, CreatedAt: p.CreatedAt,
	}
	for _, stage := range p.Stages() {
		v.Stages = append(v.Stages, Stage{
			Name: string(stage.Name), State: string(stage.State), StartedAt: stage.StartedAt, EndedAt: stage.EndedAt,
		})
	}
	if !p.Ended() {
		v.Slow = billing.Slow(p.CreatedAt, now)
		if approved := p.ApprovedAt(); approved != nil {
			v.Overdue = billing.Overdue(*approved, now)
		}
	}
	if p.DeclineCode != nil {
		decline := billing.DeclineFor(*p.DeclineCode)
		v.Decline = &Decline{Code: decline.PublicCode, Message: decline.Message}
	}
	for _, other := range pending {
		if other.ID != p.ID {
			v.OtherPending = append(v.OtherPending, other.ID)
		}
	}
	return v
}

// nextFlag is when a pending purchase becomes slow or overdue, if it does.
func nextFlag(p models.Purchase, now time.Time) (time.Time, bool) {
	if p.Ended() {
		return time.Time{}, false
	}
	if slow := p.CreatedAt.Add(billing.SlowAfter); now.Before(slow) {
		return slow, true
	}
	if approved := p.ApprovedAt(); approved != nil && !billing.Overdue(*approved, now) {
		return approved.Add(billing.OverdueAfter), true
	}
	return time.Time{}, false
}
