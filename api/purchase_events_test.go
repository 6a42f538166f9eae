package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// event is one server-sent event.
type event struct {
	id int64
	api.Purchase
}

// stream is a client that follows a purchase.
type stream struct {
	t *testing.T
	// events are those that arrived; it is closed when the stream has ended.
	events chan event
	// leave hangs up.
	leave context.CancelFunc
	// silences counts comments.
	silences int
}

func (f *front) follow(id string) *stream {
	f.t.Helper()
	ctx, leave := context.WithTimeout(f.t.Context(), patience)
	req, err := http.NewRequestWithContext(ctx, "GET", f.url+"/v1/purchases/"+id+"/events", nil)
	done(f.t, err)
	req.Header.Set("Authorization", "Bearer "+f.keys[models.RoleSupport])
	res, err := http.DefaultClient.Do(req)
	done(f.t, err)
	f.t.Cleanup(leave)
	if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || got != "text/event-stream" {
		f.t.Fatalf("answered %d %s", res.StatusCode, got)
	}
	s := &stream{t: f.t, events: make(chan event, 100), leave: leave}
	go s.read(res)
	return s
}

func (s *stream) read(res *http.Response) {
	defer close(s.events)
	defer res.Body.Close()
	var next event
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		switch field, value, found := strings.Cut(lines.Text(), ": "); field {
		case "id":
			next.id, _ = strconv.ParseInt(value, 10, 64) // a wrong one is 0, which is no revision
		case "data":
			if err := json.Unmarshal([]byte(value), &next.Purchase); err != nil {
				s.t.Errorf("event %s: %v", value, err)
			}
			s.events <- next
			next = event{}
		case "":
			if found {
				s.silences++
			}
		}
	}
}

// next waits for the next event.
func (s *stream) next() event {
	s.t.Helper()
	select {
	case e, more := <-s.events:
		if !more {
			s.t.Fatal("the stream ended early")
		}
		return e
	case <-time.After(patience):
		s.t.Fatal("no event")
	}
	return event{}
}

// ended waits for the end, before which nothing else may come.
func (s *stream) ended() {
	s.t.Helper()
	select {
	case e, more := <-s.events:
		if more {
			s.t.Errorf("one more event: %+v", e)
		}
	case <-time.After(patience):
		s.t.Error("the stream did not end")
	}
}

// following counts the requests that follow a purchase in this process.
func following() int {
	stacks := make([]byte, 8<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "purchaseStream).follow(")
}

func wantNobodyFollowing(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); following() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a request still follows a purchase for nobody")
		}
	}
}

// One event for each change, in order, until the purchase has ended.
func TestStreamShowsEachChangeOnce(t *testing.T) {
	f := open(t)
	p := f.buy(f.customer(), 2500)
	s := f.follow(p.ID)
	revision := int64(0)
	want := func(stages, status string) {
		t.Helper()
		e := s.next()
		if states(e.Purchase) != stages || e.Status != status || e.ID != p.ID || e.id <= revision {
			t.Errorf("event %d is %s %s, want %s %s", e.id, e.Status, states(e.Purchase), status, stages)
		}
		revision = e.id
	}
	want("waiting waiting waiting waiting", "pending")
	f.begin(p.ID)
	want("running waiting waiting waiting", "pending")
	f.bankSays(p.ID, ledger.BankAnswer{State: models.BankApproved, PaymentIntentID: "pi_1", CapturedCents: 2500})
	want("done running waiting waiting", "pending")
	f.invoice(p.ID)
	want("done done running waiting", "pending")
	f.credit(p.ID)
	want("done done done running", "pending")
	f.acknowledge(p.AccountID, gatewayA, 1)
	f.acknowledge(p.AccountID, gatewayB, 1)
	f.settle(p.ID)
	want("done done done done", "completed")
	s.ended()
	wantNobodyFollowing(t)
}

func TestStreamOfAnEndedPurchaseIsOneEvent(t *testing.T) {
	f := open(t)
	p := f.buy(f.customer(), 2500)
	f.complete(p)
	s := f.follow(p.ID)
	if e := s.next(); e.Status != "completed" {
		t.Errorf("it is %s", e.Status)
	}
	s.ended()
}

// A purchase becomes slow and overdue by the clock alone, and the stream says so.
func TestStreamTellsOfSlowAndOverdue(t *testing.T) {
	const soon = 2 * time.Second // time enough to follow it before
	f := open(t)
	p := f.buy(f.customer(), 2500)
	f.clock.advance(billing.SlowAfter - soon)
	s := f.follow(p.ID)
	if e := s.next(); e.Slow {
		t.Error("it is slow before its time")
	}
	if e := s.next(); !e.Slow || e.Overdue {
		t.Errorf("slow %v, overdue %v", e.Slow, e.Overdue)
	}
	s.leave()
	f.credited(p.ID, 2500)
	f.clock.advance(billing.OverdueAfter - soon)
	s = f.follow(p.ID)
	if e := s.next(); !e.Slow || e.Overdue {
		t.Errorf("slow %v, overdue %v", e.Slow, e.Overdue)
	}
	if e := s.next(); !e.Overdue {
		t.Error("it is not overdue in time")
	}
}

func TestClientThatLeavesIsNoticed(t *testing.T) {
	f := open(t)
	p := f.buy(f.customer(), 2500)
	var all []*stream
	for range 20 {
		s := f.follow(p.ID)
		s.next()
		all = append(all, s)
	}
	if following() != len(all) {
		t.Fatalf("%d follow", following())
	}
	for _, s := range all {
		s.leave()
	}
	wantNobodyFollowing(t)
}

// A front door that closes ends its streams; their clients come back to another.
func TestClosingEndsStreams(t *testing.T) {
	f := open(t)
	s := f.follow(f.buy(f.customer(), 2500).ID)
	s.next()
	f.close()
	s.ended()
	wantNobodyFollowing(t)
}

// When no more requests may wait, a stream ends rather than asking without pause.
func TestStreamEndsWhenTooManyWait(t *testing.T) {
	f := open(t)
	p := f.buy(f.customer(), 2500)
	f.server.Crowd(p.ID)
	s := f.follow(p.ID)
	s.next()
	s.ended()
	if s.silences > 0 {
		t.Errorf("it said %d times that nothing changed", s.silences)
	}
}
