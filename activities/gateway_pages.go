package activities

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

const (
	// pageTimeout bounds the push of one page.
	pageTimeout = 30 * time.Second
	// maxPageAnswer bounds what is read of the answer to one.
	maxPageAnswer = 1 << 20
)

// ErrNoPages: the gateway is of a kind that takes one entitlement at a time.
var ErrNoPages = errors.New("the gateway takes no pages")

// GatewayPages brings pages of entitlements to gateways, for the relay.
type GatewayPages struct {
	Client *http.Client
	Keys   gateway.Keyring
	Store  *ledger.Ledger
	All    func() []string
	Now    func() time.Time
}

// Sync asks a gateway whether it needs a full sync. The error is ErrNoPages where
// it does not know the question.
func (g *GatewayPages) Sync(ctx context.Context, url string) (gateway.SyncStatus, error) {
	var status gateway.SyncStatus
	err := g.call(url).do(ctx, http.MethodGet, []string{"sync"}, nil, &status)
	if err != nil {
		return status, noPages("ask gateway", err)
	}
	if status.Store == "" {
		return status, fmt.Errorf("ask gateway: %w: its answer names no store", ErrNoPages)
	}
	return status, nil
}

// CompleteSync tells a gateway that its store of that name has been filled.
func (g *GatewayPages) CompleteSync(ctx context.Context, url, store string) error {
	var status gateway.SyncStatus
	return noPages("complete full sync", g.call(url).do(ctx, http.MethodPut, []string{"sync"}, gateway.Completed{Store: store}, &status))
}

// Push brings a page to a gateway and notes what it acknowledged.
func (g *GatewayPages) Push(ctx context.Context, url string, states []models.EntitlementState) error {
	page := gateway.Page{Entitlements: make([]models.Entitlement, len(states))}
	for i, state := range states {
		page.Entitlements[i] = billing.EntitlementFor(state)
	}
	var answer gateway.HeldPage
	if err := g.call(url).do(ctx, http.MethodPut, []string{"entitlements"}, page, &answer); err != nil {
		return noPages("push page", err)
	}
	held, err := g.acknowledged(ctx, url, states, answer.Held)
	if err != nil {
		return fmt.Errorf("push page: %w", err)
	}
	return g.Store.AcknowledgePage(ctx, url, held, g.All(), g.Now())
}

// acknowledged is what a gateway's answer acknowledges. Where it is ahead of us our
// version is moved past its own (I10).
func (g *GatewayPages) acknowledged(ctx context.Context, url string, states []models.EntitlementState, answer []gateway.Held) ([]ledger.Held, error) {
	if len(answer) != len(states) {
		return nil, fmt.Errorf("the gateway acknowledges %d of %d entitlements", len(answer), len(states))
	}
	held := make([]ledger.Held, 0, len(states))
	for i, state := range states {
		version := answer[i].Version
		switch {
		case answer[i].AccountID != state.AccountID || version < state.Version || version > state.Version+maxAhead:
			return nil, fmt.Errorf("the gateway holds version %d of %s after a push of %d of %s",
				version, answer[i].AccountID, state.Version, state.AccountID)
		case version > state.Version:
			if err := g.Store.AcknowledgeEntitlement(ctx, state.AccountID, url, version, g.All(), g.Now()); err != nil {
				return nil, err
			}
		default:
			held = append(held, ledger.Held{AccountID: state.AccountID, Version: version})
		}
	}
	return held, nil
}

func (g *GatewayPages) call(url string) signedCall {
	client := *g.Client
	client.Timeout = pageTimeout
	return signedCall{client: &client, keys: g.Keys, now: g.Now, gateway: url, maxAnswer: maxPageAnswer}
}

// noPages tells a gateway that does not know a route from one that fails.
func noPages(operation string, err error) error {
	var status *StatusError
	if errors.As(err, &status) && (status.Status == http.StatusNotFound || status.Status == http.StatusMethodNotAllowed) {
		return fmt.Errorf("%s: %w: %w", operation, ErrNoPages, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	return nil
}
