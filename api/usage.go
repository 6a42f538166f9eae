package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

const (
	// maxUsageEvents bounds a batch, maxUsageBody its text.
	maxUsageEvents = 5_000
	maxUsageBody   = 8 << 20
	// maxPricings bounds how often a batch is priced anew because prices came in
	// meanwhile.
	maxPricings = 3
)

func (s *Server) usageRoutes(api huma.API) {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[UsageReport](), true, "UsageReport")
	route(s, api, huma.Operation{
		OperationID: "report-usage", Method: http.MethodPost, Path: "/v1/usage", Tags: []string{"Usage"},
		Summary:      "Report usage, up to 5,000 events at a time",
		Description:  "Each event counts once, by account and id, whatever is repeated. One that is rejected costs the others nothing.",
		MaxBodyBytes: maxUsageBody, SkipValidateBody: true, // each event answers for itself
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}},
		Errors:      []int{http.StatusServiceUnavailable},
	}, []models.Role{models.RoleUsage}, s.reportUsage)
}

// UsageReport is a batch of events.
type UsageReport struct {
	Events []UsageEvent `json:"events" minItems:"1" maxItems:"5000"`
}

// UsageEvent is one use of something.
type UsageEvent struct {
	ID        string    `json:"id" minLength:"1" maxLength:"200" doc:"Yours; the account and this id count once. Ids that grow with time, such as UUIDv7, are the fastest."`
	AccountID string    `json:"account_id"`
	SKU       string    `json:"sku" example:"meta-llama/llama-3.3-70b.input"`
	Quantity  int64     `json:"quantity" minimum:"0" doc:"Whole units of the SKU."`
	At        time.Time `json:"at" doc:"When it was used: at most 60 days ago, and not in the future."`
	Resource  string    `json:"resource,omitempty" maxLength:"200" doc:"What was used, for the cost report."`
}

type usageInput struct {
	RawBody []byte
}

// UsageAnswer says what became of a batch.
type UsageAnswer struct {
	Accepted   int             `json:"accepted"`
	Duplicates int             `json:"duplicates" doc:"Counted before."`
	Rejected   []RejectedUsage `json:"rejected"`
}

// RejectedUsage is an event that was not counted. Its id is free: the event may be
// sent again when what is wrong is mended.
type RejectedUsage struct {
	Index  int    `json:"index" doc:"The place in the batch, from 0."`
	ID     string `json:"id"`
	Reason string `json:"reason" example:"unknown_sku"`
	Detail string `json:"detail" doc:"What is wrong and what to do."`
}

type usageOutput struct{ Body UsageAnswer }

// reportUsage counts a batch of usage events (R11).
func (s *Server) reportUsage(ctx context.Context, in *usageInput) (*usageOutput, error) {
	reports, err := s.parseUsage(in.RawBody)
	if err != nil {
		return nil, err
	}
	for range maxPricings {
		out, err := s.countUsage(ctx, reports)
		if !errors.Is(err, ledger.ErrPricesChanged) {
			return out, err
		}
		if _, err := s.prices.read(ctx); err != nil {
			return nil, err
		}
	}
	return nil, problem(http.StatusServiceUnavailable, "prices_changing", "The prices are being changed. Send the batch again.")
}

// countUsage prices the reports and has those that are in order counted.
func (s *Server) countUsage(ctx context.Context, reports []usageReport) (*usageOutput, error) {
	list, err := s.prices.list(ctx)
	if err != nil {
		return nil, err
	}
	out := &usageOutput{Body: UsageAnswer{Rejected: []RejectedUsage{}}}
	now := s.Now()
	events := make([]models.UsageEvent, 0, len(reports))
	places := make([]int, 0, len(reports))
	for i := range reports {
		event, reason := reports[i].priced(list, now)
		if reason != "" {
			out.Body.reject(i, reports[i].id, reason)
			continue
		}
		events, places = append(events, event), append(places, i)
	}
	refused, err := s.usage.Record(ctx, events, list.Newest())
	if err != nil {
		return nil, err
	}
	for _, r := range refused {
		if r.Reason == models.UsageDuplicate {
			out.Body.Duplicates++
			continue
		}
		out.Body.reject(places[r.Place], events[r.Place].ID, r.Reason)
	}
	out.Body.Accepted = len(reports) - out.Body.Duplicates - len(out.Body.Rejected)
	slices.SortFunc(out.Body.Rejected, func(a, b RejectedUsage) int { return a.Index - b.Index })
	return out, nil
}

// priced is the event of a report, or the code of what is wrong with it.
func (r *usageReport) priced(list billing.PriceList, now time.Time) (models.UsageEvent, string) {
	if r.reason != "" {
		return models.UsageEvent{}, r.reason
	}
	price, reason := list.PriceUsage(r.sku, r.quantity, r.at, now)
	return models.UsageEvent{
		AccountID: r.account, ID: r.id, At: r.at, PriceID: price.ID, Quantity: r.quantity, Resource: r.resource,
	}, reason
}

func (a *UsageAnswer) reject(index int, id, reason string) {
	a.Rejected = append(a.Rejected, RejectedUsage{Index: index, ID: id[:min(len(id), maxUsageID)], Reason: reason, Detail: usageSentences[reason]})
}

// usageSentences are what to do about each reason.
var usageSentences = map[string]string{
	codeMalformedEvent:           "The event is no JSON object of an event's form. See /openapi.json.",
	codeInvalidEventID:           "id must be a text of 1 to 200 bytes without control characters.",
	codeInvalidQuantity:          "quantity must be a whole number, from 0.",
	codeInvalidEventTime:         "at must be a time with its zone, such as 2026-11-03T14:05:00Z.",
	codeInvalidResource:          "resource must be a text of at most 200 bytes without control characters.",
	billing.CodeUnknownSKU:       "The SKU has no price at that time. GET /v1/prices lists them.",
	billing.CodeNegativeQuantity: "quantity must not be negative. A correction is support's: grant credits.",
	billing.CodeUsageTooLarge:    "One event may cost at most $100,000. Check the quantity, or report it in parts.",
	billing.CodeUsageTooOld:      fmt.Sprintf("Usage can be reported for %d days.", int(billing.UsageOldest.Hours()/24)),
	billing.CodeUsageInTheFuture: "at lies in the future. Check the reporter's clock.",
	models.UsageUnknownAccount:   "There is no such account. Check account_id.",
	models.UsageLimitReached:     "The account had used up its credits and its limit. Buy credits or raise the limit, then send the event again.",
	models.UsageLimitedTier:      "The account has not bought any credits yet. Send the event again when it has.",
	models.UsageSuspended:        "The account was suspended. Send the event again when what it owes is paid.",
}
