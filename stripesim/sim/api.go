package sim

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// exchange is one request to the API and its answer.
type exchange struct {
	requestID string
	method    string
	path      string
	key       string // idempotency key of a POST
	base      string
	route     *route
	id        string
	params    params
	query     string // as they were sent
	form      string

	status   int
	body     []byte
	original string    // request id of the first answer, when this one repeats it
	cut      bool      // no answer; the connection ends
	fault    FaultKind // that hit it
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	x := &exchange{requestID: newID("req_", 14), method: r.Method, path: r.URL.Path, base: s.baseURL(r)}
	if r.Method == http.MethodPost {
		x.key = r.Header.Get("Idempotency-Key")
	}
	form, whole := readForm(r)
	if !whole { // there was no request, so there is nothing to answer, to note or to judge
		cutConnection(w)
		return
	}
	x.form = form
	if refused := s.admit(r, x); refused != nil {
		s.refuse(x, refused)
	} else {
		s.answer(r.Context(), x)
	}
	s.requests.add(Request{
		ID: x.requestID, Method: x.method, Path: x.path, IdempotencyKey: x.key, Status: x.status,
		Replayed: x.original != "", Fault: x.fault, At: s.opts.Now(),
	})
	if s.opts.OnExchange != nil {
		s.opts.OnExchange(x.seen())
	}
	if x.cut {
		cutConnection(w)
		return
	}
	x.write(w)
}

// baseURL is where the caller's browser finds the authentication pages.
func (s *Server) baseURL(r *http.Request) string {
	if s.opts.URL != "" {
		return s.opts.URL
	}
	return "http://" + r.Host
}

// admit checks all that needs no state: key, version, route, parameters.
func (s *Server) admit(r *http.Request, x *exchange) *refusal {
	if refused := s.authenticateCaller(r); refused != nil {
		return refused
	}
	var found bool
	if x.route, x.id, found = findRoute(x.method, x.path); !found {
		return notModelled("%s %s", x.method, x.path)
	}
	if version := r.Header.Get("Stripe-Version"); version != "" && version != apiVersion {
		return notModelled("API version %s, only %s", version, apiVersion)
	}
	if account := r.Header.Get("Stripe-Account"); account != "" {
		return notModelled("connected accounts")
	}
	var refused *refusal
	x.query = r.URL.RawQuery
	if len(x.form) > maxBodyBytes {
		return invalidParam("", "", "The request body is larger than %d bytes", maxBodyBytes)
	}
	if x.params, refused = readParams(x.query, x.form); refused != nil {
		return refused
	}
	return x.params.check(x.route)
}

func (s *Server) authenticateCaller(r *http.Request) *refusal {
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		key, _, _ = r.BasicAuth()
	}
	switch {
	case key == "":
		return unauthorized("You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details, or we can help at https://support.stripe.com/.")
	case s.opts.SecretKey == "" && strings.HasPrefix(key, "sk_test_"),
		s.opts.SecretKey != "" && subtle.ConstantTimeCompare([]byte(key), []byte(s.opts.SecretKey)) == 1:
		return nil
	default:
		return unauthorized("Invalid API Key provided: " + strings.Repeat("*", 8) + key[max(0, len(key)-4):])
	}
}

// answer runs an admitted request under its idempotency key and its fault.
func (s *Server) answer(ctx context.Context, x *exchange) {
	latency, admitted := s.paces.take(x.method, x.path)
	if !admitted {
		s.refuse(x, rateLimited())
		return
	}
	var kept *keptAnswer
	if x.key != "" {
		var refused *refusal
		if kept, refused = s.reserve(x); refused != nil {
			s.refuse(x, refused)
			return
		}
	}
	fault := s.faults.take(x.method, x.path, kept != nil)
	x.fault = fault.Kind
	if kept != nil {
		x.status, x.body, x.original = kept.Status, kept.Body, kept.RequestID
	}
	switch fault.Kind {
	case FaultRateLimit:
		s.release(x.key)
		s.refuse(x, rateLimited())
		x.original = ""
		return
	case FaultCutBefore:
		s.release(x.key)
		x.cut = true
		return
	case FaultSlow:
		s.wait(ctx, fault.Duration)
	}
	if latency > 0 {
		s.wait(ctx, latency)
	}
	if kept == nil {
		s.execute(x)
	}
	switch fault.Kind {
	case FaultTimeoutAfter:
		if fault.Duration == 0 {
			fault.Duration = longestWithheld
		}
		s.wait(ctx, fault.Duration)
		x.cut = true
	case FaultCutAfter:
		x.cut = true
	}
}

// execute runs the endpoint and keeps its answer in the same transaction.
func (s *Server) execute(x *exchange) {
	c := &call{base: x.base, id: x.id, params: x.params, origin: origin{RequestID: text(x.requestID), Key: text(x.key)}}
	s.transact(c, func(c *call) {
		keep := true
		if x.fault == FaultErrorBefore {
			s.refuse(x, serverError(x.requestID))
		} else {
			keep = s.run(x, c)
		}
		if x.key == "" {
			return
		}
		delete(s.running, x.key)
		if keep {
			c.saveKey(&keptAnswer{
				Key: x.key, Path: x.path, Params: hashParams(x.params), RequestID: x.requestID,
				Status: x.status, Body: x.body, Created: c.now.Unix(),
			})
		}
	})
}

// run has the endpoint answer, and tells whether the answer is to be kept.
func (s *Server) run(x *exchange, c *call) (keep bool) {
	object, refused := x.route.run(c)
	switch {
	case x.fault == FaultErrorAfter:
		s.refuse(x, serverError(x.requestID))
		return true
	case refused != nil:
		s.refuse(x, refused)
		return !refused.unkept
	}
	body, err := json.Marshal(object)
	if err != nil {
		panic("stripesim: an object of its own does not encode: " + err.Error())
	}
	x.status, x.body = http.StatusOK, body
	return true
}

func (s *Server) refuse(x *exchange, r *refusal) {
	body, err := json.Marshal(struct {
		Error problem `json:"error"`
	}{r.problem})
	if err != nil {
		panic("stripesim: an error of its own does not encode: " + err.Error())
	}
	x.status, x.body = r.status, body
	if r.status == http.StatusNotImplemented {
		s.opts.Log.Error("STRIPESIM REFUSED A REQUEST IT DOES NOT MODEL",
			"method", x.method, "path", x.path, "why", r.problem.Message, "request_id", x.requestID)
	}
}

// wait lets time pass, unless the caller gives up or the double ends.
func (s *Server) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.closing:
	}
}

func (x *exchange) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Request-Id", x.requestID)
	h.Set("Stripe-Version", apiVersion)
	if x.key != "" {
		h.Set("Idempotency-Key", x.key)
	}
	if x.original != "" {
		h.Set("Idempotent-Replayed", "true")
		h.Set("Original-Request", x.original)
	}
	w.WriteHeader(x.status)
	w.Write(x.body) // a caller who is gone needs no answer
}

// cutConnection ends the connection in the middle of the answer's first line.
// Ended before its first byte, an HTTP client may quietly send the request again
// by itself, and the fault would not be seen.
func cutConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	conn.SetWriteDeadline(time.Now().Add(time.Second)) // best effort: the connection ends in any case
	conn.Write([]byte("HTTP/1.1"))
	conn.Close()
}
