package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/models"
)

const (
	openModel       = "open"
	proModel        = "pro"        // needs tier 2
	restrictedModel = "restricted" // needs an exception
	slowModel       = "slow"       // has 2 requests per minute of its own
	embedModel      = "embed"
)

const testCatalogue = `{
	"tiers": [
		{"number": 0, "name": "Limited", "from_micros": 0}, {"number": 1, "name": "Build Tier 1", "from_micros": 5000000},
		{"number": 2, "name": "Build Tier 2", "from_micros": 50000000}, {"number": 3, "name": "Build Tier 3", "from_micros": 100000000}],
	"models": [
		{"id": "open", "class": "llm", "minimum_tier": 1}, {"id": "pro", "class": "llm", "minimum_tier": 2},
		{"id": "restricted", "class": "llm", "minimum_tier": 1, "restricted": true},
		{"id": "slow", "class": "llm", "minimum_tier": 1, "rpm": 2}, {"id": "embed", "class": "embeddings", "minimum_tier": 1}]}`

// door is an admission over a store of one account with one key.
type door struct {
	*gateway.Admission
	clock time.Time
	key   string
	base  models.Entitlement
}

func newDoor(t testing.TB) *door {
	t.Helper()
	catalogue, err := gateway.ParseCatalogue([]byte(testCatalogue))
	if err != nil {
		t.Fatal(err)
	}
	store, err := gateway.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	hash, key := gateway.NewAPIKey("acct_1")
	d := &door{clock: noon, key: key, base: entitlement("acct_1", 1)}
	d.base.Keys = []models.KeyHash{hash}
	d.Admission = &gateway.Admission{
		Store: store, Catalogue: func() *gateway.Catalogue { return catalogue }, Limiter: gateway.NewLocal(),
		Now: func() time.Time { return d.clock }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	d.push(t, func(*models.Entitlement) {})
	return d
}

// push changes the entitlement and gives it the next version.
func (d *door) push(t testing.TB, change func(*models.Entitlement)) {
	t.Helper()
	e := d.base
	change(&e)
	if held, err := d.Store.Put(e); err != nil || held != e.Version {
		t.Fatalf("holds %d, %v", held, err)
	}
	d.base.Version++
}

// wants checks what a request to a model is answered.
func (d *door) wants(t testing.TB, what, model string, status int, code string) gateway.Decision {
	t.Helper()
	got := d.Admit(t.Context(), d.key, model)
	if got.Status != status || got.Code != code {
		t.Errorf("%s: %d %s, want %d %s", what, got.Status, got.Code, status, code)
	}
	return got
}

func limit(n int64) *int64 { return &n }

// Each row makes the failures of all the rows before it possible too, so the order
// of the checks is what is tested: the first one that fails is the answer.
func TestChecksAreMadeInTheirOrder(t *testing.T) {
	soon := noon.Add(time.Minute)
	type e = *models.Entitlement
	d := newDoor(t)
	for _, c := range []struct {
		name, model  string
		change       func(e)
		status       int
		code         string
		lastAdmitted bool
	}{
		{"model closed by an exception, tier too low, blocked, Limited, suspended", proModel, func(e e) {
			e.Suspended, e.Blocked, e.RechargingUntil, e.Tier.Number = true, true, &soon, 0
			e.Exceptions = []models.Exception{{Model: proModel, Access: models.AccessDeny}}
		}, 403, gateway.CodeRestricted, false},
		{"not suspended", proModel, func(e e) { e.Blocked, e.RechargingUntil, e.Tier.Number = true, &soon, 0 }, 403, gateway.CodeInsufficientTier, false},
		{"tier 1, recharging", proModel, func(e e) { e.Blocked, e.RechargingUntil = true, &soon }, 503, gateway.CodeRecharging, false},
		{"recharge over", proModel, func(e e) { e.Blocked, e.RechargingUntil = true, new(noon) }, 402, gateway.CodeLimitReached, false},
		{"not blocked, no such model", "none", func(e) {}, 404, gateway.CodeModelNotFound, false},
		{"closed by an exception", proModel, func(e e) { e.Exceptions = []models.Exception{{Model: proModel, Access: models.AccessDeny}} }, 403, gateway.CodeRestricted, false},
		{"restricted", restrictedModel, func(e) {}, 403, gateway.CodeRestricted, false},
		{"tier too low", proModel, func(e) {}, 403, gateway.CodeInsufficientTier, false},
		{"no requests at all", openModel, func(e e) { e.Exceptions = []models.Exception{{Class: models.ClassLLM, RPM: limit(0)}} }, 429, gateway.CodeRateLimited, false},
		{"admitted", openModel, func(e) {}, 200, "", true},
	} {
		d.push(t, c.change)
		got := d.wants(t, c.name, c.model, c.status, c.code)
		if got.Account != "acct_1" || got.Admitted() != c.lastAdmitted {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	for name, key := range map[string]string{
		"none": "", "another's": "psk_acct_2_" + strings.Repeat("0", 16) + "_" + strings.Repeat("0", 64), "cut": d.key[:len(d.key)-1],
		"longer": d.key + "0", "another secret": d.key[:len(d.key)-1] + "x", "long": "psk_" + strings.Repeat("a", 1000), "prefix": "psk_",
	} {
		if got := d.Admit(t.Context(), key, openModel); got.Code != gateway.CodeInvalidKey || got.Account != "" {
			t.Errorf("key %s: %+v", name, got)
		}
	}
}

// A key that a push leaves out is refused from the next request on, as are a
// suspension and a block.
func TestPushIsInForceOnTheNextRequest(t *testing.T) {
	d := newDoor(t)
	d.wants(t, "before", openModel, 200, "")
	d.push(t, func(e *models.Entitlement) { e.Suspended = true })
	d.wants(t, "suspended", openModel, 403, gateway.CodeRestricted)
	d.push(t, func(e *models.Entitlement) { e.Blocked = true })
	d.wants(t, "blocked", openModel, 402, gateway.CodeLimitReached)
	d.push(t, func(*models.Entitlement) {})
	d.wants(t, "restored", openModel, 200, "")
	d.push(t, func(e *models.Entitlement) { e.Keys = nil })
	d.wants(t, "revoked", openModel, 401, gateway.CodeInvalidKey)
}

// R55: 503 only until the time named, and then 402.
func TestR55RechargeInFlightIsBounded(t *testing.T) {
	d := newDoor(t)
	until := noon.Add(8 * time.Second)
	d.push(t, func(e *models.Entitlement) { e.Blocked, e.RechargingUntil = true, &until })
	for _, c := range []struct {
		at     time.Duration
		status int
		retry  time.Duration
	}{{0, 503, 5 * time.Second}, {6 * time.Second, 503, 2 * time.Second}, {8 * time.Second, 402, 0}} {
		d.clock = noon.Add(c.at)
		if got := d.Admit(t.Context(), d.key, openModel); got.Status != c.status || got.RetryAfter != c.retry {
			t.Errorf("after %s: %d, retry after %s", c.at, got.Status, got.RetryAfter)
		}
	}
}

// R15: exceptions open and close models and change limits, until their end.
func TestR15ExceptionsEnd(t *testing.T) {
	d := newDoor(t)
	end := noon.Add(time.Hour)
	d.push(t, func(e *models.Entitlement) {
		e.Exceptions = []models.Exception{
			{Model: proModel, Access: models.AccessAllow, Until: &end},
			{Model: restrictedModel, Access: models.AccessAllow, RPM: limit(3), Until: &end},
			{Model: slowModel, RPM: limit(50), Until: &end},
			{Class: models.ClassLLM, RPM: limit(70), Until: &end},
		}
	})
	for _, c := range []struct {
		model         string
		status, after int
		limit, then   int64
	}{
		{proModel, 200, 403, 70, 0}, {restrictedModel, 200, 403, 3, 0}, {slowModel, 200, 200, 50, 2}, {openModel, 200, 200, 70, 600},
		{embedModel, 200, 200, 3000, 3000},
	} {
		for at, want := range map[time.Time]struct {
			status int
			limit  int64
		}{end.Add(-time.Nanosecond): {c.status, c.limit}, end: {c.after, c.then}} {
			d.clock = at
			if got := d.Admit(t.Context(), d.key, c.model); got.Status != want.status || got.Rate.Limit != want.limit {
				t.Errorf("%s at %s: %d of %d, want %+v", c.model, at.Format(time.TimeOnly), got.Status, got.Rate.Limit, want)
			}
		}
	}
}

// A model with a limit of its own is counted apart from its class.
func TestModelsWithTheirOwnLimitAreCountedApart(t *testing.T) {
	d := newDoor(t)
	for _, status := range []int{200, 200, 429} {
		d.wants(t, "slow", slowModel, status, map[int]string{429: gateway.CodeRateLimited}[status])
	}
	if got := d.wants(t, "open", openModel, 200, ""); got.Rate.Remaining != 599 {
		t.Errorf("%d remain of the class", got.Rate.Remaining)
	}
	if got := d.wants(t, "embed", embedModel, 200, ""); got.Rate.Remaining != 2999 {
		t.Errorf("%d remain of embeddings", got.Rate.Remaining)
	}
}

type brokenLimiter struct{}

func (brokenLimiter) Take(context.Context, gateway.Bucket, int64, time.Time) (gateway.Taken, error) {
	return gateway.Taken{}, errors.New("nobody can count")
}

func TestLimiterThatFailsClosed(t *testing.T) {
	d := newDoor(t)
	d.Limiter = brokenLimiter{}
	if got := d.wants(t, "closed", openModel, 503, gateway.CodeLimiterDown); got.RetryAfter <= 0 {
		t.Error("it does not say when to come back")
	}
}

// ask sends a request through the middleware.
func (d *door) ask(t testing.TB, key, body string) (*http.Response, string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", d.ListModels)
	mux.Handle("POST /v1/chat/completions", d.Middleware(gateway.JSONModel(1000))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil || string(text) != body {
			t.Errorf("behind it the body is %q, %v", text, err)
		}
		_, _ = io.WriteString(w, r.Header.Get(gateway.HeaderAccount))
	})))
	method, path := "POST", "/v1/chat/completions"
	if body == "" {
		method, path = "GET", "/v1/models"
	}
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Paystage-Account", "acct_of_somebody_else")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req)
	return w.Result(), strings.TrimSpace(w.Body.String())
}

