package gateway_test

import (
	"encoding/json"
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

// server is a gateway on the wire.
type server struct {
	*httptest.Server
	store *gateway.Store
	keys  gateway.Keyring
	log   *strings.Builder
	// directory is the store's, now the gateway's clock.
	directory string
	now       time.Time
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{keys: ring(t, newKey), log: &strings.Builder{}, directory: t.TempDir(), now: noon}
	s.serve(t)
	return s
}

func (s *server) serve(t *testing.T) {
	t.Helper()
	s.store = open(t, s.directory)
	log := slog.New(slog.NewTextHandler(s.log, nil))
	s.Server = httptest.NewServer(gateway.NewHandler(s.store, s.keys, func() time.Time { return s.now }, log))
	t.Cleanup(s.Close)
}

// reopen restarts the gateway.
func (s *server) reopen(t *testing.T) {
	t.Helper()
	s.Close()
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	s.serve(t)
}

// send sends a request signed at the given time and returns what came back.
func (s *server) send(t *testing.T, method, path, body string, at time.Time) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	s.keys.Sign(req, []byte(body), at)
	return s.do(t, req)
}

func (s *server) do(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, strings.TrimSpace(string(body))
}

// wantProblem fails unless the answer is a problem with this status and code.
func wantProblem(t *testing.T, res *http.Response, body string, status int, code string) {
	t.Helper()
	var p struct {
		Type, Title, Detail, Code string
		Status                    int
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%d %q: %v", res.StatusCode, body, err)
	}
	if res.StatusCode != status || p.Status != status || p.Code != code {
		t.Errorf("got %d %s, want %d %s", res.StatusCode, body, status, code)
	}
	if p.Type == "" || p.Title == "" || p.Detail == "" || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("not a whole problem: %s %s", res.Header.Get("Content-Type"), body)
	}
}

func text(t *testing.T, e models.Entitlement) string {
	t.Helper()
	encoded, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

func TestPushIsAcknowledgedWithTheVersionHeld(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		push int64
		held string
	}{
		{2, `{"account_id":"acct_1","version":2}`},
		{1, `{"account_id":"acct_1","version":2}`},
		{2, `{"account_id":"acct_1","version":2}`},
		{7, `{"account_id":"acct_1","version":7}`},
	} {
		res, body := s.send(t, "PUT", "/entitlements/acct_1", text(t, entitlement("acct_1", c.push)), noon)
		if res.StatusCode != http.StatusOK || body != c.held {
			t.Errorf("pushed %d: got %d %s, want %s", c.push, res.StatusCode, body, c.held)
		}
	}
	res, body := s.send(t, "GET", "/entitlements/acct_1", "", noon)
	if want := text(t, entitlement("acct_1", 7)); res.StatusCode != http.StatusOK || body != want {
		t.Errorf("got %d %s, want %s", res.StatusCode, body, want)
	}
}

func TestAccountIdsNeedNotBePlain(t *testing.T) {
	s := newServer(t)
	res, body := s.send(t, "PUT", "/entitlements/a%2Fb", text(t, entitlement("a/b", 1)), noon)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("got %d %s", res.StatusCode, body)
	}
	holds(t, s.store, entitlement("a/b", 1))
}

