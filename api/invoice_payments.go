package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/workflows"
)

// InvoicePayment is a try to have an invoice paid by card, as callers see it.
type InvoicePayment struct {
	Attempt     int        `json:"attempt"`
	Origin      string     `json:"origin" enum:"automatic,card_change,manual"`
	AmountCents int64      `json:"amount_cents"`
	Status      string     `json:"status" enum:"pending,paid,declined,canceled,expired"`
	Decline     *Decline   `json:"decline,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	EndedAt     *time.Time `json:"ended_at,omitempty"`
}

// InvoicePaid is an invoice with the payment that was asked for.
type InvoicePaid struct {
	Invoice
	Payment          *InvoicePayment `json:"payment,omitempty" doc:"Left out for an invoice that was paid before."`
	AuthorizationURL *string         `json:"authorization_url,omitempty" doc:"Where the customer answers the bank; send them there."`
}

type payInvoiceInput struct {
	ID             string `path:"id"`
	IdempotencyKey string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"255" pattern:"^[ -~]+$" patternDescription:"printable ASCII" doc:"One key for one payment, for ever."`
	Prefer         string `header:"Prefer" doc:"wait=N: answer within N seconds, at most 60."`
}

// Resolve reads all the Prefer headers: several are one list (RFC 7240).
func (in *payInvoiceInput) Resolve(ctx huma.Context) []error {
	in.Prefer = allPreferences(ctx)
	return nil
}

// allPreferences reads all the Prefer headers: several are one list (RFC 7240).
func allPreferences(ctx huma.Context) string {
	var all []string
	ctx.EachHeader(func(name, value string) {
		if strings.EqualFold(name, "Prefer") {
			all = append(all, value)
		}
	})
	return strings.Join(all, ",")
}

type invoicePaidOutput struct {
	Status int
	Body   InvoicePaid
}

