package activities_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

func keys(t *testing.T, text string) gateway.Keyring {
	t.Helper()
	ring, err := gateway.ParseKeys(text)
	done(t, err)
	return ring
}

const signing = "k1:0123456789abcdef"

// push makes the activity that pushes to these gateways.
func (w *world) push(t *testing.T, all ...string) *activities.Gateways {
	return &activities.Gateways{Client: &http.Client{Timeout: 3 * time.Second}, Keys: keys(t, signing), Store: w.Ledger, All: only(all...), Wake: w.wake, Now: now}
}

// only is a configuration of these gateways.
func only(all ...string) func() []string { return func() []string { return all } }

// state is what the gateway is known to hold of the account.
func (w *world) state(t *testing.T, gateway string) models.GatewayState {
	t.Helper()
	states, err := w.GatewayStates(t.Context(), w.account.ID, []string{gateway})
	done(t, err)
	return states[0]
}

// realGateway is the gateway as it ships.
func realGateway(t *testing.T) (*gateway.Store, string) {
	t.Helper()
	store, err := gateway.Open(t.TempDir())
	done(t, err)
	t.Cleanup(func() { done(t, store.Close()) })
	web := httptest.NewServer(gateway.NewHandler(store, keys(t, signing), now, slog.New(slog.NewTextHandler(io.Discard, nil))))
	t.Cleanup(web.Close)
	return store, web.URL
}

func TestPushBringsTheNewestEntitlementToAGateway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, firstURL := realGateway(t)
	_, secondURL := realGateway(t)
	push := w.push(t, firstURL, secondURL)

	_, err := run(t, push.Push, activities.PushInput{AccountID: w.account.ID, Gateway: firstURL})
	done(t, err)
	if _, held := first.Get(w.account.ID); held || w.state(t, firstURL).AcknowledgedAt != nil {
		t.Error("version 0 was pushed")
	}

	ref := w.credits(t, firstURL, secondURL)
	_, err = run(t, push.Push, activities.PushInput{AccountID: w.account.ID, Gateway: firstURL})
	done(t, err)
	held, _ := first.Get(w.account.ID)
	same(t, "version", held.Version, 1)
	same(t, "tier", held.Tier, models.Tier{Number: 1, Name: "Build Tier 1"})
	same(t, "limit", held.Limits.LLM, 600)
	same(t, "acknowledged", w.state(t, firstURL).Version, 1)
	same(t, "told after one of two", w.messages(t)[ledger.MessageTierPropagated], 0)
	w.wakes.Store(0)
	_, err = run(t, push.Push, activities.PushInput{AccountID: w.account.ID, Gateway: secondURL})
	done(t, err)
	same(t, "wakes", w.wakes.Load(), 1)
	settled, err := run(t, w.books(firstURL).SettleTier, ref)
	done(t, err)
	same(t, "complete at the first gateway", settled.Complete, true)
}

// I10: a gateway that was told more before we were restored from a backup.
func TestI10PushToAGatewayThatIsAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store, url := realGateway(t)
	ref := w.credits(t, url)
	_, err := store.Put(models.Entitlement{AccountID: w.account.ID, Version: 41, Tier: models.Tier{Number: 5}})
	done(t, err)
	push := w.push(t, url)
	for _, want := range []int64{41, 42} {
		_, err = run(t, push.Push, activities.PushInput{AccountID: w.account.ID, Gateway: url})
		done(t, err)
		held, _ := store.Get(w.account.ID)
		same(t, "held", held.Version, want)
	}
	held, _ := store.Get(w.account.ID)
	same(t, "tier", held.Tier.Number, 1)
	settled, err := run(t, w.books(url).SettleTier, ref)
	done(t, err)
	same(t, "complete", settled.Complete, true)
}

func TestPushIsSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	verified := errors.New("nothing came")
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		verified = keys(t, signing).Verify(r, body, noon)
		var e models.Entitlement
		if err := json.Unmarshal(body, &e); err != nil || r.Method != http.MethodPut || r.URL.Path != "/behind/entitlements/"+w.account.ID {
			t.Errorf("%s %s, %v", r.Method, r.URL.Path, err)
		}
		_ = json.NewEncoder(answer).Encode(gateway.Held{AccountID: e.AccountID, Version: e.Version})
	}))
	t.Cleanup(server.Close)
	w.credits(t)
	behind := server.URL + "/behind"
	_, err := run(t, w.push(t, behind).Push, activities.PushInput{AccountID: w.account.ID, Gateway: behind})
	done(t, err)
	done(t, verified)
}

// A push to a gateway that has left the configuration would be tried for ever.
func TestPushToARetiredGatewayIsDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store, url := realGateway(t)
	w.credits(t)
	_, err := run(t, w.push(t, "http://another").Push, activities.PushInput{AccountID: w.account.ID, Gateway: url})
	done(t, err)
	if _, held := store.Get(w.account.ID); held {
		t.Error("it was pushed")
	}
}

// A gateway that does not hold the version says why in the account's states, and
// the push is an error, so that it is tried again.
func TestPushNotesWhyAGatewayDoesNotHoldIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.credits(t)
	says := func(status int, body string) http.HandlerFunc {
		return func(answer http.ResponseWriter, _ *http.Request) {
			answer.WriteHeader(status)
			_, _ = answer.Write([]byte(body))
		}
	}
	never := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		<-r.Context().Done()
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		why    string
	}{
		"OlderVersion":  {says(200, `{"version": 0}`), "holds version 0 after a push of 1"},
		"NoVersion":     {says(200, `{}`), "holds version 0 after a push of 1"},
		"Negative":      {says(200, `{"version": -3}`), "holds version -3"},
		"NotAVersion":   {says(200, `{"version": "1"}`), "names no version"},
		"BeyondReason":  {says(200, `{"version": 9223372036854775807}`), "version 9223372036854775807"},
		"Garbage":       {says(200, `<html>`), "names no version"},
		"Endless":       {says(200, strings.Repeat(" ", 65<<10)+`{"version": 1}`), "names no version"},
		"ServerError":   {says(500, `{"version": 1}`), "500"},
		"BadSignature":  {says(401, ``), "401"},
		"NoContent":     {says(204, ``), "204"},
		"NeverAnswers":  {never, "Client.Timeout"},
		"NotListening":  {nil, "refused"},
		"NotAnAddress":  {nil, "gateway address"},
		"ClosesAtOnce":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"Moved":         {func(a http.ResponseWriter, r *http.Request) { http.Redirect(a, r, "/", http.StatusFound) }, ""},
		"AnotherMethod": {says(405, `{"version": 1}`), "405"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			defer server.Close()
			url := server.URL
			switch name {
			case "NotListening":
				server.Close()
			case "NotAnAddress":
				url = "http://%zz"
			}
			wakes := w.wakes.Load()
			_, err := run(t, w.push(t, url).Push, activities.PushInput{AccountID: w.account.ID, Gateway: url})
			if err == nil {
				t.Fatal("no error")
			}
			held := w.state(t, url)
			if held.Version != 0 || held.AcknowledgedAt != nil || held.LastError == nil || !strings.Contains(*held.LastError, c.why) {
				t.Errorf("noted %+v with error %q", held, deref(held.LastError))
			}
			same(t, "wakes", w.wakes.Load(), wakes)
		})
	}
	entitlement, err := w.Entitlement(t.Context(), w.account.ID)
	done(t, err)
	same(t, "our version after all that", entitlement.Version, 1)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func TestGatewayClientIsBounded(t *testing.T) {
	t.Parallel()
	if activities.NewGatewayClient().Timeout <= 0 {
		t.Error("a push may take for ever")
	}
}
