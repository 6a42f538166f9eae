package sim

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// routeControls serves the controls; doc.go describes them.
func (s *Server) routeControls(mux *http.ServeMux) {
	mux.HandleFunc("GET /_sim/faults", s.controlListFaults)
	mux.HandleFunc("POST /_sim/faults", s.controlOrderFault)
	mux.HandleFunc("DELETE /_sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ResetFaults()
		reply(w, struct{}{}, nil)
	})
	mux.HandleFunc("GET /_sim/paces", s.controlListPaces)
	mux.HandleFunc("POST /_sim/paces", s.controlSetPace)
	mux.HandleFunc("DELETE /_sim/paces", func(w http.ResponseWriter, _ *http.Request) {
		s.ResetPaces()
		reply(w, struct{}{}, nil)
	})
	mux.HandleFunc("GET /_sim/clock", s.controlClock)
	mux.HandleFunc("POST /_sim/clock/advance", s.controlAdvance)
	for action, decide := range map[string]func(id string) error{"settle": s.Settle, "approve": s.Approve, "refuse": s.Refuse} {
		mux.HandleFunc("POST /_sim/payment_intents/{id}/"+action, func(w http.ResponseWriter, r *http.Request) {
			reply(w, struct{}{}, decide(r.PathValue("id")))
		})
	}
	mux.HandleFunc("POST /_sim/payment_intents/{id}/fail", s.controlFail)
	for path, decide := range map[string]func(id string) error{
		"setup_intents/{id}/approve": s.Approve, "setup_intents/{id}/refuse": s.Refuse, "refunds/{id}/fail": s.FailRefund, "mandates/{id}/revoke": s.RevokeMandate,
		"disputes/{id}/win": func(id string) error { return s.CloseDispute(id, true) }, "disputes/{id}/lose": func(id string) error { return s.CloseDispute(id, false) },
	} {
		mux.HandleFunc("POST /_sim/"+path, func(w http.ResponseWriter, r *http.Request) {
			reply(w, struct{}{}, decide(r.PathValue("id")))
		})
	}
	mux.HandleFunc("POST /_sim/charges/{id}/dispute", s.controlDispute)
	mux.HandleFunc("GET /_sim/webhooks", s.controlWebhooks)
	mux.HandleFunc("PUT /_sim/webhooks", s.controlSetWebhooks)
	mux.HandleFunc("POST /_sim/webhooks/release", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]int{"released": s.ReleaseWebhooks()}, nil)
	})
	mux.HandleFunc("POST /_sim/events/{id}/resend", s.controlResend)
	mux.HandleFunc("GET /_sim/stats", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"total": s.Total(), "by_purchase": s.Captures()}, nil)
	})
	mux.HandleFunc("GET /_sim/requests", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string][]Request{"requests": s.Requests()}, nil)
	})
}

// reply writes the value, or the error as {"error": "..."}.
func reply(w http.ResponseWriter, value any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		value = map[string]string{"error": err.Error()}
	}
	json.NewEncoder(w).Encode(value) // a caller who is gone needs no answer
}

// readJSON reads a small body strictly; an empty one leaves into as it is.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	body.DisallowUnknownFields()
	if err := body.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

type faultJSON struct {
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Kind       FaultKind `json:"kind"`
	Times      int       `json:"times"`
	DurationMS int64     `json:"duration_ms"`
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func (s *Server) controlListFaults(w http.ResponseWriter, _ *http.Request) {
	waiting := []faultJSON{}
	for _, f := range s.Faults() {
		waiting = append(waiting, faultJSON{f.Method, f.Path, f.Kind, f.Times, f.Duration.Milliseconds()})
	}
	reply(w, map[string][]faultJSON{"faults": waiting}, nil)
}

func (s *Server) controlOrderFault(w http.ResponseWriter, r *http.Request) {
	var f faultJSON
	err := readJSON(w, r, &f)
	if err == nil {
		err = s.OrderFault(Fault{Method: f.Method, Path: f.Path, Kind: f.Kind, Times: f.Times, Duration: milliseconds(f.DurationMS)})
	}
	reply(w, struct{}{}, err)
}

type paceJSON struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	PerSecond int    `json:"per_second"`
	P50MS     int64  `json:"p50_ms"`
	P99MS     int64  `json:"p99_ms"`
}

