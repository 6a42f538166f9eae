package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/paystage/paystage/devstack/stack"
)

// TestAPurchaseSurvivesARestart stops the whole stack while a customer is at the
// bank, and starts it again: the link still works, and the purchase completes.
func TestAPurchaseSurvivesARestart(t *testing.T) {
	p := emptyCheckout(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	up := func() *stack.Stack {
		s, err := stack.Up(ctx, p.stackConfig(upCommand, stack.NewProgress(io.Discard)))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := up()
	c := newClient(s.Env)
	bought := buyWithAuthentication(ctx, t, c)
	errAsked := errors.New("asked")
	asking, stop := context.WithCancelCause(ctx)
	var link string
	_, err := c.follow(asking, bought.ID, func(now purchase) {
		if now.AuthorizationURL != "" {
			link = now.AuthorizationURL
			stop(errAsked)
		}
	})
	if !errors.Is(context.Cause(asking), errAsked) {
		t.Fatalf("the bank did not ask: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}

	s = up()
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	response, err := http.PostForm(link, url.Values{"decision": {"approve"}})
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	ended, err := c.follow(ctx, bought.ID, func(purchase) {})
	if err != nil || ended.Status != "completed" {
		t.Errorf("the purchase is %q: %v", ended.Status, err)
	}
}

// buyWithAuthentication buys with a card whose bank asks the customer.
func buyWithAuthentication(ctx context.Context, t *testing.T, c *client) purchase {
	t.Helper()
	opened, err := c.openAccount(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.putCard(ctx, opened.ID, "pm_card_authenticationRequiredSetupForOffSession"); err != nil {
		t.Fatal(err)
	}
	bought, err := c.purchase(ctx, opened.ID, demoAmountCents)
	if err != nil {
		t.Fatal(err)
	}
	return bought
}
