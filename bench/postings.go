package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paystage/paystage/devstack/stack"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

const (
	postingRounds = 3
	postingRound  = 3 * time.Second
)

// postings sets ledger.Post against a bare loop over the same statement.
func postings(ctx context.Context, env stack.Env) ([]result, error) {
	store, err := ledger.Open(ctx, env[stack.DatabaseURL], clients)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	config, err := pgxpool.ParseConfig(env[stack.DatabaseURL])
	if err != nil {
		return nil, err
	}
	config.MaxConns = clients
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	var accounts [clients]string
	for i := range accounts {
		accounts[i] = uuid.NewString()
		err := store.CreateAccount(ctx, models.Account{
			ID: accounts[i], Email: "bench@example.com", Name: "Bench", Territory: "US", CreatedAt: time.Now(),
		})
		if err != nil {
			return nil, err
		}
	}
	rates, err := alternate(ctx, postingRounds, 0,
		func() (float64, error) {
			return rate(ctx, postingRound, func(ctx context.Context, client, _ int) error {
				_, err := store.Post(ctx, ledger.Posting{
					Key: uuid.NewString(), Kind: ledger.KindFreeCredits, AccountID: accounts[client], At: time.Now(),
					Entries: []ledger.Entry{{Book: ledger.BookPromotions, AmountMicros: -1}, {Book: ledger.BookFree, AmountMicros: 1}},
				})
				return err
			})
		},
		func() (float64, error) {
			return rate(ctx, postingRound, func(ctx context.Context, client, _ int) error {
				var id int64
				var fresh bool
				err := pool.QueryRow(ctx, ledger.PostSQL, uuid.NewString(), "free_credits", accounts[client], time.Now(),
					[]string{"promotions", "free"}, []int64{-1, 1}).Scan(&id, &fresh)
				if err != nil {
					return fmt.Errorf("bare posting: %w", err)
				}
				return nil
			})
		})
	if err != nil {
		return nil, err
	}
	return []result{against("ledger postings, 16 clients, to the bare statement", "/s", rates[0], rates[1], 0.8, false)}, nil
}
