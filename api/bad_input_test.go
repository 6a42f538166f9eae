package api_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/paystage/paystage/models"
)

// Every purchase that cannot be made is refused with a code that stays, a sentence
// that helps, and nothing written.
func TestBadPurchases(t *testing.T) {
	f := open(t)
	customer, cardless := f.customer(), f.account()
	f.buy(customer, 2500)
	before, starts := f.snapshot(), f.starts()
	path := func(account string) string { return "/v1/accounts/" + account + "/purchases" }
	const good = `{"amount_cents": 2500}`
	for _, c := range []struct {
		name, account, body string
		headers             []header
		status              int
		code                string
	}{
		{name: "under $5.00", body: `{"amount_cents": 499}`, status: 422, code: "amount_too_small"},
		{name: "one cent", body: `{"amount_cents": 1}`, status: 422, code: "amount_too_small"},
		{name: "zero", body: `{"amount_cents": 0}`, status: 422, code: "invalid_amount"},
		{name: "negative", body: `{"amount_cents": -2500}`, status: 422, code: "invalid_amount"},
		{name: "over the maximum", body: `{"amount_cents": 1000001}`, status: 422, code: "amount_too_large"},
		{name: "the largest int64", body: `{"amount_cents": 9223372036854775807}`, status: 422, code: "amount_too_large"},
		{name: "over int64", body: `{"amount_cents": 9223372036854775808}`, status: 422, code: "invalid_amount"},
		{name: "huge", body: `{"amount_cents": 1e30}`, status: 422, code: "invalid_amount"},
		{name: "over float64", body: `{"amount_cents": 1e400}`, status: 400, code: "malformed_request"},
		{name: "fractional", body: `{"amount_cents": 2500.5}`, status: 422, code: "invalid_amount"},
		{name: "25.5", body: `{"amount_cents": 25.5}`, status: 422, code: "invalid_amount"},
		{name: "dollars in a string", body: `{"amount_cents": "2500"}`, status: 422, code: "invalid_amount"},
		{name: "null", body: `{"amount_cents": null}`, status: 422, code: "invalid_amount"},
		{name: "true", body: `{"amount_cents": true}`, status: 422, code: "invalid_amount"},
		{name: "an object", body: `{"amount_cents": {"cents": 2500}}`, status: 422, code: "invalid_amount"},
		{name: "NaN", body: `{"amount_cents": NaN}`, status: 400, code: "malformed_request"},
		{name: "missing", body: `{}`, status: 422, code: "invalid_amount"},
		{name: "by another name", body: `{"amount": 2500}`, status: 422, code: "invalid_amount"},

		{name: "unknown account", account: uuid.NewString(), body: good, status: 404, code: "not_found"},
		{name: "account id that is no uuid", account: "acct-1", body: good, status: 404, code: "not_found"},
		{name: "account id in braces", account: "%7B" + customer + "%7D", body: good, status: 404, code: "not_found"},
		{name: "account id of zero bytes", account: "%00", body: good, status: 404, code: "not_found"},
		{name: "no card", account: cardless, body: good, status: 409, code: "card_required"},

		{name: "malformed JSON", body: `{"amount_cents": 2500`, status: 400, code: "malformed_request"},
		{name: "two objects", body: good + good, status: 400, code: "malformed_request"},
		{name: "no JSON", body: `amount_cents=2500`, status: 400, code: "malformed_request"},
		{name: "empty body", body: "", status: 400, code: "malformed_request"},
		{name: "an array", body: `[2500]`, status: 422, code: "invalid_request"},
		{name: "null body", body: `null`, status: 422, code: "invalid_request"},
		{name: "a number", body: `2500`, status: 422, code: "invalid_request"},
		{name: "unknown field", body: `{"amount_cents": 2500, "currency": "eur"}`, status: 422, code: "invalid_request"},
		{name: "over-long body", body: `{"amount_cents": 2500` + strings.Repeat(" ", 64<<10) + `}`, status: 413, code: "body_too_large"},
		{name: "over-long string", body: `{"amount_cents": 2500, "note": "` + strings.Repeat("a", 1<<20) + `"}`, status: 413, code: "body_too_large"},

		{name: "text", body: good, headers: []header{{"Content-Type", "text/plain"}}, status: 415, code: "unsupported_media_type"},
		{name: "a form", body: good, headers: []header{{"Content-Type", "application/x-www-form-urlencoded"}}, status: 415, code: "unsupported_media_type"},
		{name: "no media type", body: good, headers: []header{{"Content-Type", "?"}}, status: 415, code: "unsupported_media_type"},

		{name: "no key", body: good, headers: []header{idempotencyKey("")}, status: 422, code: "idempotency_key_required"},
		{name: "blank key", body: good, headers: []header{idempotencyKey("   ")}, status: 422, code: "idempotency_key_required"},
		{name: "over-long key", body: good, headers: []header{idempotencyKey(strings.Repeat("k", 256))}, status: 422, code: "idempotency_key_required"},
		{name: "key that is no text", body: good, headers: []header{idempotencyKey("k\xff\xfe")}, status: 422, code: "idempotency_key_required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.t = t
			account := c.account
			if account == "" {
				account = customer
			}
			headers := append([]header{idempotencyKey("bad-" + uuid.NewString())}, c.headers...)
			f.call(models.RoleCheckout, "POST", path(account), c.body, headers...).refused(c.status, c.code)
			f.unchanged(before)
		})
	}
	t.Run("header left out", func(t *testing.T) {
		f.t = t
		f.call(models.RoleCheckout, "POST", path(customer), good).refused(422, "idempotency_key_required")
	})
	f.t = t
	if f.starts() != starts {
		t.Error("a workflow was started for a purchase that was refused")
	}
	for entry := range strings.Lines(f.log.String()) {
		if strings.Contains(entry, "level=ERROR") || strings.Contains(entry, "level=WARN") {
			t.Errorf("a caller's mistake is our trouble: %s", entry)
		}
	}
}

