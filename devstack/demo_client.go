package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/paystage/paystage/devstack/stack"
	"github.com/paystage/paystage/money"
)

const (
	requestTimeout = 15 * time.Second
	maxAnswerBytes = 1 << 20
	// reopenAfter is the pause before an event stream that broke is opened again.
	reopenAfter = 200 * time.Millisecond
)

// client speaks to the front door as a checkout would.
type client struct {
	base, key string
	gateways  []string
	http      *http.Client
}

func newClient(env stack.Env) *client {
	return &client{
		base:     env[stack.PaystageURL],
		key:      env[stack.RoleKey("checkout")],
		gateways: strings.Split(env[stack.GatewayURLs], ","),
		http:     &http.Client{},
	}
}

type account struct {
	ID string `json:"id"`
}

type stage struct {
	Name      string    `json:"name"`
	State     string    `json:"state"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
}

type purchase struct {
	ID               string  `json:"id"`
	Status           string  `json:"status"`
	Stages           []stage `json:"stages"`
	AuthorizationURL string  `json:"authorization_url"`
	Decline          *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"decline"`
}

// failure says why a purchase did not complete.
func (p purchase) failure() error {
	if p.Decline != nil {
		return fmt.Errorf("the purchase ended %s: %s (%s)", p.Status, p.Decline.Message, p.Decline.Code)
	}
	return fmt.Errorf("the purchase ended %s", p.Status)
}

type gatewayState struct {
	Gateway        string    `json:"gateway"`
	Version        int64     `json:"version"`
	NeededVersion  int64     `json:"needed_version"`
	AcknowledgedAt time.Time `json:"acknowledged_at"`
	LastError      string    `json:"last_error"`
}

type billing struct {
	Balance money.USD `json:"balance_micros"`
	Tier    struct {
		Number   int            `json:"number"`
		Name     string         `json:"name"`
		Gateways []gatewayState `json:"gateways"`
	} `json:"tier"`
}

// acknowledged says whether the gateway holds what it should.
func (g gatewayState) acknowledged() bool {
	return !g.AcknowledgedAt.IsZero() && g.Version > 0 && g.Version >= g.NeededVersion
}

// check fails unless the purchase had its whole effect.
func (b billing) check(balance money.USD, tier int, gateways []string) error {
	var wrong []error
	if b.Balance != balance {
		wrong = append(wrong, fmt.Errorf("the balance is %s and should be %s", b.Balance, balance))
	}
	if b.Tier.Number != tier {
		wrong = append(wrong, fmt.Errorf("the tier is %d and should be %d", b.Tier.Number, tier))
	}
	acknowledged := map[string]bool{}
	for _, g := range b.Tier.Gateways {
		acknowledged[g.Gateway] = g.acknowledged()
	}
	for _, address := range gateways {
		if !acknowledged[strings.TrimSuffix(address, "/")] {
			wrong = append(wrong, fmt.Errorf("gateway %s did not acknowledge", address))
		}
	}
	return errors.Join(wrong...)
}

// openAccount opens a new account, so that every demo starts from nothing.
func (c *client) openAccount(ctx context.Context) (account, error) {
	body := map[string]string{
		"email": "demo-" + strings.ToLower(rand.Text()) + "@example.com", "name": "Demo", "territory": "US",
	}
	var opened account
	err := c.call(ctx, "open an account", http.MethodPost, "/v1/accounts", body, &opened)
	return opened, err
}

func (c *client) putCard(ctx context.Context, accountID, paymentMethod string) error {
	body := map[string]any{
		"payment_method": paymentMethod,
		"billing_address": map[string]string{
			"line1": "354 Oyster Point Blvd", "city": "South San Francisco", "state": "CA",
			"postal_code": "94080", "country": "US",
		},
	}
	return c.call(ctx, "add a card", http.MethodPut, "/v1/accounts/"+accountID+"/card", body, nil)
}

// purchase does not wait for the bank: the stages are followed as they happen.
func (c *client) purchase(ctx context.Context, accountID string, cents int64) (purchase, error) {
	var bought purchase
	body := map[string]int64{"amount_cents": cents}
	err := c.call(ctx, "buy", http.MethodPost, "/v1/accounts/"+accountID+"/purchases", body, &bought,
		"Idempotency-Key", rand.Text(), "Prefer", "wait=0")
	return bought, err
}

func (c *client) billing(ctx context.Context, accountID string) (billing, error) {
	var b billing
	err := c.call(ctx, "read billing", http.MethodGet, "/v1/accounts/"+accountID+"/billing", nil, &b)
	return b, err
}

// follow shows a purchase at each change until it has ended. A stream that breaks
// off is opened again for as long as ctx lasts.
func (c *client) follow(ctx context.Context, id string, show func(purchase)) (purchase, error) {
	for {
		last, err := c.stream(ctx, id, show)
		if err != nil {
			return purchase{}, err
		}
		if last.Status != "" && last.Status != "pending" {
			return last, nil
		}
		select {
		case <-ctx.Done():
			return purchase{}, fmt.Errorf("follow the purchase: %w", ctx.Err())
		case <-time.After(reopenAfter):
		}
	}
}

// stream reads one event stream to its end and gives the last event.
func (c *client) stream(ctx context.Context, id string, show func(purchase)) (last purchase, err error) {
	request, err := c.request(ctx, http.MethodGet, "/v1/purchases/"+id+"/events", nil)
	if err != nil {
		return last, fmt.Errorf("follow the purchase: %w", err)
	}
	request.Header.Set("Accept", "text/event-stream")
	response, err := c.http.Do(request)
	if err != nil {
		return last, fmt.Errorf("follow the purchase: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return last, refusal("follow the purchase", response)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxAnswerBytes)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue
		}
		last = purchase{}
		if err := json.Unmarshal([]byte(data), &last); err != nil {
			return last, fmt.Errorf("follow the purchase: read an event: %w", err)
		}
		show(last)
	}
	// A stream that broke off is opened again by the caller.
	return last, ctx.Err()
}

func (c *client) call(ctx context.Context, doing, method, path string, body, answer any, headers ...string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := c.request(ctx, method, path, body)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return refusal(doing, response)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswerBytes)).Decode(answer); err != nil {
		return fmt.Errorf("%s: read the answer: %w", doing, err)
	}
	return nil
}

func (c *client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var text io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		text = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, text)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

// refusal is the problem the front door answered with.
func refusal(doing string, response *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("%s: the front door answers %s: %w", doing, response.Status, err)
	}
	return fmt.Errorf("%s: the front door answers %s: %s", doing, response.Status, bytes.TrimSpace(text))
}
