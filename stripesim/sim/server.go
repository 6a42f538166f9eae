package sim

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Server is a running double. Its methods may be called at any time from any
// goroutine; [Server.Close] ends it.
type Server struct {
	opts     Options
	mux      *http.ServeMux
	faults   faults
	paces    paces
	webhooks *webhooks
	requests requestLog

	mu sync.Mutex
	store
	running map[string]bool // idempotency keys of requests under way
	journal *journal

	timersChanged chan struct{}
	advancing     sync.Mutex // taken before mu
	closing       chan struct{}
	closeOnce     sync.Once
	background    sync.WaitGroup
}

// New starts a double: it reads and compacts the state file, if there is one,
// and takes up the deliveries that were not done.
func New(opts Options) (*Server, error) {
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("stripesim: %w", err)
	}
	s := &Server{
		opts: opts.withDefaults(), store: newStore(), running: map[string]bool{},
		timersChanged: make(chan struct{}, 1), closing: make(chan struct{}),
	}
	if opts.StateFile != "" {
		j, err := openJournal(opts.StateFile, &s.store)
		if err != nil {
			return nil, fmt.Errorf("stripesim: %w", err)
		}
		s.journal = j
	}
	s.webhooks = newWebhooks(s)
	s.mux = s.routes()
	s.mu.Lock()
	s.webhooks.send(s.undelivered())
	s.mu.Unlock()
	s.background.Add(1)
	go s.runTimers()
	return s, nil
}

func (s *Server) undelivered() []*eventObject {
	var waiting []*eventObject
	for _, id := range s.eventOrder {
		if s.events[id].PendingWebhooks > 0 {
			waiting = append(waiting, s.events[id])
		}
	}
	return waiting
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/", s.serveAPI)
	mux.HandleFunc("GET /authenticate/{page}", s.showAuthentication)
	mux.HandleFunc("POST /authenticate/{page}", s.takeAuthentication)
	s.routeControls(mux)
	s.routeConsole(mux)
	return mux
}

// ServeHTTP answers Stripe's API, the authentication pages and the controls.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close ends waiting answers, deliveries and timers, and closes the journal.
// Call it before the Close or Shutdown of the http server around it, which waits
// for answers that a fault withholds.
func (s *Server) Close() error {
	var err error
	s.closeOnce.Do(func() {
		close(s.closing)
		s.webhooks.close()
		s.background.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.journal != nil {
			err = s.journal.close()
			s.journal = nil
		}
	})
	return err
}

// now is the double's clock. Server.mu is held.
func (s *Server) now() time.Time { return s.opts.Now().Add(s.clockOffset) }

// Now gives the double's clock.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}
