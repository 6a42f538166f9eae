package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/paystage/paystage/gateway"
)

// signedCall sends signed requests to one gateway.
type signedCall struct {
	client  *http.Client
	keys    gateway.Keyring
	now     func() time.Time
	gateway string
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer int64
}

// StatusError is a gateway's answer that is not 200.
type StatusError struct {
	Status int
	// Code is that of the problem, if the answer was one.
	Code string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("gateway answered %d %s %s", e.Status, http.StatusText(e.Status), e.Code)
}

// do sends body as JSON, nothing if it is nil, and decodes the answer into out.
func (c signedCall) do(ctx context.Context, method string, path []string, body, out any) error {
	target, err := url.JoinPath(c.gateway, path...)
	if err != nil {
		return fmt.Errorf("gateway address: %w", err)
	}
	var payload []byte
	if body != nil {
		if payload, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	c.keys.Sign(req, payload, c.now())
	res, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, c.maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		var problem struct{ Code string }
		_ = json.Unmarshal(answer, &problem) // it need not be one
		return &StatusError{Status: res.StatusCode, Code: problem.Code}
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("gateway's answer names no version: %w", err)
	}
	return nil
}
