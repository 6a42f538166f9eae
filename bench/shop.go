package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/devstack/stack"
)

// shop buys credits through the front door.
type shop struct {
	base, key string
	http      *http.Client
}

func newShop(env stack.Env) *shop {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = clients
	return &shop{
		base: env[stack.PaystageURL], key: env[stack.RoleKey("checkout")],
		http: &http.Client{Transport: transport, Timeout: 90 * time.Second},
	}
}

func (s *shop) call(ctx context.Context, method, path string, body, out any) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", uuid.NewString())
	req.Header.Set("Prefer", "wait=60")
	res, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s", method, path, answer)
	}
	return json.Unmarshal(answer, out)
}

// account opens an account with a card.
func (s *shop) account(ctx context.Context) (string, error) {
	var account api.Account
	err := s.call(ctx, http.MethodPost, "/v1/accounts",
		map[string]string{"email": "bench@example.com", "name": "Bench", "territory": "US"}, &account)
	if err != nil {
		return "", err
	}
	var card any
	err = s.call(ctx, http.MethodPut, "/v1/accounts/"+account.ID+"/card", map[string]any{
		"payment_method": "pm_card_visa",
		"billing_address": map[string]string{
			"line1": "1 Main St", "city": "Springfield", "state": "IL", "postal_code": "62701", "country": "US",
		},
	}, &card)
	return account.ID, err
}

// customer opens an account with a card and buys it to the highest tier, so that
// what it buys from then on changes no tier.
func (s *shop) customer(ctx context.Context) (string, error) {
	id, err := s.account(ctx)
	if err != nil {
		return "", err
	}
	_, err = s.buy(ctx, id, 100_000)
	return id, err
}

// buy buys and answers the completed purchase's id.
func (s *shop) buy(ctx context.Context, accountID string, cents int64) (string, error) {
	var p api.Purchase
	if err := s.call(ctx, http.MethodPost, "/v1/accounts/"+accountID+"/purchases", map[string]int64{"amount_cents": cents}, &p); err != nil {
		return "", err
	}
	if p.Status != "completed" {
		return "", fmt.Errorf("purchase %s is %s", p.ID, p.Status)
	}
	return p.ID, nil
}

func (s *shop) customers(ctx context.Context) (ids [clients]string, err error) {
	for i := range ids {
		if ids[i], err = s.customer(ctx); err != nil {
			return ids, err
		}
	}
	return ids, nil
}
