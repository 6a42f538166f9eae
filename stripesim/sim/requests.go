package sim

import (
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// maxRequests bounds the log of requests; the oldest go first.
const maxRequests = 10_000

// Request is one request to the API, for tests to look at.
type Request struct {
	ID             string    `json:"id"`
	Method         string    `json:"method"`
	Path           string    `json:"path"`
	IdempotencyKey string    `json:"idempotency_key"`
	Status         int       `json:"status"` // zero when the connection was cut before the effect
	Replayed       bool      `json:"replayed"`
	Fault          FaultKind `json:"fault,omitempty"`
	At             time.Time `json:"at"` // by the machine's clock
}

type requestLog struct {
	mu     sync.Mutex
	latest []Request
}

func (l *requestLog) add(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.latest) >= 2*maxRequests {
		l.latest = slices.Clone(l.latest[maxRequests:])
	}
	l.latest = append(l.latest, r)
}

// Requests gives the latest requests that were answered, oldest first, at most 10,000.
func (s *Server) Requests() []Request {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	latest := s.requests.latest
	return slices.Clone(latest[max(0, len(latest)-maxRequests):])
}

// Exchange is one request to the API and its answer, as they are on the wire.
type Exchange struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Query  string          `json:"query,omitempty"`
	Form   string          `json:"form,omitempty"`
	Status int             `json:"status"` // zero when the connection was cut before the effect
	Answer json.RawMessage `json:"answer,omitempty"`
}

// TranscriptLine is one line of what the program writes down: an exchange, or an
// event.
type TranscriptLine struct {
	Exchange *Exchange       `json:"exchange,omitempty"`
	Event    json.RawMessage `json:"event,omitempty"`
}

func (x *exchange) seen() Exchange {
	return Exchange{Method: x.method, Path: x.path, Query: x.query, Form: x.form, Status: x.status, Answer: x.body}
}