func TestMiddleware(t *testing.T) {
	d := newDoor(t)
	res, body := d.ask(t, d.key, `{"model":"open","stream":false}`)
	if res.StatusCode != 200 || body != "acct_1" {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	for name, want := range map[string]string{"RateLimit-Limit": "600", "RateLimit-Remaining": "599", "RateLimit-Reset": "1"} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	res, body = d.ask(t, "wrong", `no body is read for a key that is unknown`)
	wantProblem(t, res, body, 401, gateway.CodeInvalidKey)
	if res.Header.Get("WWW-Authenticate") == "" {
		t.Error("401 does not say how")
	}
	res, body = d.ask(t, d.key, `{"model":""}`)
	wantProblem(t, res, body, 400, gateway.CodeBodyInvalid)
	res, body = d.ask(t, d.key, `{"model":"`+strings.Repeat("x", 1000)+`"}`)
	wantProblem(t, res, body, 413, gateway.CodeBodyTooLarge)
	d.ask(t, d.key, `{"model":"slow"}`)
	d.ask(t, d.key, `{"model":"slow"}`)
	res, body = d.ask(t, d.key, `{"model":"slow"}`)
	wantProblem(t, res, body, 429, gateway.CodeRateLimited)
	for name, want := range map[string]string{"RateLimit-Limit": "2", "RateLimit-Remaining": "0", "RateLimit-Reset": "60", "Retry-After": "30"} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("429 with %s: %q, want %q", name, got, want)
		}
	}
}

