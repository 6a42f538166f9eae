package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/devstack/stack"
)

const (
	// tierTwoModel needs Build Tier 2 by the catalogue that gateways ship with.
	tierTwoModel  = "black-forest-labs/FLUX.1.1-pro"
	gatewayWithin = 30 * time.Second
)

// R14, R16: a model of a higher tier is refused before a purchase and open after it,
// at both gateways, through the processes of `make up`.
func purchaseOpensAModel(t *testing.T, env stack.Env) {
	c := newClient(env)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	account, err := c.openAccount(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.putCard(ctx, account.ID, demoCard); err != nil {
		t.Fatal(err)
	}
	buyNow := func(cents int64) {
		t.Helper()
		bought, err := c.purchase(ctx, account.ID, cents)
		if err != nil {
			t.Fatal(err)
		}
		if ended, err := c.follow(ctx, bought.ID, func(purchase) {}); err != nil || ended.Status != "completed" {
			t.Fatalf("%+v, %v", ended, err)
		}
	}
	buyNow(500)
	var key struct{ ID, Key string }
	if err := c.call(ctx, "make a key", http.MethodPost, "/v1/accounts/"+account.ID+"/api-keys", nil, &key); err != nil {
		t.Fatal(err)
	}
	for _, url := range c.gateways {
		awaitStatus(ctx, t, url, key.Key, http.StatusForbidden) // and 401 before
	}
	buyNow(4500)
	for _, url := range c.gateways {
		if status, body := chat(ctx, t, url, key.Key); status != http.StatusOK {
			t.Errorf("after the purchase: %d %s", status, body)
		}
	}
	if err := c.call(ctx, "revoke", http.MethodDelete, "/v1/accounts/"+account.ID+"/api-keys/"+key.ID, nil, nil); err != nil {
		t.Fatal(err)
	}
	for _, url := range c.gateways {
		awaitStatus(ctx, t, url, key.Key, http.StatusUnauthorized)
	}
}

func awaitStatus(ctx context.Context, t *testing.T, url, key string, want int) {
	t.Helper()
	for deadline := time.Now().Add(gatewayWithin); ; time.Sleep(5 * time.Millisecond) {
		status, body := chat(ctx, t, url, key)
		if status == want {
			if want == http.StatusForbidden && !strings.Contains(body, `"code":"insufficient_tier"`) {
				t.Errorf("403 is %s", body)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s answers %d %s, want %d", url, status, body, want)
		}
	}
}

func chat(ctx context.Context, t *testing.T, url, key string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions",
		strings.NewReader(`{"model":"`+tierTwoModel+`","messages":[{"role":"user","content":"Hello"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}
