package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/paystage/paystage/api"
)

const (
	// requestTimeout bounds a request; a purchase may wait a minute for its bank.
	requestTimeout = 90 * time.Second
	maxAnswer      = 4 << 20
)

// frontDoor calls the HTTP API at PAYSTAGE_URL with a role key.
type frontDoor struct {
	base, key string
}

// newFrontDoor uses the key of the variable named.
func newFrontDoor(keyVariable string) (frontDoor, error) {
	base, err := setting("PAYSTAGE_URL")
	if err != nil {
		return frontDoor{}, err
	}
	key, err := setting(keyVariable)
	return frontDoor{base: strings.TrimSuffix(base, "/"), key: key}, err
}

// call sends body (nil for none) and decodes the answer into out. A problem is
// the error, with its code and sentence.
func (f frontDoor) call(ctx context.Context, method, path string, headers map[string]string, body, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var payload bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&payload).Encode(body); err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, f.base+path, &payload)
	if err != nil {
		return fmt.Errorf("PAYSTAGE_URL: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+f.key)
	req.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("the front door at PAYSTAGE_URL does not answer: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		var p api.Problem
		if json.Unmarshal(answer, &p) != nil || p.Code == "" {
			return fmt.Errorf("the front door answered %s", res.Status)
		}
		return &p
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}
