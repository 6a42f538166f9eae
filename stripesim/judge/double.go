package judge

import (
	"sync"
	"testing"

	"github.com/paystage/paystage/stripesim/sim"
)

// Double starts a Stripe double for one test. What the product sends to it, what it
// answers and what its events carry must be as Stripe describes it, or the test
// fails. It is closed when the test ends, if the test has not closed it before.
func Double(t testing.TB, opts sim.Options) *sim.Server {
	t.Helper()
	return start(t, opts, true)
}

// AnswersOf starts a double whose answers and events alone are judged, for a test
// that sends what Stripe refuses.
func AnswersOf(t testing.TB, opts sim.Options) *sim.Server {
	t.Helper()
	return start(t, opts, false)
}

func start(t testing.TB, opts sim.Options, requests bool) *sim.Server {
	t.Helper()
	r := &report{t: t}
	opts.OnEvent = r.event
	opts.OnExchange = func(x sim.Exchange) { r.exchange(x, requests) }
	double, err := sim.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := double.Close(); err != nil {
			t.Error(err)
		}
		r.end()
	})
	return double
}

// report fails the test for what was found while it runs. A delivery may outlast
// its test, and a test that has ended can be told nothing more.
type report struct {
	mu    sync.Mutex
	t     testing.TB
	ended bool
}

func (r *report) exchange(x sim.Exchange, request bool) {
	if request {
		r.add("requests", x.Method+" "+x.Path+" "+x.Query+" "+x.Form, Request(x))
	}
	r.add("answers", x.Method+" "+x.Path+" "+string(x.Answer), Answer(x))
}

func (r *report) event(body []byte) { r.add("events", string(body), Event(body)) }

func (r *report) add(what, seen string, err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.t.Errorf("not as Stripe describes its %s: %v\n%s", what, err, seen)
	}
}

func (r *report) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}
