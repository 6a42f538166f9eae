package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// probeEvery is how often a part that starts is asked whether it is ready.
const probeEvery = 25 * time.Millisecond

// probe fails until what it asks is ready.
type probe func(context.Context) error

// awaitReady asks a probe until it succeeds. It gives up at once when the process
// ends, and with the reason of the last refusal at the bound.
func awaitReady(ctx context.Context, p *Process, within time.Duration, ready probe) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.Done():
			return p.Exited()
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return ctx.Err()
			}
			return fmt.Errorf("%s is not ready after %s (%w); its log is %s\n%s",
				p.command.Name, within, err, p.command.Log, tail(p.command.Log))
		case <-ticker.C:
		}
	}
}

// httpProbe is ready when a GET of url answers 200.
func httpProbe(url string) probe {
	client := &http.Client{Timeout: 2 * time.Second}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(io.LimitReader(response.Body, 300))
			return fmt.Errorf("GET %s answers %d: %s", url, response.StatusCode, body)
		}
		return nil
	}
}

// listenProbe is ready when something takes connections at address.
func listenProbe(address string) probe {
	return func(ctx context.Context) error {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}
