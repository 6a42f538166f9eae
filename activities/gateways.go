package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/ledger"
)

// Gateways pushes entitlements to API gateways.
type Gateways struct {
	Client *http.Client
	Keys   gateway.Keyring
	Store  *ledger.Ledger
	// All are the base URLs of the gateways that must hold an entitlement.
	All  []string
	Wake func()
	Now  func() time.Time
}

// pushTimeout bounds one push; maxAnswer bounds what is read of the answer.
// maxAhead is how far a gateway can be ahead of a database that was restored from
// a backup: an answer beyond is nonsense, and would use up the account's versions.
const (
	pushTimeout = 5 * time.Second
	maxAnswer   = 64 << 10
	maxAhead    = 1_000_000
)

// NewGatewayClient makes the HTTP client for pushes.
func NewGatewayClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return &http.Client{Timeout: pushTimeout, Transport: transport}
}

// PushInput names an account and one gateway by its base URL.
type PushInput struct {
	AccountID string `json:"account_id"`
	Gateway   string `json:"gateway"`
}

// Push brings the account's newest entitlement to one gateway and notes the
// version that it acknowledged (R22), or why it did not.
func (g *Gateways) Push(ctx context.Context, in PushInput) (struct{}, error) {
	defer heartbeat(ctx)()
	state, err := g.Store.Entitlement(ctx, in.AccountID)
	if err != nil {
		return struct{}{}, err
	}
	// Since the push was asked for the gateway may have left the configuration.
	if !slices.Contains(g.All, in.Gateway) {
		return struct{}{}, nil
	}
	// Version 0 is what a gateway assumes of an account that it has not heard of.
	if state.Version == 0 {
		return struct{}{}, nil
	}
	body, err := json.Marshal(billing.EntitlementFor(state))
	if err != nil {
		return struct{}{}, fmt.Errorf("encode entitlement: %w", err)
	}
	held, err := g.put(ctx, in, body)
	if err == nil && (held < state.Version || held > state.Version+maxAhead) {
		err = fmt.Errorf("push entitlement: gateway holds version %d after a push of %d", held, state.Version)
	}
	if err != nil {
		return struct{}{}, errors.Join(err, g.Store.NotePushFailure(ctx, in.AccountID, in.Gateway, err.Error(), g.Now()))
	}
	if err := g.Store.AcknowledgeEntitlement(ctx, in.AccountID, in.Gateway, held, g.All, g.Now()); err != nil {
		return struct{}{}, err
	}
	g.Wake()
	return struct{}{}, nil
}

// put sends the entitlement and answers the version that the gateway now holds.
func (g *Gateways) put(ctx context.Context, in PushInput, body []byte) (int64, error) {
	target, err := url.JoinPath(in.Gateway, "entitlements", in.AccountID)
	if err != nil {
		return 0, fmt.Errorf("push entitlement: gateway address: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, target, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("push entitlement: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	g.Keys.Sign(req, body, g.Now())
	res, err := g.Client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("push entitlement: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, fmt.Errorf("push entitlement: read answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("push entitlement: gateway answered %s", res.Status)
	}
	var held struct {
		Version int64 `json:"version"`
	}
	if err := json.Unmarshal(answer, &held); err != nil {
		return 0, fmt.Errorf("push entitlement: gateway's answer names no version: %w", err)
	}
	return held.Version, nil
}
