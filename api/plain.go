package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/paystage/paystage/web"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// plainRoutes are those that are not part of the described API.
func (s *Server) plainRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /return", s.showReturn)
	mux.HandleFunc("GET /authorize/{token}", s.showAuthorization)
	mux.HandleFunc("POST /authorize/{token}", s.goToBank)
	mux.HandleFunc("GET /pay/{token}", s.showInvoicePayment)
	mux.HandleFunc("POST /pay/{token}", s.payByLink)
	mux.HandleFunc("GET "+web.StylesheetPath, showStylesheet)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics(), promhttp.HandlerOpts{}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { notServed(mux, r).write(w) })
}

// notServed is the answer to a request that no route takes: with that method, or
// at all.
func notServed(mux *http.ServeMux, r *http.Request) *Problem {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := *r
		probe.Method = method
		if _, pattern := mux.Handler(&probe); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return problem(http.StatusNotFound, "no_such_route", "There is no such route. GET /openapi.json lists them all.")
	}
	methods := strings.Join(allowed, ", ")
	p := problem(http.StatusMethodNotAllowed, "method_not_allowed", "This route takes "+methods+". GET /openapi.json says what for.")
	p.headers.Set("Allow", methods)
	return p
}

// ready: the front door can take purchases as long as the database answers; they
// wait in the outbox while Temporal does not (F21).
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.Store.Ping(ctx); err != nil {
		problem(http.StatusServiceUnavailable, "database_unavailable", "The database does not answer.").write(w)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}
