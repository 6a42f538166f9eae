package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/documents"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

const (
	// maxDocumentLines bounds the lines of a document; the rest is its last row.
	maxDocumentLines = 10_000
	// sellerRetry is the pause between tries to note who sells.
	sellerRetry = 5 * time.Second
)

func (s *Server) invoiceRoutes(api huma.API) {
	readers := []models.Role{models.RoleCheckout, models.RoleFinance}
	tags, notFound := []string{"Invoices"}, []int{http.StatusNotFound}
	route(s, api, huma.Operation{
		OperationID: "list-invoices", Method: http.MethodGet, Path: "/v1/accounts/{id}/invoices", Tags: tags,
		Summary: "List invoices, newest first", Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, readers, s.listInvoices)
	route(s, api, huma.Operation{
		OperationID: "get-current-invoice", Method: http.MethodGet, Path: "/v1/accounts/{id}/invoices/current", Tags: tags,
		Summary:     "See what is used and not invoiced yet, as the next invoice would have it",
		Description: "It has no number and demands nothing: it changes with every use and purchase.", Errors: notFound,
	}, readers, s.getCurrentInvoice)
	route(s, api, pdfOperation("get-current-invoice-pdf", "/v1/accounts/{id}/invoices/current/pdf",
		"Download what is used and not invoiced yet as PDF, marked as not final"), readers, s.getCurrentPDF)
	route(s, api, huma.Operation{
		OperationID: "get-invoice", Method: http.MethodGet, Path: "/v1/invoices/{id}", Tags: tags,
		Summary: "See an invoice with its lines", Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, readers, s.getInvoice)
	route(s, api, pdfOperation("get-invoice-pdf", "/v1/invoices/{id}/pdf", "Download an invoice as PDF"), readers, s.getInvoicePDF)
	s.exportRoutes(api)
}

// pdfOperation is a route that answers a document.
func pdfOperation(id, path, summary string) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: http.MethodGet, Path: path, Tags: []string{"Invoices"}, Summary: summary, Errors: []int{http.StatusNotFound},
		Responses: map[string]*huma.Response{"200": {
			Description: "The document. The same invoice in the same status is the same bytes.",
			Content:     map[string]*huma.MediaType{mediaPDF: {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
		}},
	}
}

const mediaPDF = "application/pdf"

type listInvoicesInput struct {
	ID     string `path:"id"`
	Before string `query:"before" doc:"The invoice to go on behind: next of the answer before."`
}

type invoicesOutput struct {
	Body struct {
		Invoices []Invoice `json:"invoices" doc:"Newest first, at most 200."`
		Next     string    `json:"next,omitempty" doc:"There are more: ask again with before=next."`
	}
}

func (s *Server) listInvoices(ctx context.Context, in *listInvoicesInput) (*invoicesOutput, error) {
	if _, err := s.account(ctx, in.ID); err != nil {
		return nil, err
	}
	invoices, err := s.invoicesBefore(ctx, in.ID, in.Before)
	if err != nil {
		return nil, err
	}
	out := &invoicesOutput{}
	out.Body.Invoices = make([]Invoice, len(invoices))
	for i, invoice := range invoices {
		out.Body.Invoices[i] = invoiceView(invoice)
	}
	if n := len(invoices); n == ledger.MaxInvoices {
		out.Body.Next = invoices[n-1].ID
	}
	return out, nil
}

func (s *Server) invoicesBefore(ctx context.Context, accountID, before string) ([]models.Invoice, error) {
	if before == "" {
		return s.Store.Invoices(ctx, accountID)
	}
	if pathID("The invoice", before) != nil {
		return nil, problem(http.StatusUnprocessableEntity, "invalid_before", "before must be the id of an invoice: next of the answer before.")
	}
	return s.Store.InvoicesBefore(ctx, accountID, before)
}

// InvoiceLine is what one resource cost under one SKU.
type InvoiceLine struct {
	Line     int    `json:"line"`
	Section  string `json:"section" enum:"usage,deployment,creation"`
	SKU      string `json:"sku"`
	Model    string `json:"model,omitempty"`
	Unit     string `json:"unit" doc:"What quantity counts." enum:"token,image,minute,second,job"`
	Resource string `json:"resource,omitempty" doc:"What was used, in the reporter's words, or the id of the deployment or job."`
	Name     string `json:"name,omitempty"`
	Period   string `json:"period" doc:"The month of the use: an earlier one where it was told late." example:"2026-10"`
	Events   int64  `json:"events" doc:"Reports of usage, or creations."`
	Quantity string `json:"quantity" doc:"A whole number, as text: it may be large." example:"3000001"`
	Micros   int64  `json:"cost_micros"`
}

func invoiceLineViews(lines []models.InvoiceLine) []InvoiceLine {
	views := make([]InvoiceLine, len(lines))
	for i, l := range lines {
		views[i] = InvoiceLine{
			Line: l.Line, Section: l.Section, SKU: l.SKU, Model: l.Model, Unit: l.Unit, Resource: l.Resource, Name: l.Name,
			Period: billing.PeriodText(l.Period), Events: l.Events, Quantity: l.Quantity, Micros: l.AmountMicros,
		}
	}
	return views
}

// CreditNote takes an invoice back.
type CreditNote struct {
	Number       string    `json:"number" example:"CN-2026-000007"`
	AmountMicros int64     `json:"amount_micros"`
	IssuedAt     time.Time `json:"issued_at"`
}

// InvoiceWhole is an invoice with its lines.
type InvoiceWhole struct {
	Invoice
	Lines      []InvoiceLine `json:"lines" doc:"In their order, at most 1,000. The invoice of a purchase has none."`
	Next       *int          `json:"next,omitempty" doc:"There are more lines: ask again with after=next."`
	CreditNote *CreditNote   `json:"credit_note,omitempty" doc:"What took a void invoice back."`
}

type getInvoiceInput struct {
	ID    string `path:"id"`
	After int    `query:"after" minimum:"0" maximum:"2000000000" doc:"The line to go on behind: next of the answer before."`
}

type invoiceWholeOutput struct{ Body InvoiceWhole }

func (s *Server) getInvoice(ctx context.Context, in *getInvoiceInput) (*invoiceWholeOutput, error) {
	invoice, err := s.seeInvoice(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	lines, err := s.Store.InvoiceLines(ctx, invoice.ID, in.After, ledger.MaxInvoiceLines)
	if err != nil {
		return nil, err
	}
	note, err := s.creditNote(ctx, invoice.ID)
	if err != nil {
		return nil, err
	}
	out := &invoiceWholeOutput{Body: InvoiceWhole{Invoice: invoice, Lines: invoiceLineViews(lines)}}
	if n := len(lines); n == ledger.MaxInvoiceLines {
		out.Body.Next = &lines[n-1].Line
	}
	if note != nil {
		out.Body.CreditNote = &CreditNote{Number: note.Number, AmountMicros: note.AmountMicros, IssuedAt: note.IssuedAt}
	}
	return out, nil
}

// creditNote is what took an invoice back; nil where nothing did.
func (s *Server) creditNote(ctx context.Context, invoiceID string) (*models.CreditNote, error) {
	note, err := s.Store.CreditNote(ctx, invoiceID)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	return &note, err
}

// CurrentInvoice is what is used and not invoiced yet.
type CurrentInvoice struct {
	AccountID       string        `json:"account_id"`
	AsOf            time.Time     `json:"as_of"`
	UsageMicros     int64         `json:"usage_micros"`
	CarriedInMicros int64         `json:"carried_in_micros" doc:"What the invoice before left to the next one."`
	FreeMicros      int64         `json:"free_micros" doc:"Paid by free credits."`
	PurchasedMicros int64         `json:"purchased_micros" doc:"Paid by purchased credits."`
	AccruedMicros   int64         `json:"accrued_micros" doc:"Not paid yet: usage_micros and carried_in_micros less what credits paid."`
	Lines           []InvoiceLine `json:"lines" doc:"In their order, at most 1,000."`
	More            bool          `json:"more" doc:"There are lines beyond those; the costs of the account list all."`
}

type currentInvoiceOutput struct{ Body CurrentInvoice }

func (s *Server) getCurrentInvoice(ctx context.Context, in *accountInput) (*currentInvoiceOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	i, lines, err := s.Store.NotInvoiced(ctx, account.ID, ledger.MaxInvoiceLines+1)
	if err != nil {
		return nil, err
	}
	more := len(lines) > ledger.MaxInvoiceLines
	return &currentInvoiceOutput{Body: CurrentInvoice{
		AccountID: account.ID, AsOf: s.Now(), UsageMicros: i.UsageMicros, CarriedInMicros: i.CarriedInMicros, FreeMicros: i.FreeMicros,
		PurchasedMicros: i.PurchasedMicros, AccruedMicros: i.TotalMicros,
		Lines: invoiceLineViews(lines[:min(len(lines), ledger.MaxInvoiceLines)]), More: more,
	}}, nil
}

// pdfOutput is a document on its way out.
type pdfOutput struct {
	ContentType        string `header:"Content-Type"`
	ContentDisposition string `header:"Content-Disposition"`
	CacheControl       string `header:"Cache-Control"`
	Body               []byte
}

func pdf(name string, i documents.Invoice) (*pdfOutput, error) {
	var document bytes.Buffer
	if err := documents.WriteInvoice(&document, i); err != nil {
		return nil, err
	}
	return &pdfOutput{
		ContentType: mediaPDF, ContentDisposition: fmt.Sprintf(`attachment; filename="%s.pdf"`, name), CacheControl: "private, no-store", Body: document.Bytes(),
	}, nil
}

type invoiceInput struct {
	ID string `path:"id"`
}

// getInvoicePDF draws an invoice from what is frozen (R45).
func (s *Server) getInvoicePDF(ctx context.Context, in *invoiceInput) (*pdfOutput, error) {
	invoice, err := s.invoice(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	document := documents.Invoice{Invoice: invoice}
	if document.Note, err = s.creditNote(ctx, invoice.ID); err != nil {
		return nil, err
	}
	if document.Seller, err = s.sellerAt(ctx, invoice.IssuedAt); err != nil {
		return nil, err
	}
	for len(document.Lines) < maxDocumentLines {
		page, err := s.Store.InvoiceLines(ctx, invoice.ID, len(document.Lines), ledger.MaxInvoiceLines)
		if err != nil {
			return nil, err
		}
		document.Lines = append(document.Lines, page...)
		if len(page) < ledger.MaxInvoiceLines {
			break
		}
	}
	return pdf("invoice-"+invoice.Number, document)
}

func (s *Server) getCurrentPDF(ctx context.Context, in *accountInput) (*pdfOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	document := documents.Invoice{AsOf: &now}
	if document.Invoice, document.Lines, err = s.Store.NotInvoiced(ctx, account.ID, maxDocumentLines); err != nil {
		return nil, err
	}
	period := billing.PeriodOf(now)
	document.Period = &period
	if document.Seller, err = s.sellerAt(ctx, now); err != nil {
		return nil, err
	}
	return pdf("usage-"+billing.PeriodText(period), document)
}

// sellerAt is who sold at an instant: who sells now, before anybody was noted.
func (s *Server) sellerAt(ctx context.Context, at time.Time) (models.Seller, error) {
	seller, err := s.Store.Seller(ctx, at)
	if errors.Is(err, ledger.ErrNotFound) {
		return s.Seller, nil
	}
	return seller, err
}

// noteSeller notes who sells from now on, as soon as the database takes it.
func (s *Server) noteSeller(ctx context.Context) {
	for {
		err := s.Store.NoteSeller(ctx, s.Seller)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.Log.Warn("who sells is not noted yet", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(sellerRetry):
		}
	}
}
