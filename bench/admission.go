package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"time"

	"github.com/paystage/paystage/devstack/stack"
	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/models"
)

const (
	// maxAdmissionMicros is what admission may add to a request.
	maxAdmissionMicros = 2
	// headerAllocations are the values of the headers that it adds.
	headerAllocations = 2
	admissionAccounts = 1000
	admissionRounds   = 2000
	admissionRound    = 100
	benchModel        = "black-forest-labs/FLUX.1-dev"
)

// admission sets a handler behind admission against a bare one that looks its key up
// in a map.
func admission(ctx context.Context, _ stack.Env) ([]result, error) {
	directory, err := os.MkdirTemp("", "paystage-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(directory) }()
	store, err := gateway.Open(directory)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	requests, known, err := admissionRequests(ctx, store)
	if err != nil {
		return nil, err
	}
	catalogue, err := gateway.ShippedCatalogue()
	if err != nil {
		return nil, err
	}
	a := &gateway.Admission{
		Store: store, Catalogue: func() *gateway.Catalogue { return catalogue }, Limiter: gateway.NewLocal(), Now: time.Now,
		Log: slog.New(slog.DiscardHandler),
	}
	done := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	admitted := a.Middleware(func(*http.Request) (string, error) { return benchModel, nil })(done)
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if known[r.Header.Get("Authorization")] {
			done(w, r)
		}
	})
	added, allocations := overhead(admitted, bare, requests)
	return []result{
		against("admission over a bare handler, p50", "us", added, maxAdmissionMicros, 1, true),
		against("its allocations, to those of the headers", "", allocations, headerAllocations, 1, true),
	}, nil
}

// admissionRequests makes accounts with one key each, and a request of each.
func admissionRequests(ctx context.Context, store *gateway.Store) (requests []*http.Request, known map[string]bool, err error) {
	known = map[string]bool{}
	var all []models.Entitlement
	for i := range admissionAccounts {
		account := fmt.Sprintf("account-%d", i)
		hash, key := gateway.NewAPIKey(account)
		all = append(all, models.Entitlement{
			AccountID: account, Version: 1, Tier: models.Tier{Number: 1, Name: "Build Tier 1"},
			Limits: models.RateLimits{LLM: 1_000_000_000}, Keys: []models.KeyHash{hash}, ChangedAt: time.Now(),
		})
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		requests, known["Bearer "+key] = append(requests, r), true
	}
	_, err = store.PutAll(all)
	return requests, known, err
}

// overhead is what one handler takes more than the other, in microseconds at the
// median, and how often it allocates.
func overhead(admitted, bare http.Handler, requests []*http.Request) (micros, allocations float64) {
	w := httptest.NewRecorder()
	run := func(handler http.Handler, round int) float64 {
		began := time.Now()
		for i := range admissionRound {
			handler.ServeHTTP(w, requests[(round*admissionRound+i)%len(requests)])
		}
		return float64(time.Since(began).Nanoseconds()) / 1000 / admissionRound
	}
	var with, without []float64
	for round := range admissionRounds {
		with, without = append(with, run(admitted, round)), append(without, run(bare, round))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 100
	for round := range rounds {
		run(admitted, round)
	}
	runtime.ReadMemStats(&after)
	return median(with) - median(without), float64(after.Mallocs-before.Mallocs) / (rounds * admissionRound)
}
