package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/links"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/web"
)

// showInvoicePayment shows the invoice of a link, and how its payment stands. It
// changes nothing, whoever opens it: mail scanners do (F43).
func (s *Server) showInvoicePayment(w http.ResponseWriter, r *http.Request) {
	invoice, err := s.invoiceOfLink(r.Context(), r.PathValue("token"))
	if err == nil {
		err = s.showInvoice(r.Context(), w, invoice)
	}
	if err != nil {
		s.showDead(w, err)
	}
}

// payByLink has the invoice of a link paid by the account's card, and takes its
// customer to the bank if that asks, else back to the page. Whoever holds the link can
// do so: it pays what is owed, once, and shows nothing of the card (F42, I2).
func (s *Server) payByLink(w http.ResponseWriter, r *http.Request) {
	next, err := s.afterPayByLink(r.Context(), r.PathValue("token"))
	if err != nil {
		s.showDead(w, err)
		return
	}
	web.Headers(w.Header())
	w.Header().Set("Location", next)
	w.WriteHeader(http.StatusSeeOther)
}

// afterPayByLink pays, and says where to go on.
func (s *Server) afterPayByLink(ctx context.Context, token string) (string, error) {
	here := "/pay/" + token
	invoice, err := s.invoiceOfLink(ctx, token)
	if err != nil {
		return "", err
	}
	collection, err := s.Store.Collection(ctx, invoice.ID, s.Now())
	if errors.Is(err, ledger.ErrNotFound) { // nothing was ever due
		return here, nil
	}
	if err != nil {
		return "", err
	}
	// The key holds a sign that no caller can send. A second press before the first has
	// its answer joins that one.
	payment, err := s.pay(ctx, invoice, fmt.Sprintf("page§%s§%d", invoice.ID, collection.Attempts), defaultWait)
	var known *Problem
	if errors.As(err, &known) && known.Status == http.StatusConflict {
		return here, nil // the page says why
	}
	if err != nil || payment == nil {
		return here, err
	}
	bank, err := s.bankPage(ctx, *payment)
	if err != nil || bank == nil {
		return here, err
	}
	return *bank, nil
}

// bankPage is where the customer answers the bank about a payment, nil if nothing is
// asked: the bank's own page, or ours before it where the payment was made without them.
func (s *Server) bankPage(ctx context.Context, p models.InvoicePayment) (*string, error) {
	if p.Bank != models.BankRequiresAction || p.AuthorizationURL != nil {
		return p.AuthorizationURL, nil
	}
	a, err := s.Store.AuthorizationOf(ctx, models.AuthorizeInvoice, p.InvoiceID, p.Attempt)
	if errors.Is(err, ledger.ErrNotFound) || err == nil && a.Ended() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	token, err := s.Links.Sign(links.Token{Purpose: links.Authorize, ID: a.ID, Generation: a.Generation, Expires: a.ExpiresAt})
	if errors.Is(err, links.ErrNoKey) { // the link waits in the outbox as well (F48)
		return nil, nil
	}
	page := s.URL + "/authorize/" + token
	return &page, err
}

// invoiceOfLink verifies a link and reads the invoice that it pays. An error is a
// deadLink, or an outage.
func (s *Server) invoiceOfLink(ctx context.Context, text string) (models.Invoice, error) {
	link, err := s.Links.Open(text, links.PayInvoice, s.Now())
	switch {
	case errors.Is(err, links.ErrOtherPurpose):
		return models.Invoice{}, deadLink(web.LinkOtherPurpose)
	case errors.Is(err, links.ErrExpired):
		return models.Invoice{}, deadLink(web.LinkExpired)
	case err != nil, pathID("The invoice", link.ID) != nil:
		return models.Invoice{}, deadLink(web.LinkInvalid)
	}
	invoice, err := s.Store.Invoice(ctx, link.ID)
	if errors.Is(err, ledger.ErrNotFound) {
		err = deadLink(web.LinkInvalid)
	}
	return invoice, err
}

// showInvoice shows an invoice as it is now.
func (s *Server) showInvoice(ctx context.Context, w http.ResponseWriter, invoice models.Invoice) error {
	page := web.InvoicePayment{Company: s.Company, Number: invoice.Number, DueCents: invoice.DueCents, Status: models.InvoiceStatus(invoice.Status)}
	c, err := s.Store.Collection(ctx, invoice.ID, s.Now())
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	page.Bank = c.InFlightBank
	if c.DeclineCode != "" {
		page.Declined = billing.DeclineFor(c.DeclineCode).Message
	}
	var refusal *billing.Refusal
	if errors.As(billing.CheckInvoicePayment(c), &refusal) {
		page.Refused = refusal.Message
	}
	s.show(w, http.StatusOK, page.Page())
	return nil
}
