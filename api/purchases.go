package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/workflows"
)

const (
	// defaultWait and maxWait are how long a checkout waits for the bank without
	// and with a Prefer header.
	defaultWait = 10 * time.Second
	maxWait     = 60 * time.Second
	// afterApproval is how long a checkout then waits for the other stages, which
	// normally take milliseconds.
	afterApproval = 2 * time.Second
	// startTimeout bounds the attempt to start the workflow at once; after it the
	// outbox does it, within startWithin (F21).
	startTimeout = time.Second
	startWithin  = 3 * time.Second
)

type createPurchaseInput struct {
	AccountID      string `path:"id"`
	IdempotencyKey string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"255" pattern:"^[ -~]+$" patternDescription:"printable ASCII" doc:"One key for one purchase, for ever."`
	Prefer         string `header:"Prefer" doc:"wait=N: answer within N seconds, at most 60."`
	Body           struct {
		AmountCents int64 `json:"amount_cents" doc:"Whole cents; from 500." example:"2500"`
	}
}

// Resolve reads all the Prefer headers: several are one list (RFC 7240).
func (in *createPurchaseInput) Resolve(ctx huma.Context) []error {
	in.Prefer = allPreferences(ctx)
	return nil
}

type purchaseInput struct {
	ID string `path:"id"`
}

type purchaseOutput struct {
	Status int
	Body   Purchase
}

func (s *Server) purchaseRoutes(api huma.API) {
	readers := []models.Role{models.RoleCheckout, models.RoleSupport}
	route(s, api, huma.Operation{
		OperationID: "create-purchase", Method: http.MethodPost, Path: "/v1/accounts/{id}/purchases", Tags: []string{"Purchases"},
		Summary:       "Buy credits",
		Description:   "201 when the purchase has ended, 202 while it is pending.",
		DefaultStatus: http.StatusCreated,
		Responses:     map[string]*huma.Response{"202": {Description: "Pending"}},
		Errors:        []int{http.StatusNotFound, http.StatusConflict},
	}, []models.Role{models.RoleCheckout}, s.createPurchase)
	route(s, api, huma.Operation{
		OperationID: "get-purchase", Method: http.MethodGet, Path: "/v1/purchases/{id}", Tags: []string{"Purchases"},
		Summary: "See how far a purchase is", Errors: []int{http.StatusNotFound},
	}, readers, func(ctx context.Context, in *purchaseInput) (*purchaseOutput, error) {
		purchase, err := s.purchase(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		view, err := s.view(ctx, purchase)
		return &purchaseOutput{Status: http.StatusOK, Body: view}, err
	})
	route(s, api, huma.Operation{
		OperationID: "follow-purchase", Method: http.MethodGet, Path: "/v1/purchases/{id}/events", Tags: []string{"Purchases"},
		Summary: "Follow a purchase: the same object as server-sent events, one for each change, until it has ended",
		Responses: map[string]*huma.Response{"200": {
			Description: "Each event's data is a Purchase.", Content: map[string]*huma.MediaType{"text/event-stream": {}},
		}},
		Errors: []int{http.StatusNotFound},
	}, readers, s.followPurchase)
}

func (s *Server) purchase(ctx context.Context, id string) (models.Purchase, error) {
	if err := pathID("The purchase", id); err != nil {
		return models.Purchase{}, err
	}
	purchase, err := s.Store.Purchase(ctx, id)
	return purchase, named("The purchase", err)
}

// createPurchase stores the purchase, has it started, and waits a while for the
// bank. The same key is the same purchase, however often it is sent (R19).
func (s *Server) createPurchase(ctx context.Context, in *createPurchaseInput) (*purchaseOutput, error) {
	if err := pathID("The account", in.AccountID); err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	purchase, created, err := s.storePurchase(ctx, ledger.NewPurchase{
		ID: id, AccountID: in.AccountID, IdempotencyKey: in.IdempotencyKey, Origin: models.OriginCheckout,
		AmountCents: in.Body.AmountCents, At: s.Now(), StartWithin: startWithin,
	})
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, s.whyNoPurchase(ctx, in.AccountID)
	}
	if err != nil {
		return nil, err
	}
	if created {
		s.startNow(ctx, purchase.ID)
	}
	purchase = s.awaitDecision(ctx, purchase, waitOf(in.Prefer))
	view, err := s.view(ctx, purchase)
	status := http.StatusAccepted
	if purchase.Ended() {
		status = http.StatusCreated
	}
	return &purchaseOutput{Status: status, Body: view}, err
}

// storePurchase stores a purchase of an amount that the rules allow. For a key that
// is known they are not asked: what was accepted once stays accepted (R19).
func (s *Server) storePurchase(ctx context.Context, n ledger.NewPurchase) (models.Purchase, bool, error) {
	refusal := billing.CheckPurchaseAmount(n.AmountCents, s.MaxPurchaseCents)
	if refusal == nil {
		return s.Store.CreatePurchase(ctx, n)
	}
	purchase, err := s.Store.PurchaseOfKey(ctx, n)
	if errors.Is(err, ledger.ErrNotFound) {
		err = refusal
	}
	return purchase, false, err
}

// whyNoPurchase tells an account without a card from one that does not exist.
func (s *Server) whyNoPurchase(ctx context.Context, accountID string) error {
	if _, err := s.Store.Account(ctx, accountID); err != nil {
		return named("The account", err)
	}
	return problem(http.StatusConflict, "card_required",
		"The account has no card. Add one with PUT /v1/accounts/{id}/card, then buy.")
}

// startNow starts the workflow without waiting for the outbox. If Temporal does
// not answer the outbox has it, and the purchase is pending until then.
func (s *Server) startNow(ctx context.Context, purchaseID string) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := workflows.StartPurchase(ctx, s.Temporal, s.Queues, purchaseID); err != nil {
		s.Log.Warn("purchase left to the outbox", "purchase", purchaseID, "error", err)
	}
}

// awaitDecision waits until the purchase has ended or its customer must answer
// the bank; for what comes after the bank's approval only a moment. It answers
// the newest state that it saw.
func (s *Server) awaitDecision(ctx context.Context, p models.Purchase, wait time.Duration) models.Purchase {
	deadline := time.Now().Add(wait)
	for !p.Ended() && p.Bank != models.BankRequiresAction {
		if p.Bank == models.BankApproved {
			deadline = earlier(deadline, time.Now().Add(afterApproval))
		}
		waiting, cancel := context.WithDeadline(ctx, deadline)
		changed := s.watch.next(waiting, p.ID, p.Revision)
		cancel()
		newest, err := s.Store.Purchase(ctx, p.ID)
		if err == nil {
			p = newest
		}
		if !changed {
			break
		}
	}
	return p
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// waitOf reads wait=N of a Prefer header (RFC 7240). What it cannot read it
// leaves out, as that says.
func waitOf(prefer string) time.Duration {
	for preference := range strings.SplitSeq(prefer, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 32)
		if err == nil {
			return min(time.Duration(seconds)*time.Second, maxWait)
		}
	}
	return defaultWait
}
