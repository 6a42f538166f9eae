package api_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// described is what /openapi.json says, as far as callers rely on it.
type described struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		Summary   string
		Security  []map[string][]string
		Responses map[string]struct {
			Content map[string]struct {
				Schema struct {
					Ref string `json:"$ref"`
				}
			}
		}
	}
	Components struct {
		Schemas map[string]struct {
			Properties map[string]json.RawMessage
			Required   []string
		}
	}
}

// errorsOf are the errors that each route can answer with, besides those of all
// (500, 503), of those that want a key (401, 403) and that take a body (400, 413, 415, 422).
var errorsOf = map[string][]int{
	"POST /v1/accounts":                                         {},
	"GET /v1/accounts/{id}/billing":                             {404},
	"PUT /v1/accounts/{id}/card":                                {404, 409},
	"DELETE /v1/accounts/{id}/card":                             {409},
	"POST /v1/accounts/{id}/purchases":                          {404, 409},
	"GET /v1/purchases/{id}":                                    {404},
	"GET /v1/purchases/{id}/events":                             {404},
	"GET /v1/accounts/{id}/invoices":                            {404, 422},
	"GET /v1/accounts/{id}/invoices/current":                    {404},
	"GET /v1/accounts/{id}/invoices/current/pdf":                {404},
	"GET /v1/invoices/{id}":                                     {404, 422},
	"POST /v1/invoices/{id}/pay":                                {404, 409},
	"POST /v1/support/invoices/{id}/void":                       {404, 409},
	"POST /v1/support/invoices/{id}/uncollectible":              {404, 409},
	"POST /v1/finance/monthly":                                  {404, 409},
	"GET /v1/finance/monthly":                                   {},
	"GET /v1/finance/monthly/{period}":                          {404, 422},
	"GET /v1/finance/monthly/{period}/report":                   {404, 422},
	"GET /v1/invoices/{id}/pdf":                                 {404},
	"GET /v1/finance/invoices.csv":                              {422},
	"POST /v1/accounts/{id}/deployments":                        {402, 404, 409},
	"GET /v1/accounts/{id}/deployments":                         {404},
	"DELETE /v1/deployments/{id}":                               {404},
	"POST /v1/accounts/{id}/jobs":                               {402, 404, 409},
	"GET /v1/accounts/{id}/costs":                               {404, 422},
	"GET /v1/accounts/{id}/as-of":                               {404, 422},
	"GET /v1/accounts/{id}/ledger":                              {404, 422},
	"POST /webhooks/stripe":                                     {},
	"POST /v1/support/tier-sync":                                {404, 409},
	"POST /v1/support/accounts/{id}/credits":                    {404, 409},
	"POST /v1/support/accounts/{id}/limit":                      {404, 409},
	"PUT /v1/accounts/{id}/balance-limit":                       {404},
	"GET /v1/accounts/{id}/admission":                           {404},
	"GET /v1/prices":                                            {},
	"POST /v1/usage":                                            {503},
	"POST /v1/support/accounts/{id}/details":                    {404, 409},
	"POST /v1/support/accounts/{id}/charge-rules":               {404},
	"GET /v1/support/accounts/{id}/details":                     {404},
	"GET /v1/support/alerts":                                    {},
	"POST /v1/support/alerts/{id}/resolve":                      {404},
	"GET /v1/support/accounts/{id}/audit":                       {404},
	"POST /v1/keys":                                             {},
	"GET /v1/keys":                                              {},
	"DELETE /v1/keys/{id}":                                      {404},
	"POST /v1/accounts/{id}/api-keys":                           {404, 409},
	"GET /v1/accounts/{id}/api-keys":                            {404},
	"DELETE /v1/accounts/{id}/api-keys/{key}":                   {404},
	"POST /v1/support/accounts/{id}/exceptions":                 {404, 409},
	"GET /v1/support/accounts/{id}/exceptions":                  {404},
	"POST /v1/support/accounts/{id}/exceptions/{exception}/end": {404},
	"GET /v1/accounts/{id}/tier/explain":                        {404},
	"GET /v1/support/accounts/{id}/authorizations":              {404},
	"POST /v1/support/authorizations/{id}/resend":               {404, 409},
	"POST /v1/support/authorizations/{id}/cancel":               {404, 409},
	"GET /v1/gateways":                                          {},
	"PUT /v1/accounts/{id}/auto-recharge":                       {404, 409},
	"POST /v1/accounts/{id}/auto-recharge/preview":              {404, 409},
}

