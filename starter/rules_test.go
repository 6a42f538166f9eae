package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/testenv"
)

// The front door says at once by which rules it settles tiers, so that workers of
// another release wait with theirs.
func TestFrontDoorSaysByWhichRulesItSettles(t *testing.T) {
	url := testenv.Database(t)
	store, err := ledger.Open(t.Context(), url, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); noteRules(ctx, store, slog.New(slog.DiscardHandler)) }()
	said := false
	for deadline := time.Now().Add(time.Minute); !said && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		err := db.QueryRow(t.Context(), `select exists (select from running_rules where rules = $1)`, billing.RulesFingerprint()).Scan(&said)
		if err != nil {
			t.Fatal(err)
		}
	}
	stop()
	<-ended
	if !said {
		t.Error("it says nothing")
	}
}