// The values that a caller sent are not sent back: they may be personal (I9).
func TestProblemsDoNotRepeatWhatWasSent(t *testing.T) {
	f := open(t)
	answer := f.call(models.RoleCheckout, "POST", "/v1/accounts", object{"email": email, "name": name, "territory": "Springfield"})
	p := answer.refused(422, "invalid_request")
	if text := string(answer.body); strings.Contains(text, email) || strings.Contains(text, "Springfield") {
		t.Errorf("it says %s", text)
	}
	if len(p.Errors) != 1 || p.Errors[0].Location != "body.territory" {
		t.Errorf("the errors are %+v", p.Errors)
	}
}

func TestBadAccounts(t *testing.T) {
	f := open(t)
	before := f.snapshot()
	for name, c := range map[string]struct {
		change object
		code   string
	}{
		"no email":            {object{"email": ""}, "invalid_email"},
		"no address":          {object{"email": "ada"}, "invalid_email"},
		"two addresses":       {object{"email": "a@example.com, b@example.com"}, "invalid_email"},
		"with a display name": {object{"email": "Ada <ada@example.com>"}, "invalid_email"},
		"a line break":        {object{"email": "ada@example.com\r\nBcc: all@example.com"}, "invalid_email"},
		"over-long email":     {object{"email": strings.Repeat("a", 320) + "@example.com"}, "invalid_request"},
		"quoted at sign":      {object{"email": `"a@b"@example.com`}, "invalid_email"},
		"zero byte in email":  {object{"email": "a\x00@example.com"}, "invalid_text"},
		"blank name":          {object{"name": "   "}, "invalid_name"},
		"zero byte in name":   {object{"name": "A\x00da"}, "invalid_text"},
		"over-long name":      {object{"name": strings.Repeat("a", 201)}, "invalid_request"},
		"small letters":       {object{"territory": "us"}, "invalid_request"},
		"a whole country":     {object{"territory": "USA"}, "invalid_request"},
		"email of a number":   {object{"email": 5}, "invalid_request"},
		"unknown field":       {object{"balance": 5}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			body := object{"email": email, "name": name, "territory": "US"}
			for field, value := range c.change {
				body[field] = value
			}
			f.call(models.RoleCheckout, "POST", "/v1/accounts", body).refused(422, c.code)
			f.unchanged(before)
		})
	}
}

