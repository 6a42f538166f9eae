package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/links"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/web"
	"github.com/paystage/paystage/workflows"
)

// deadLink is why a link opens nothing, as an error.
type deadLink web.DeadLink

func (d deadLink) Error() string { return "dead link: " + string(d) }

// deadStatus is what each dead link is answered with.
var deadStatus = map[web.DeadLink]int{
	web.LinkInvalid: http.StatusNotFound, web.LinkOtherPurpose: http.StatusNotFound,
	web.LinkExpired: http.StatusGone, web.LinkReplaced: http.StatusGone,
}

// showAuthorization shows what a link is about. It changes nothing, whoever opens it:
// mail scanners do (F43).
func (s *Server) showAuthorization(w http.ResponseWriter, r *http.Request) {
	a, _, err := s.linked(r.Context(), r.PathValue("token"))
	if err != nil {
		s.showDead(w, err)
		return
	}
	s.showApproval(r.Context(), w, a)
}

// goToBank takes whoever holds the link to the bank (R37). That is noted before Stripe
// is asked for anything; however often it is done, it is one payment, and the bank asks
// for its customer (F42, I2).
func (s *Server) goToBank(w http.ResponseWriter, r *http.Request) {
	text := r.PathValue("token")
	a, link, err := s.linked(r.Context(), text)
	if err != nil {
		s.showDead(w, err)
		return
	}
	begun, err := s.Store.BeginApproval(r.Context(), a.ID, link.Generation, s.Now())
	if errors.Is(err, ledger.ErrNotFound) { // it has ended, or is about to
		s.showApproval(r.Context(), w, a)
		return
	}
	if err != nil {
		s.showDead(w, err)
		return
	}
	bank, err := s.approval.Begin(r.Context(), activities.ApprovalRequest{
		PaymentIntentID: begun.PaymentIntentID, PaymentMethod: begun.PaymentMethodID,
		IdempotencyKey: workflows.ConfirmKey(begun.ID, begun.Confirms), ReturnURL: s.URL + "/authorize/" + text,
	})
	switch {
	case err != nil:
		err = errors.Join(err, s.Store.ApprovalFailed(r.Context(), begun.ID, begun.Confirms))
		s.Log.Error("customer not taken to the bank", "authorization", begun.ID, "error", err)
		w.Header().Set("Retry-After", "5")
		s.show(w, http.StatusServiceUnavailable, web.NotNow(s.Company))
	case bank == "": // answered meanwhile
		s.showApproval(r.Context(), w, begun)
	default:
		web.Headers(w.Header())
		w.Header().Set("Location", bank)
		w.WriteHeader(http.StatusSeeOther)
	}
}

// linked verifies a link and reads what it is about. An error is a deadLink, or an
// outage.
func (s *Server) linked(ctx context.Context, text string) (models.Authorization, links.Token, error) {
	link, err := s.Links.Open(text, links.Authorize, s.Now())
	switch {
	case errors.Is(err, links.ErrOtherPurpose):
		return models.Authorization{}, link, deadLink(web.LinkOtherPurpose)
	case err != nil && !errors.Is(err, links.ErrExpired), pathID("The authorization", link.ID) != nil:
		return models.Authorization{}, link, deadLink(web.LinkInvalid)
	}
	a, readError := s.Store.Authorization(ctx, link.ID)
	switch {
	case errors.Is(readError, ledger.ErrNotFound):
		return a, link, deadLink(web.LinkInvalid)
	case readError != nil:
		return a, link, readError
	case link.Generation != a.Generation:
		return a, link, deadLink(web.LinkReplaced)
	case err != nil && !a.Ended():
		return a, link, deadLink(web.LinkExpired)
	}
	return a, link, nil
}

// showApproval shows an authorization as it is now.
func (s *Server) showApproval(ctx context.Context, w http.ResponseWriter, seen models.Authorization) {
	a, err := s.Store.Authorization(ctx, seen.ID)
	if err != nil {
		s.showDead(w, err)
		return
	}
	page := web.Approval{Company: s.Company, Authorization: a}
	if a.State == models.AuthorizationOpened {
		page.Heard = s.heard(ctx, a)
	}
	s.show(w, http.StatusOK, page.Page())
}

// heard asks Stripe how a payment stands whose customer went to the bank: they want to
// know it before its authorization has been told. Not to be answered is nothing new.
func (s *Server) heard(ctx context.Context, a models.Authorization) web.Heard {
	payment, err := s.payments.FindPayment(ctx, activities.FindInput{PaymentIntentID: a.PaymentIntentID})
	switch {
	case err != nil:
		s.Log.Warn("payment not looked up for its customer", "authorization", a.ID, "error", err)
	case payment.State == activities.PaymentApproved:
		return web.HeardApproved
	case payment.State == activities.PaymentProcessing:
		return web.HeardProcessing
	case payment.State == activities.PaymentDeclined && payment.Code != activities.CodeAuthentication:
		return web.HeardRefused
	}
	return web.HeardNothing
}

// showDead shows why a link opens nothing; for an outage, that it is one.
func (s *Server) showDead(w http.ResponseWriter, err error) {
	var dead deadLink
	if errors.As(err, &dead) {
		s.show(w, deadStatus[web.DeadLink(dead)], web.DeadLink(dead).Page(s.Company))
		return
	}
	if !errors.Is(err, context.Canceled) {
		s.Log.Error("page not shown", "error", err)
	}
	w.Header().Set("Retry-After", "5")
	s.show(w, http.StatusServiceUnavailable, web.NotNow(s.Company))
}

// show serves a page.
func (s *Server) show(w http.ResponseWriter, status int, page web.Page) {
	web.Headers(w.Header())
	w.WriteHeader(status)
	_, _ = w.Write(page.Render())
}

// showReturn is where a bank sends a customer of the checkout back to when the company
// has no page of its own for that.
func (s *Server) showReturn(w http.ResponseWriter, _ *http.Request) {
	s.show(w, http.StatusOK, web.BackFromBank(s.Company))
}

// showStylesheet serves the one style of the pages.
func showStylesheet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(web.Stylesheet())
}
