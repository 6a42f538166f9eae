package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

func (s *Server) asOfRoutes(api huma.API) {
	readers := []models.Role{models.RoleSupport, models.RoleFinance}
	route(s, api, huma.Operation{
		OperationID: "get-as-of", Method: http.MethodGet, Path: "/v1/accounts/{id}/as-of", Tags: []string{"Support"},
		Summary: "See how an account stood at an instant, and why",
		Errors:  []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, readers, s.getAsOf)
	route(s, api, huma.Operation{
		OperationID: "list-ledger", Method: http.MethodGet, Path: "/v1/accounts/{id}/ledger", Tags: []string{"Support"},
		Summary: "List what moved the account's balances, newest first, with the grants that paid for it",
		Errors:  []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, readers, s.listLedger)
}

type asOfInput struct {
	ID string `path:"id"`
	At string `query:"at" required:"true" doc:"An instant of the past, with its zone." example:"2026-11-03T14:05:00-08:00"`
}

// AsOf is how an account stood at an instant, with the reasons.
type AsOf struct {
	AccountID           string     `json:"account_id"`
	At                  time.Time  `json:"at" doc:"By the clock of the database, when each change was written."`
	BalanceMicros       int64      `json:"balance_micros" doc:"Free plus purchased credits less accrued usage."`
	FreeMicros          int64      `json:"free_micros"`
	PurchasedMicros     int64      `json:"purchased_micros"`
	AccruedMicros       int64      `json:"accrued_micros"`
	PastDueMicros       int64      `json:"past_due_micros" doc:"What unpaid invoices demanded; not part of the balance."`
	LimitMicros         int64      `json:"limit_micros" doc:"By the tier and the terms of then, under the rules of today."`
	Tier                TierAsOf   `json:"tier"`
	Blocked             bool       `json:"blocked" doc:"Credits and limit were used up."`
	BlockedSince        *time.Time `json:"blocked_since" doc:"Since when the account might not use anything, for this or another reason; null if it might."`
	BlockedBy           string     `json:"blocked_by,omitempty" enum:"suspended,limited_tier,limit_reached"`
	Suspended           bool       `json:"suspended"`
	SuspendedSince      *time.Time `json:"suspended_since"`
	EntitlementVersion  int64      `json:"entitlement_version"`
	LifetimeSpendMicros int64      `json:"lifetime_spend_micros"`
	Payments            []Payment  `json:"payments" doc:"What made the lifetime spend, oldest first; at most 200."`
	PaymentCount        int64      `json:"payment_count"`
	Grants              []Credits  `json:"grants" doc:"Credits of which something was left, in the order in which they are used within a book; at most 200."`
	GrantCount          int64      `json:"grant_count"`
	Terms               *Terms     `json:"terms" doc:"What set the limit besides the tier; null if nothing had."`
}

// TierAsOf is a tier as it was.
type TierAsOf struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
}

// Payment is money that was paid.
type Payment struct {
	TransactionID       int64     `json:"transaction_id"`
	PurchaseID          *string   `json:"purchase_id,omitempty"`
	InvoiceID           *string   `json:"invoice_id,omitempty"`
	AmountMicros        int64     `json:"amount_micros"`
	LifetimeSpendMicros int64     `json:"lifetime_spend_micros" doc:"With this payment; it makes the tier."`
	At                  time.Time `json:"at"`
}

// Credits are credits that were given at once.
type Credits struct {
	TransactionID int64     `json:"transaction_id"`
	Book          string    `json:"book" enum:"free,purchased"`
	GrantedMicros int64     `json:"granted_micros"`
	LeftMicros    int64     `json:"left_micros"`
	At            time.Time `json:"at"`
}

// Terms are how far an account may go, as somebody set it.
type Terms struct {
	Plan                string    `json:"plan" enum:"build,scale,enterprise"`
	SupportLimitMicros  *int64    `json:"support_limit_micros"`
	CustomerLimitMicros *int64    `json:"customer_limit_micros"`
	ChangedBy           string    `json:"changed_by" enum:"customer,support"`
	Reason              *string   `json:"reason,omitempty"`
	ChangedAt           time.Time `json:"changed_at"`
}

type asOfOutput struct{ Body AsOf }

func (s *Server) getAsOf(ctx context.Context, in *asOfInput) (*asOfOutput, error) {
	at, err := time.Parse(time.RFC3339, in.At)
	if err != nil || at.After(s.Now()) || at.Year() < 2000 {
		return nil, problem(http.StatusUnprocessableEntity, "invalid_time",
			"at must be a time of the past with its zone, such as 2026-11-03T14:05:00-08:00. Write a plus in a URL as %2B.")
	}
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	v, err := s.Store.AsOf(ctx, account.ID, at)
	if err != nil {
		return nil, err
	}
	view := asOfView(v)
	view.AccountID, view.At = account.ID, at
	return &asOfOutput{Body: view}, nil
}

func asOfView(v models.AsOf) AsOf {
	e := v.Entitlement
	view := AsOf{
		BalanceMicros: v.FreeMicros + v.PurchasedMicros - v.AccruedMicros,
		FreeMicros:    v.FreeMicros, PurchasedMicros: v.PurchasedMicros, AccruedMicros: v.AccruedMicros, PastDueMicros: v.InvoicedMicros,
		Tier:    TierAsOf{Number: e.Tier, Name: billing.TierName(e.Tier)},
		Blocked: e.Blocked, BlockedSince: e.BlockedSince, BlockedBy: blockedBy(e), Suspended: e.Suspended, SuspendedSince: e.SuspendedSince,
		EntitlementVersion: e.Version, LifetimeSpendMicros: v.LifetimeSpendMicros,
		Payments: make([]Payment, len(v.Payments)), PaymentCount: v.PaymentCount,
		Grants: make([]Credits, len(v.Grants)), GrantCount: v.GrantCount,
	}
	for i, p := range v.Payments {
		view.Payments[i] = Payment(p)
	}
	for i, g := range v.Grants {
		view.Grants[i] = Credits{TransactionID: g.ID, Book: g.Book, GrantedMicros: g.GrantedMicros, LeftMicros: g.LeftMicros, At: g.At}
	}
	var support, customer *int64
	if t := v.Terms; t != nil {
		view.Terms = (*Terms)(t)
		support, customer = t.SupportLimitMicros, t.CustomerLimitMicros
	}
	view.LimitMicros = int64(billing.LimitUnder(e.Tier, support, customer))
	return view
}

// blockedBy is the first of the reasons for which an account may not use anything.
func blockedBy(e models.EntitlementAsOf) string {
	switch {
	case e.BlockedSince == nil:
		return ""
	case e.Suspended:
		return models.UsageSuspended
	case e.Tier == 0:
		return models.UsageLimitedTier
	}
	return models.UsageLimitReached
}

type ledgerInput struct {
	ID     string `path:"id"`
	Before int64  `query:"before" minimum:"0" doc:"The last id of a page, for the next one."`
}

// Transaction is one movement of value between an account's books.
type Transaction struct {
	ID         int64     `json:"id"`
	Kind       string    `json:"kind" enum:"purchase,free_credits,usage,deployments,creation,settlement,invoice,invoice_payment,invoice_void,invoice_loss"`
	Key        string    `json:"key" doc:"What it was posted for, once."`
	OccurredAt time.Time `json:"occurred_at"`
	RecordedAt time.Time `json:"recorded_at"`
	Entries    []Entry   `json:"entries" doc:"They sum to zero."`
}

// Entry is what one book gained or lost.
type Entry struct {
	Book         string `json:"book" enum:"free,purchased,accrued,invoiced,payments,promotions,revenue,losses"`
	AmountMicros int64  `json:"amount_micros" doc:"What the book gained."`
	GrantID      *int64 `json:"grant_id,omitempty" doc:"The transaction that gave the credits that are taken here."`
}

type ledgerOutput struct {
	Body struct {
		Transactions []Transaction `json:"transactions" doc:"At most 100."`
	}
}

func (s *Server) listLedger(ctx context.Context, in *ledgerInput) (*ledgerOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	lines, err := s.Store.LedgerLines(ctx, account.ID, in.Before)
	if err != nil {
		return nil, err
	}
	out := &ledgerOutput{}
	list := []Transaction{}
	for _, line := range lines {
		if len(list) == 0 || list[len(list)-1].ID != line.TransactionID {
			list = append(list, Transaction{
				ID: line.TransactionID, Kind: line.Kind, Key: line.IdempotencyKey, OccurredAt: line.OccurredAt, RecordedAt: line.RecordedAt,
			})
		}
		t := &list[len(list)-1]
		t.Entries = append(t.Entries, Entry{Book: line.Book, AmountMicros: line.AmountMicros, GrantID: line.GrantID})
	}
	out.Body.Transactions = list
	return out, nil
}