// R14: the refusal names the tier needed, the one held, and how far the next one is.
func TestR14InsufficientTierSaysHowFar(t *testing.T) {
	d := newDoor(t)
	d.push(t, func(e *models.Entitlement) { e.LifetimeSpendMicros = 37_500_000 })
	res, body := d.ask(t, d.key, `{"model":"pro"}`)
	wantProblem(t, res, body, 403, gateway.CodeInsufficientTier)
	var p struct {
		Needed      gateway.TierStep `json:"needed_tier"`
		Held        gateway.TierStep `json:"held_tier"`
		Next        gateway.TierStep `json:"next_tier"`
		Missing     int64            `json:"missing_micros"`
		NextMissing int64            `json:"next_missing_micros"`
		Detail      string
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatal(err)
	}
	two := gateway.TierStep{Number: 2, Name: "Build Tier 2", FromMicros: 50_000_000}
	if p.Needed != two || p.Next != two || p.Held != (gateway.TierStep{Number: 1, Name: "Build Tier 1", FromMicros: 5_000_000}) {
		t.Errorf("%+v", p)
	}
	if p.Missing != 12_500_000 || p.NextMissing != 12_500_000 {
		t.Errorf("missing %d and %d", p.Missing, p.NextMissing)
	}
	if want := "The model pro needs Build Tier 2, from $50.00 of lifetime spend (at most $12.50 more). "; !strings.HasPrefix(p.Detail, want) {
		t.Errorf("%q", p.Detail)
	}
	d.push(t, func(e *models.Entitlement) { e.Suspended = true })
	res, body = d.ask(t, d.key, `{"model":"pro"}`)
	wantProblem(t, res, body, 403, gateway.CodeRestricted)
	if !strings.Contains(body, `"reason":"suspended"`) {
		t.Error(body)
	}
}

