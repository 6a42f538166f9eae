package api

import (
	"context"
	"time"

	"github.com/paystage/paystage/models"
)

// Invoice is an invoice as callers see it.
type Invoice struct {
	ID          string    `json:"id"`
	Number      string    `json:"number" example:"2026-000042"`
	AccountID   string    `json:"account_id"`
	Kind        string    `json:"kind" enum:"purchase"`
	PurchaseID  *string   `json:"purchase_id,omitempty"`
	Description string    `json:"description"`
	TotalMicros int64     `json:"total_micros"`
	Status      string    `json:"status" enum:"open,paid,past_due,void,uncollectible"`
	IssuedAt    time.Time `json:"issued_at"`
}

type invoiceOutput struct{ Body Invoice }

type invoicesOutput struct {
	Body struct {
		Invoices []Invoice `json:"invoices" doc:"Newest first, at most 200."`
	}
}

func invoiceView(i models.Invoice) Invoice {
	return Invoice{
		ID: i.ID, Number: i.Number, AccountID: i.AccountID, Kind: i.Kind, PurchaseID: i.PurchaseID,
		Description: i.Description, TotalMicros: i.TotalMicros, Status: i.Status, IssuedAt: i.IssuedAt,
	}
}

func (s *Server) listInvoices(ctx context.Context, in *accountInput) (*invoicesOutput, error) {
	if _, err := s.account(ctx, in.ID); err != nil {
		return nil, err
	}
	invoices, err := s.Store.Invoices(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &invoicesOutput{}
	out.Body.Invoices = make([]Invoice, len(invoices))
	for i, invoice := range invoices {
		out.Body.Invoices[i] = invoiceView(invoice)
	}
	return out, nil
}

func (s *Server) getInvoice(ctx context.Context, in *accountInput) (*invoiceOutput, error) {
	if err := pathID("The invoice", in.ID); err != nil {
		return nil, err
	}
	invoice, err := s.Store.Invoice(ctx, in.ID)
	if err != nil {
		return nil, named("The invoice", err)
	}
	return &invoiceOutput{Body: invoiceView(invoice)}, nil
}