func TestPushRefused(t *testing.T) {
	for name, body := range map[string]string{
		"not JSON":             "{",
		"nothing":              "",
		"an array":             "[]",
		"two values":           `{"account_id":"acct_1","version":1} {}`,
		"another account":      `{"account_id":"acct_2","version":1}`,
		"no account":           `{"version":1}`,
		"no version":           `{"account_id":"acct_1"}`,
		"version zero":         `{"account_id":"acct_1","version":0}`,
		"negative version":     `{"account_id":"acct_1","version":-1}`,
		"fractional version":   `{"account_id":"acct_1","version":1.5}`,
		"version past 64 bits": `{"account_id":"acct_1","version":9223372036854775808}`,
		"negative tier":        `{"account_id":"acct_1","version":1,"tier":{"number":-1}}`,
		"negative limit":       `{"account_id":"acct_1","version":1,"limits":{"llm_rpm":-1}}`,
		"not a time":           `{"account_id":"acct_1","version":1,"changed_at":"yesterday"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			res, answer := s.send(t, "PUT", "/entitlements/acct_1", body, noon)
			wantProblem(t, res, answer, http.StatusBadRequest, gateway.CodeInvalidEntitlement)
			for _, account := range []string{"acct_1", "acct_2", ""} {
				if _, found := s.store.Get(account); found {
					t.Error("it was kept")
				}
			}
		})
	}
}

func TestUnsignedRequestsLearnNothing(t *testing.T) {
	s := newServer(t)
	put(t, s.store, entitlement("acct_1", 1), 1)
	for _, c := range []struct{ method, path string }{
		{"PUT", "/entitlements/acct_1"},
		{"GET", "/entitlements/acct_1"},
		{"GET", "/entitlements/acct_unknown"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+c.path,
			strings.NewReader(text(t, entitlement("acct_1", 2))))
		if err != nil {
			t.Fatal(err)
		}
		res, body := s.do(t, req)
		wantProblem(t, res, body, http.StatusUnauthorized, gateway.CodeBadSignature)
	}
	for _, at := range []time.Time{noon.Add(-301 * time.Second), noon.Add(301 * time.Second)} {
		res, body := s.send(t, "PUT", "/entitlements/acct_1", text(t, entitlement("acct_1", 2)), at)
		wantProblem(t, res, body, http.StatusUnauthorized, gateway.CodeBadSignature)
	}
	holds(t, s.store, entitlement("acct_1", 1))
	if !strings.Contains(s.log.String(), "timestamp") {
		t.Errorf("the log does not say why: %s", s.log)
	}
}

func TestBodyIsBounded(t *testing.T) {
	s := newServer(t)
	e := entitlement("acct_1", 1)
	e.Models = []string{""}
	e.Models[0] = strings.Repeat("\x01", (64<<10-len(text(t, e)))/6)
	fits := text(t, e)
	fits += strings.Repeat(" ", 64<<10-len(fits))
	if res, body := s.send(t, "PUT", "/entitlements/acct_1", fits, noon); res.StatusCode != http.StatusOK {
		t.Errorf("64 KiB: got %d %s", res.StatusCode, body)
	}
	res, body := s.send(t, "PUT", "/entitlements/acct_1", fits+" ", noon)
	wantProblem(t, res, body, http.StatusRequestEntityTooLarge, gateway.CodeBodyTooLarge)
}

// The least bytes on the wire that become the most in the journal must still be
// read back at the next start.
func TestLargestEntitlementSurvivesARestart(t *testing.T) {
	directory := t.TempDir()
	e := entitlement("acct_1", 1)
	e.Models = []string{strings.Repeat("<", 64<<10)}
	put(t, open(t, directory), e, 1)
	holds(t, open(t, afterCrash(t, directory)), e)
}

func TestOtherPathsAndMethods(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/entitlements/acct_1", http.StatusNotFound, gateway.CodeNotFound},
		{"GET", "/entitlements/", http.StatusNotFound, gateway.CodeNotFound},
		{"GET", "/", http.StatusNotFound, gateway.CodeNotFound},
		{"DELETE", "/entitlements/acct_1", http.StatusMethodNotAllowed, gateway.CodeMethodNotAllowed},
		{"POST", "/healthz", http.StatusMethodNotAllowed, gateway.CodeMethodNotAllowed},
	} {
		res, body := s.send(t, c.method, c.path, "", noon)
		wantProblem(t, res, body, c.status, c.code)
		if c.status == http.StatusMethodNotAllowed && res.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow header", c.method, c.path)
		}
	}
}

func TestHealth(t *testing.T) {
	s := newServer(t)
	res, body := s.send(t, "GET", "/healthz", "", noon)
	if res.StatusCode != http.StatusOK || body != `{"status":"ok"}` {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	res, body = s.send(t, "GET", "/healthz", "", noon)
	wantProblem(t, res, body, http.StatusServiceUnavailable, gateway.CodeStoreFailed)
	res, body = s.send(t, "PUT", "/entitlements/acct_1", text(t, entitlement("acct_1", 1)), noon)
	wantProblem(t, res, body, http.StatusServiceUnavailable, gateway.CodeStoreFailed)
}

// A request that somebody caught does nothing when it is sent again, altered, to
// another path, or late.
func TestCaughtRequestsDoNothing(t *testing.T) {
	s := newServer(t)
	send := func(path, body string, header http.Header) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header.Clone()
		return s.do(t, req)
	}
	caught := func(path, body string) http.Header {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		s.keys.Sign(req, []byte(body), noon)
		return req.Header
	}
	second, third := text(t, entitlement("acct_1", 2)), text(t, entitlement("acct_1", 3))
	path, page := "/entitlements/acct_1", `{"entitlements":[`+second+`]}`
	single, many := caught(path, second), caught("/entitlements", page)
	if res, body := send(path, second, single); res.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	s.send(t, http.MethodPut, path, third, noon)

	s.now = noon.Add(300 * time.Second)
	for name, answer := range map[string]func() (*http.Response, string){
		"again":            func() (*http.Response, string) { return send(path, second, single) },
		"again, as a page": func() (*http.Response, string) { return send("/entitlements", page, many) },
	} {
		if res, body := answer(); res.StatusCode != http.StatusOK || !strings.Contains(body, `"version":3`) {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
		holds(t, s.store, entitlement("acct_1", 3))
	}
	fourth := text(t, entitlement("acct_1", 4))
	for name, answer := range map[string]func() (*http.Response, string){
		"altered":                func() (*http.Response, string) { return send(path, fourth, single) },
		"altered, as a page":     func() (*http.Response, string) { return send("/entitlements", `{"entitlements":[`+fourth+`]}`, many) },
		"to another path":        func() (*http.Response, string) { return send("/entitlements/acct_2", second, single) },
		"the page to an account": func() (*http.Response, string) { return send(path, page, many) },
		"late": func() (*http.Response, string) {
			s.now = noon.Add(301 * time.Second)
			defer func() { s.now = noon.Add(300 * time.Second) }()
			return send(path, second, single)
		},
	} {
		res, body := answer()
		if res.StatusCode != http.StatusUnauthorized || !strings.Contains(body, gateway.CodeBadSignature) {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
		holds(t, s.store, entitlement("acct_1", 3))
	}
}