// R14: what is missing is worked out for the tier needed and for the next one, and
// who holds a tier has paid for it, whatever an older entitlement says.
func TestR14MissingIsToTheTierNeededAndToTheNext(t *testing.T) {
	for name, c := range map[string]struct {
		held          int
		spend         int64
		missing, next float64
	}{
		"Limited":                   {0, 0, 100, 5},
		"LimitedThatPaidALittle":    {0, 2_000_000, 98, 3},
		"Tier1":                     {1, 37_500_000, 62.5, 12.5},
		"Tier1OfAnOlderEntitlement": {1, 0, 95, 45},
		"Tier2ToTheMicroDollar":     {2, 99_999_999, 0.000001, 0.000001},
		"PaidForAlready":            {2, 100_000_000, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			answer := httptest.NewRecorder()
			newDoor(t).Refuse(answer, gateway.Decision{
				Status: 403, Code: gateway.CodeInsufficientTier, Held: models.Tier{Number: c.held}, Needed: 3, Spend: c.spend,
			})
			var p struct {
				Missing int64 `json:"missing_micros"`
				Next    int64 `json:"next_missing_micros"`
			}
			if err := json.Unmarshal(answer.Body.Bytes(), &p); err != nil {
				t.Fatal(err)
			}
			if p.Missing != int64(c.missing*1e6) || p.Next != int64(c.next*1e6) {
				t.Errorf("missing %d and %d, want $%v and $%v\n%s", p.Missing, p.Next, c.missing, c.next, answer.Body)
			}
		})
	}
}

// R14: the list has every model, those that are not available with the reason.
func TestR14ListShowsEveryModelAndWhyNot(t *testing.T) {
	d := newDoor(t)
	list := func() map[string]string {
		res, body := d.ask(t, d.key, "")
		var got struct {
			Data []struct {
				ID          string
				Available   bool
				Unavailable *struct{ Code, Detail string }
			}
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || res.StatusCode != 200 {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
		all := map[string]string{}
		for _, m := range got.Data {
			all[m.ID] = "available"
			if m.Unavailable != nil {
				all[m.ID] = m.Unavailable.Code
			}
			if m.Available != (m.Unavailable == nil) || m.Unavailable != nil && m.Unavailable.Detail == "" {
				t.Errorf("%+v", m)
			}
		}
		return all
	}
	want := map[string]string{
		openModel: "available", slowModel: "available", embedModel: "available",
		proModel: gateway.CodeInsufficientTier, restrictedModel: gateway.CodeRestricted,
	}
	got := list()
	for id, code := range want {
		if got[id] != code || len(got) != len(want) {
			t.Errorf("%s is %s, want %s", id, got[id], code)
		}
	}
	d.push(t, func(e *models.Entitlement) { e.Blocked = true })
	for id, code := range list() {
		if code != gateway.CodeLimitReached {
			t.Errorf("blocked: %s is %s", id, code)
		}
	}
	res, body := d.ask(t, "", "")
	wantProblem(t, res, body, 401, gateway.CodeInvalidKey)
}

func TestAdmitAllocatesNothing(t *testing.T) {
	d := newDoor(t)
	d.push(t, func(e *models.Entitlement) { e.Limits.LLM = 1_000_000 })
	d.wants(t, "warm", openModel, 200, "")
	if n := testing.AllocsPerRun(1000, func() { d.Admit(t.Context(), d.key, openModel) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The middleware adds the headers and nothing else: their values, as two pieces of
// memory.
func TestMiddlewareAllocatesTheHeadersAlone(t *testing.T) {
	d := newDoor(t)
	d.push(t, func(e *models.Entitlement) { e.Limits.LLM = 1_000_000 })
	handler := d.Middleware(func(*http.Request) (string, error) { return openModel, nil })(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	req := httptest.NewRequest("POST", "/", nil)
	req.Header.Set("Authorization", "Bearer "+d.key)
	w := httptest.NewRecorder()
	if n := testing.AllocsPerRun(1000, func() { handler.ServeHTTP(w, req) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}