func (s *Server) invoicePaymentRoutes(api huma.API) {
	route(s, api, huma.Operation{
		OperationID: "pay-invoice", Method: http.MethodPost, Path: "/v1/invoices/{id}/pay", Tags: []string{"Invoices"},
		Summary: "Pay an invoice with the account's card, its customer being there",
		Description: "200 when the payment has ended, paid or not; 202 while it is pending. While one is pending another request joins it: " +
			"two at once charge once. An invoice that is paid is answered as it is.",
		DefaultStatus: http.StatusOK,
		Responses:     map[string]*huma.Response{"202": {Description: "Pending"}},
		Errors:        []int{http.StatusNotFound, http.StatusConflict},
	}, []models.Role{models.RoleCheckout, models.RoleFinance}, s.payInvoice)
	support := []models.Role{models.RoleSupport}
	route(s, api, huma.Operation{
		OperationID: "void-invoice", Method: http.MethodPost, Path: "/v1/support/invoices/{id}/void", Tags: []string{"Support"},
		Summary: "Take an unpaid invoice back, with a credit note; its account is suspended for it no more",
		Errors:  []int{http.StatusNotFound, http.StatusConflict},
	}, support, s.voidInvoice)
	route(s, api, huma.Operation{
		OperationID: "write-off-invoice", Method: http.MethodPost, Path: "/v1/support/invoices/{id}/uncollectible", Tags: []string{"Support"},
		Summary:     "Give an unpaid invoice up as a loss",
		Description: "The account stays suspended, or becomes so, unless restore is true; that may be said later as well.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, support, s.writeOffInvoice)
}

func (s *Server) invoice(ctx context.Context, id string) (models.Invoice, error) {
	if err := pathID("The invoice", id); err != nil {
		return models.Invoice{}, err
	}
	invoice, err := s.Store.Invoice(ctx, id)
	return invoice, named("The invoice", err)
}

// seeInvoice is an invoice with the tries to have it paid.
func (s *Server) seeInvoice(ctx context.Context, id string) (Invoice, error) {
	invoice, err := s.invoice(ctx, id)
	if err != nil {
		return Invoice{}, err
	}
	view := invoiceView(invoice)
	collection, err := s.Store.Collection(ctx, invoice.ID, s.Now())
	if errors.Is(err, ledger.ErrNotFound) { // nothing was ever due
		return view, nil
	}
	if err != nil {
		return Invoice{}, err
	}
	payments, err := s.Store.InvoicePayments(ctx, invoice.ID)
	for _, p := range payments {
		view.Payments = append(view.Payments, invoicePaymentView(p))
	}
	if collection.InFlight == 0 && !collection.InReview {
		view.NextTryAt = collection.DueAt
	}
	return view, err
}

// payInvoice has an invoice paid now, and waits a while for the bank. Whatever credits
// the account holds, the card pays (R34).
func (s *Server) payInvoice(ctx context.Context, in *payInvoiceInput) (*invoicePaidOutput, error) {
	invoice, err := s.invoice(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	payment, err := s.pay(ctx, invoice, in.IdempotencyKey, waitOf(in.Prefer))
	if err != nil {
		return nil, err
	}
	seen, err := s.seeInvoice(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &invoicePaidOutput{Status: http.StatusOK, Body: InvoicePaid{Invoice: seen}}
	if payment != nil {
		view := invoicePaymentView(*payment)
		out.Body.Payment = &view
		if !payment.Ended() {
			out.Status = http.StatusAccepted
		}
		if out.Body.AuthorizationURL, err = s.bankPage(ctx, *payment); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// pay asks for a payment of the invoice under the key and answers how far it came
// within the wait, nil for an invoice that was paid before.
func (s *Server) pay(ctx context.Context, invoice models.Invoice, key string, wait time.Duration) (*models.InvoicePayment, error) {
	attempt, err := s.Store.PayInvoice(ctx, invoice.ID, key, s.Now())
	var refusal *billing.Refusal
	switch {
	case errors.Is(err, ledger.ErrNotFound): // nothing was ever due
		return nil, nil
	case errors.Is(err, ledger.ErrInvoiceNotOwed):
		return nil, problem(http.StatusConflict, "invoice_not_owed", "The invoice was written off. There is nothing to pay.")
	case errors.As(err, &refusal):
		return nil, problem(http.StatusConflict, refusal.Code, refusal.Message)
	case err != nil || attempt == 0:
		return nil, err
	}
	payment, err := s.Store.InvoicePayment(ctx, invoice.ID, attempt)
	if err != nil {
		return nil, err
	}
	if payment.Bank == models.BankWaiting {
		s.collectNow(ctx, invoice.ID)
	}
	return s.awaitPayment(ctx, payment, wait)
}

// collectNow has the invoice collected without waiting for the outbox. If Temporal
// does not answer the outbox has it, and the payment is pending until then.
func (s *Server) collectNow(ctx context.Context, invoiceID string) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := workflows.CollectInvoice(ctx, s.Temporal, s.Queues, invoiceID); err != nil {
		s.Log.Warn("payment of invoice left to the outbox", "invoice", invoiceID, "error", err)
	}
}

// awaitPayment waits until the payment has ended or its customer must answer the bank.
func (s *Server) awaitPayment(ctx context.Context, p models.InvoicePayment, wait time.Duration) (*models.InvoicePayment, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		// Read before the payment: what changes it after that is a newer revision.
		c, err := s.Store.Collection(context.WithoutCancel(ctx), p.InvoiceID, s.Now())
		if err != nil {
			return nil, err
		}
		newest, err := s.Store.InvoicePayment(context.WithoutCancel(ctx), p.InvoiceID, p.Attempt)
		if err != nil || newest.Ended() || newest.Bank == models.BankRequiresAction || !s.watch.next(ctx, p.InvoiceID, c.Revision) {
			return &newest, err
		}
	}
}

func invoicePaymentView(p models.InvoicePayment) InvoicePayment {
	v := InvoicePayment{
		Attempt: p.Attempt, Origin: string(p.Origin), AmountCents: p.AmountCents, Status: invoicePaymentStatus(p.Bank),
		CreatedAt: p.CreatedAt, EndedAt: p.BankEndedAt,
	}
	if p.DeclineCode != nil {
		decline := billing.DeclineFor(*p.DeclineCode)
		v.Decline = &Decline{Code: decline.PublicCode, Message: decline.Message}
	}
	return v
}

func invoicePaymentStatus(bank models.BankState) string {
	switch {
	case !bank.Final():
		return "pending"
	case bank == models.BankApproved:
		return "paid"
	}
	return string(bank)
}

type voidInput struct {
	ID   string `path:"id"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"2000" doc:"Why; for the credit note and the audit log."`
	}
}

func (s *Server) voidInvoice(ctx context.Context, in *voidInput) (*invoiceOutput, error) {
	return s.writeOff(ctx, in.ID, "void_invoice", in.Body.Reason, ledger.WriteOff{Status: models.InvoiceVoid})
}

type uncollectibleInput struct {
	ID   string `path:"id"`
	Body struct {
		Reason  string `json:"reason" minLength:"1" maxLength:"2000" doc:"Why; for the audit log."`
		Restore bool   `json:"restore,omitempty" doc:"Let the account go on although the invoice was never paid."`
	}
}

func (s *Server) writeOffInvoice(ctx context.Context, in *uncollectibleInput) (*invoiceOutput, error) {
	return s.writeOff(ctx, in.ID, "write_off_invoice", in.Body.Reason, ledger.WriteOff{Status: models.InvoiceUncollectible, Restore: in.Body.Restore})
}

func (s *Server) writeOff(ctx context.Context, id, action, reason string, w ledger.WriteOff) (*invoiceOutput, error) {
	invoice, err := s.invoice(ctx, id)
	if err != nil {
		return nil, err
	}
	w.InvoiceID, w.Audit = invoice.ID, s.audit(ctx, action, invoice.AccountID, "invoice/"+invoice.ID, reason)
	err = s.Store.WriteOffInvoice(ctx, w, billing.TierRules())
	switch {
	case errors.Is(err, ledger.ErrPaymentInFlight):
		return nil, problem(http.StatusConflict, "payment_in_flight",
			"A payment of the invoice is under way. Repeat the request when it has ended; one that waits for its customer can be canceled first.")
	case errors.Is(err, ledger.ErrInvoicePaid), errors.Is(err, ledger.ErrNotFound):
		return nil, problem(http.StatusConflict, "invoice_paid", "The invoice is paid. What is paid can be refunded, not written off.")
	case errors.Is(err, ledger.ErrInvoiceNotOwed):
		return nil, problem(http.StatusConflict, "invoice_not_owed", "The invoice was written off already, in another way.")
	case err != nil:
		return nil, err
	}
	seen, err := s.seeInvoice(ctx, id)
	if err != nil {
		return nil, err
	}
	return &invoiceOutput{Body: seen}, nil
}
