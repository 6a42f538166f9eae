package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/devstack/stack"
)

const (
	firstGateway  = "http://127.0.0.1:1"
	secondGateway = "http://127.0.0.1:2"
)

// frontDoor answers as the real one does; its fields are what a test changes.
type frontDoor struct {
	t *testing.T
	// streams are the event streams that are answered, one after the other.
	streams [][]string
	billing string
	refuse  string
}

func goodDoor(t *testing.T) *frontDoor {
	return &frontDoor{
		t:       t,
		streams: [][]string{{event("pending", "running"), event("completed", "done")}},
		billing: `{"balance_micros":25000000,"tier":{"number":1,"name":"Build Tier 1","gateways":[` +
			gatewayJSON(firstGateway, 2, 2) + `,` + gatewayJSON(secondGateway, 2, 2) + `]}}`,
	}
}

func event(status, state string) string {
	return fmt.Sprintf(`{"id":"p1","status":%q,"stages":[`+
		`{"name":"bank_approval","state":"done","started_at":"2026-10-03T10:00:00Z","ended_at":"2026-10-03T10:00:00.012Z"},`+
		`{"name":"tier","state":%q,"started_at":"2026-10-03T10:00:00.012Z","ended_at":null}]}`, status, state)
}

func gatewayJSON(address string, version, needed int) string {
	return fmt.Sprintf(`{"gateway":%q,"version":%d,"needed_version":%d,"acknowledged_at":"2026-10-03T10:00:00Z"}`,
		address, version, needed)
}

func (d *frontDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer checkout-key" {
		d.t.Errorf("%s %s without the key", r.Method, r.URL)
	}
	call := r.Method + " " + r.URL.Path
	if call == d.refuse {
		http.Error(w, `{"code":"card_declined"}`, http.StatusPaymentRequired)
		return
	}
	switch call {
	case "POST /v1/accounts":
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"id":"a1"}`)
	case "PUT /v1/accounts/a1/card":
		fmt.Fprint(w, `{}`)
	case "POST /v1/accounts/a1/purchases":
		var body struct {
			Cents int64 `json:"amount_cents"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Cents != 2500 {
			d.t.Errorf("bought %d cents, %v", body.Cents, err)
		}
		if r.Header.Get("Idempotency-Key") == "" || r.Header.Get("Prefer") != "wait=0" {
			d.t.Errorf("headers %v", r.Header)
		}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"id":"p1","status":"pending"}`)
	case "GET /v1/purchases/p1/events":
		d.stream(w)
	case "GET /v1/accounts/a1/billing":
		fmt.Fprint(w, d.billing)
	default:
		d.t.Errorf("unexpected %s", call)
	}
}

func (d *frontDoor) stream(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	if len(d.streams) == 0 {
		return
	}
	for _, event := range d.streams[0] {
		fmt.Fprintf(w, ": keep alive\nevent: purchase\ndata: %s\n\n", event)
	}
	d.streams = d.streams[1:]
}

func TestBuy(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*frontDoor)
		failed string
	}{
		{"everything as it should be", func(*frontDoor) {}, ""},
		{"a stream that breaks off", func(d *frontDoor) {
			d.streams = [][]string{{event("pending", "running")}, {event("completed", "done")}}
		}, ""},
		{"a declined purchase", func(d *frontDoor) {
			d.streams = [][]string{{`{"status":"declined","decline":{"code":"insufficient_funds","message":"Use another card."}}`}}
		}, "ended declined: Use another card. (insufficient_funds)"},
		{"a refused card", func(d *frontDoor) { d.refuse = "PUT /v1/accounts/a1/card" }, "add a card: the front door answers 402"},
		{"no event stream", func(d *frontDoor) { d.refuse = "GET /v1/purchases/p1/events" }, "follow the purchase: the front door answers 402"},
		{"a wrong balance", func(d *frontDoor) {
			d.billing = strings.Replace(d.billing, "25000000", "50000000", 1)
		}, "the balance is $50.00 and should be $25.00"},
		{"a wrong tier", func(d *frontDoor) {
			d.billing = strings.Replace(d.billing, `"number":1`, `"number":0`, 1)
		}, "the tier is 0"},
		{"a gateway behind", func(d *frontDoor) {
			d.billing = strings.Replace(d.billing, gatewayJSON(secondGateway, 2, 2), gatewayJSON(secondGateway, 1, 2), 1)
		}, "gateway " + secondGateway + " did not acknowledge"},
		{"a gateway nobody speaks of", func(d *frontDoor) {
			d.billing = strings.Replace(d.billing, `,`+gatewayJSON(secondGateway, 2, 2), "", 1)
		}, "gateway " + secondGateway + " did not acknowledge"},
	} {
		t.Run(c.name, func(t *testing.T) {
			door := goodDoor(t)
			c.change(door)
			out, err := buyAt(t, t.Context(), door)
			if c.failed == "" && err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if c.failed != "" && (err == nil || !strings.Contains(err.Error(), c.failed)) {
				t.Fatalf("got %v, want an error with %q", err, c.failed)
			}
		})
	}
}

func TestBuyShowsEachStageOnceAndTheOutcome(t *testing.T) {
	out, err := buyAt(t, t.Context(), goodDoor(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"bank approval  done", "took  12 ms", "tier           done", "balance        $25.00", "Build Tier 1",
		firstGateway + " acknowledged version 2", secondGateway + " acknowledged version 2",
	} {
		if strings.Count(out, want) != 1 {
			t.Errorf("%q is not there once in\n%s", want, out)
		}
	}
}

func TestBuyGivesUpAtItsBound(t *testing.T) {
	door := goodDoor(t)
	door.streams = nil
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := buyAt(t, ctx, door); err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
		t.Errorf("got %v, want the deadline", err)
	}
}

func buyAt(t *testing.T, ctx context.Context, door *frontDoor) (string, error) {
	t.Helper()
	server := httptest.NewServer(door)
	defer server.Close()
	var out strings.Builder
	err := buy(ctx, &out, newClient(stack.Env{
		stack.PaystageURL: server.URL, stack.RoleKey("checkout"): "checkout-key",
		stack.GatewayURLs: firstGateway + "," + secondGateway,
	}))
	return out.String(), err
}