// Ids that name nothing are not found, whatever they look like.
func TestUnknownIDs(t *testing.T) {
	f := open(t)
	before := f.snapshot()
	for _, id := range []string{uuid.NewString(), "1", "null", "%00", "..%2f..", "%FF%FE", strings.Repeat("a", 4000)} {
		for _, c := range []struct {
			role         models.Role
			method, path string
			body         any
		}{
			{models.RoleCheckout, "GET", "/v1/accounts/" + id + "/billing", nil},
			{models.RoleCheckout, "PUT", "/v1/accounts/" + id + "/card", cardBody("pm_card_visa")},
			{models.RoleCheckout, "GET", "/v1/accounts/" + id + "/invoices", nil},
			{models.RoleCheckout, "GET", "/v1/invoices/" + id, nil},
			{models.RoleFinance, "GET", "/v1/invoices/" + id + "/pdf", nil},
			{models.RoleFinance, "GET", "/v1/accounts/" + id + "/invoices/current", nil},
			{models.RoleFinance, "GET", "/v1/accounts/" + id + "/invoices/current/pdf", nil},
			{models.RoleCheckout, "GET", "/v1/purchases/" + id, nil},
			{models.RoleCheckout, "GET", "/v1/purchases/" + id + "/events", nil},
			{models.RoleSupport, "GET", "/v1/support/accounts/" + id + "/audit", nil},
			{models.RoleSupport, "POST", "/v1/support/accounts/" + id + "/credits", object{"amount_cents": 500, "reason": "sorry"}},
			{models.RoleAdmin, "DELETE", "/v1/keys/" + id, nil},
		} {
			t.Run(c.method+" "+c.path[:min(len(c.path), 60)], func(t *testing.T) {
				f.t = t
				f.call(c.role, c.method, c.path, c.body, idempotencyKey("k")).refused(404, "not_found")
			})
		}
	}
	f.t = t
	f.call(models.RoleCheckout, "GET", "/v2/everything", nil).refused(404, "no_such_route")
	f.call(models.RoleCheckout, "POST", "/", nil).refused(404, "no_such_route")
	f.unchanged(before)
}

// A route that takes other methods says which.
func TestMethodThatARouteDoesNotTake(t *testing.T) {
	f := open(t)
	id := uuid.NewString()
	for _, c := range []struct{ method, path, allow string }{
		{"DELETE", "/v1/accounts", "POST"},
		{"GET", "/v1/accounts/" + id + "/purchases", "POST"},
		{"POST", "/v1/accounts/" + id + "/card", "PUT, DELETE"},
		{"PATCH", "/v1/keys", "GET, HEAD, POST"},
		{"OPTIONS", "/v1/purchases/" + id, "GET, HEAD"},
		{"GET", "/webhooks/stripe", "POST"},
		{"PUT", "/healthz", "GET, HEAD"},
		{"POST", "/openapi.json", "GET, HEAD"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			f.t = t
			answer := f.send(c.method, c.path, nil)
			if p := answer.refused(405, "method_not_allowed"); !strings.Contains(p.Detail, c.allow) {
				t.Errorf("it does not say which: %s", p.Detail)
			}
			if got := answer.header.Get("Allow"); got != c.allow {
				t.Errorf("Allow: %s, want %s", got, c.allow)
			}
		})
	}
}