// The description is valid, and lists every route with the errors that it answers.
func TestDescription(t *testing.T) {
	f := open(t)
	var api described
	f.send("GET", "/openapi.json", nil).into(200, &api)
	if !strings.HasPrefix(api.OpenAPI, "3.") {
		t.Errorf("it is OpenAPI %q", api.OpenAPI)
	}
	var paths []string
	for path, operations := range api.Paths {
		for method := range operations {
			paths = append(paths, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(paths)
	if want := slices.Sorted(maps.Keys(errorsOf)); !slices.Equal(paths, want) {
		t.Errorf("it lists\n  %v\nwant\n  %v", paths, want)
	}
	for route, errors := range errorsOf {
		method, path, _ := strings.Cut(route, " ")
		operation := api.Paths[path][strings.ToLower(method)]
		want := append([]int{500, 503}, errors...)
		if path != "/webhooks/stripe" {
			want = append(want, 401, 403)
			if len(operation.Security) != 1 {
				t.Errorf("%s does not say that it wants a key", route)
			}
		}
		if method == "POST" || method == "PUT" {
			want = append(want, 400, 413, 415, 422)
		}
		for _, status := range want {
			answer, listed := operation.Responses[strconv.Itoa(status)]
			if ref := answer.Content["application/problem+json"].Schema.Ref; !listed || ref != "#/components/schemas/Problem" {
				t.Errorf("%s answers %d, of which it says %+v", route, status, answer)
			}
		}
		if operation.Summary == "" {
			t.Errorf("%s has no summary", route)
		}
	}
	problem := api.Components.Schemas["Problem"]
	for _, field := range []string{"type", "title", "status", "code", "detail"} {
		if problem.Properties[field] == nil || !slices.Contains(problem.Required, field) {
			t.Errorf("a Problem has no %s", field)
		}
	}
	// Every route with a key is in the table of roles.
	for _, route := range routes {
		if _, listed := errorsOf[route.method+" "+route.path]; !listed {
			t.Errorf("%s %s is not described", route.method, route.path)
		}
	}
	if len(routes)+1 != len(errorsOf) {
		t.Errorf("%d routes have roles, %d are described", len(routes), len(errorsOf))
	}
}

func TestHealth(t *testing.T) {
	f := open(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		if answer := f.send("GET", path, nil); answer.status != 200 {
			t.Errorf("%s answers %d %s", path, answer.status, answer.body)
		}
	}
	page := f.send("GET", "/return?payment_intent=pi_1&payment_intent_client_secret=secret", nil)
	if page.status != 200 || !strings.Contains(string(page.body), "pay again") || page.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("/return answers %d %s", page.status, page.body)
	}
	f.store.Close()
	if answer := f.send("GET", "/healthz", nil); answer.status != 200 {
		t.Errorf("/healthz answers %d without a database: it would be restarted for nothing", answer.status)
	}
	f.send("GET", "/readyz", nil).refused(503, "database_unavailable")
}

// Unknown decline codes are counted (R44), and so is what waits.
func TestMetrics(t *testing.T) {
	f := open(t)
	account := f.customer()
	for code, known := range map[string]bool{"insufficient_funds": true, "brand_new_code": false, "brand_newer_code": false} {
		p := f.buy(account, 2500)
		f.begin(p.ID)
		f.bankSays(p.ID, ledger.BankAnswer{State: models.BankDeclined, DeclineCode: code, DeclineKnown: known})
	}
	f.credited(f.buy(account, 2500).ID, 2500)
	done(t, f.store.RaiseAlert(t.Context(), models.Alert{Kind: models.AlertBankUnknown, Subject: "s", Detail: "d", RaisedAt: f.clock.now()}))
	page := string(f.send("GET", "/metrics", nil).body)
	for _, line := range []string{
		"paystage_declines_unknown_code 2", "paystage_purchases_pending 1", "paystage_purchases_awaiting_gateways_accounts 1", "paystage_alerts_open 1",
		"paystage_outbox_messages " + strconv.FormatInt(f.count("outbox"), 10),
	} {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	f.store.Close()
	if answer := f.send("GET", "/metrics", nil); answer.status != 500 {
		t.Errorf("without a database it answers %d, as if all were well", answer.status)
	}
}
