package sim

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// A delivery that failed is due again by the double's clock: not before, and as
// soon as that has moved so far.
func TestAdvanceTriesWebhooksAgain(t *testing.T) {
	var calls atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(hook.Close)
	s, err := New(Options{WebhookURL: hook.URL, WebhookSecret: "whsec_test", WebhookBackoff: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.transact(&call{}, func(c *call) { c.emit("customer.created", &customerObject{ID: "cus_1"}) })
	awaitRetries(t, s, 1)
	if err := s.Advance(59 * time.Minute); err != nil {
		t.Fatal(err)
	}
	awaitRetries(t, s, 1)
	if err := s.Advance(2 * time.Minute); err != nil {
		t.Fatal(err)
	}
	awaitRetries(t, s, 0)
	if err := s.WaitWebhooks(t.Context()); err != nil || calls.Load() != 2 {
		t.Errorf("%d attempts, %v", calls.Load(), err)
	}
}

func awaitRetries(t *testing.T, s *Server, want int) {
	t.Helper()
	waiting := func() int {
		s.webhooks.mu.Lock()
		defer s.webhooks.mu.Unlock()
		return len(s.webhooks.retries)
	}
	for deadline := time.Now().Add(10 * time.Second); waiting() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d deliveries wait to be tried again, want %d", waiting(), want)
		}
	}
}
