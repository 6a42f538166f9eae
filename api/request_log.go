package api

import (
	"log/slog"
	"net/http"
	"time"
)

// logged writes a line for each request: its route, and not its path or body,
// which may name a customer (I9).
func (s *Server) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		level := slog.LevelDebug
		if recorder.status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		s.Log.Log(r.Context(), level, "request", "route", r.Pattern, "status", recorder.status, "took", time.Since(began).Round(time.Microsecond))
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets a stream flush and bound its writes.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