func (s *Server) controlListPaces(w http.ResponseWriter, _ *http.Request) {
	inForce := []paceJSON{}
	for _, p := range s.Paces() {
		inForce = append(inForce, paceJSON{p.Method, p.Path, p.PerSecond, p.P50.Milliseconds(), p.P99.Milliseconds()})
	}
	reply(w, map[string][]paceJSON{"paces": inForce}, nil)
}

func (s *Server) controlSetPace(w http.ResponseWriter, r *http.Request) {
	var p paceJSON
	err := readJSON(w, r, &p)
	if err == nil {
		err = s.SetPace(Pace{Method: p.Method, Path: p.Path, PerSecond: p.PerSecond, P50: milliseconds(p.P50MS), P99: milliseconds(p.P99MS)})
	}
	reply(w, struct{}{}, err)
}

func (s *Server) controlClock(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]time.Time{"now": s.Now()}, nil)
}

func (s *Server) controlAdvance(w http.ResponseWriter, r *http.Request) {
	var by struct {
		Seconds int64 `json:"seconds"`
	}
	err := readJSON(w, r, &by)
	if err == nil {
		err = s.Advance(time.Duration(by.Seconds) * time.Second)
	}
	reply(w, map[string]time.Time{"now": s.Now()}, err)
}

func (s *Server) controlFail(w http.ResponseWriter, r *http.Request) {
	var how struct {
		DeclineCode string `json:"decline_code"`
	}
	err := readJSON(w, r, &how)
	if err == nil {
		err = s.Fail(r.PathValue("id"), how.DeclineCode)
	}
	reply(w, struct{}{}, err)
}

func (s *Server) controlDispute(w http.ResponseWriter, r *http.Request) {
	var how struct {
		Reason  string `json:"reason"`
		Inquiry bool   `json:"inquiry"`
	}
	err := readJSON(w, r, &how)
	var id string
	if err == nil {
		id, err = s.Dispute(r.PathValue("id"), how.Reason, how.Inquiry)
	}
	reply(w, map[string]string{"id": id}, err)
}

type webhooksJSON struct {
	URL       string `json:"url"`
	DropNext  int    `json:"drop_next"`
	Copies    int    `json:"copies"`
	Hold      bool   `json:"hold"`
	DelayMS   int64  `json:"delay_ms"`
	Unordered bool   `json:"unordered"`
}

func (s *Server) controlWebhooks(w http.ResponseWriter, _ *http.Request) {
	b, held := s.Webhooks()
	reply(w, struct {
		webhooksJSON
		Held int `json:"held"`
	}{webhooksJSON{s.webhookURL(), b.DropNext, b.Copies, b.Hold, b.Delay.Milliseconds(), b.Unordered}, held}, nil)
}

func (s *Server) webhookURL() string {
	s.webhooks.mu.Lock()
	defer s.webhooks.mu.Unlock()
	return s.webhooks.url
}

func (s *Server) controlSetWebhooks(w http.ResponseWriter, r *http.Request) {
	var b webhooksJSON
	err := readJSON(w, r, &b)
	if err == nil && b.URL != "" {
		err = s.SetWebhookURL(b.URL)
	}
	if err == nil {
		err = s.SetWebhooks(WebhookBehaviour{DropNext: b.DropNext, Copies: b.Copies, Hold: b.Hold, Delay: milliseconds(b.DelayMS), Unordered: b.Unordered})
	}
	reply(w, struct{}{}, err)
}

func (s *Server) controlResend(w http.ResponseWriter, r *http.Request) {
	var how struct {
		Times int `json:"times"`
	}
	err := readJSON(w, r, &how)
	if err == nil {
		err = s.ResendEvent(r.PathValue("id"), cmp.Or(how.Times, 1))
	}
	reply(w, struct{}{}, err)
}
