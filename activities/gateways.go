package activities

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// Gateways pushes entitlements to API gateways.
type Gateways struct {
	Client *http.Client
	Keys   gateway.Keyring
	Store  *ledger.Ledger
	// All gives the base URLs of the gateways that must hold an entitlement; it is
	// asked each time, because gateways come and go.
	All  func() []string
	Wake func()
	Now  func() time.Time

	gates gates
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
// version that it acknowledged (R22), or why it did not. A gateway that is busy or
// does not answer is left alone for a while, with its error saying so.
func (g *Gateways) Push(ctx context.Context, in PushInput) (struct{}, error) {
	defer heartbeat(ctx)()
	// Since the push was asked for the gateway may have left the configuration.
	if !slices.Contains(g.All(), in.Gateway) {
		return struct{}{}, nil
	}
	leave, err := g.gates.enter(in.Gateway, g.Now())
	if err != nil {
		return struct{}{}, err
	}
	err = g.push(ctx, in)
	leave(err == nil, g.Now())
	if err != nil {
		return struct{}{}, againLater(ctx, err)
	}
	g.Wake()
	return struct{}{}, nil
}

// push sends the entitlement and notes what came of it.
func (g *Gateways) push(ctx context.Context, in PushInput) error {
	state, err := g.Store.Entitlement(ctx, in.AccountID)
	if err != nil {
		return err
	}
	// Version 0 is what a gateway assumes of an account that it has not heard of.
	if state.Version == 0 {
		return nil
	}
	held, err := g.put(ctx, in, billing.EntitlementFor(state))
	if err == nil && (held < state.Version || held > state.Version+maxAhead) {
		err = fmt.Errorf("push entitlement: gateway holds version %d after a push of %d", held, state.Version)
	}
	if err != nil {
		return errors.Join(err, g.Store.NotePushFailure(ctx, in.AccountID, in.Gateway, err.Error(), g.Now()))
	}
	return g.Store.AcknowledgeEntitlement(ctx, in.AccountID, in.Gateway, held, g.All(), g.Now())
}

// put sends an entitlement and answers the version that the gateway now holds.
func (g *Gateways) put(ctx context.Context, in PushInput, e models.Entitlement) (int64, error) {
	var held gateway.Held
	call := signedCall{client: g.Client, keys: g.Keys, now: g.Now, gateway: in.Gateway, maxAnswer: maxAnswer}
	if err := call.do(ctx, http.MethodPut, []string{"entitlements", in.AccountID}, e, &held); err != nil {
		return 0, fmt.Errorf("push entitlement: %w", err)
	}
	return held.Version, nil
}
