package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	temporallog "go.temporal.io/sdk/log"
)

// TemporalNamespace is the one the development server always has.
const TemporalNamespace = "default"

// Bounds on Temporal's development server.
const (
	temporalReadyWithin  = 60 * time.Second
	temporalStopWithin   = 10 * time.Second
	temporalProbeTimeout = 5 * time.Second
)

// temporalRates lift the limits with which the development server is slower than
// a real one: above all its queue processors poll 20 times a second, which is one
// task each 50 ms. A checkout that takes 5 ms would look as if it took 550.
var temporalRates = [...]string{
	"history.transferProcessorMaxPollRPS=10000",
	"history.timerProcessorMaxPollRPS=10000",
	"history.visibilityProcessorMaxPollRPS=10000",
	"history.outboundProcessorMaxPollRPS=10000",
	"history.rps=100000",
	"history.persistenceMaxQPS=100000",
	"matching.rps=100000",
	"matching.persistenceMaxQPS=100000",
	"frontend.rps=100000",
	"frontend.namespaceRPS=100000",
	"frontend.namespaceRPS.visibility=1000",
	"frontend.persistenceMaxQPS=100000",
	"frontend.namespaceCount=10000",
	"system.enableActivityEagerExecution=true",
	"system.enableEagerWorkflowStart=true",
}

// temporalPragmas let the development server's SQLite append to a log rather than
// sync several files for every step, which was two thirds of a lone purchase's time. A
// server that is killed loses nothing; a machine that loses power may lose the
// last steps, which the outbox and the database bring back.
var temporalPragmas = [...]string{"journal_mode=WAL", "synchronous=NORMAL"}

// TemporalConfig says how the development server runs.
type TemporalConfig struct {
	// Binary is the Temporal CLI.
	Binary string
	Port   int
	// UIPort is the port of the web UI; zero runs none.
	UIPort int
	// Store is the file that keeps the workflows; "" keeps them in memory.
	Store string
	// Log is the file of the server's log.
	Log string
}

// Temporal is a development server on the loopback address.
type Temporal struct {
	config  TemporalConfig
	process *Process
}

// StartTemporal starts the server and waits until it serves its namespace.
func StartTemporal(ctx context.Context, config TemporalConfig) (*Temporal, error) {
	process, err := Start(Command{
		Name:       "temporal",
		Path:       config.Binary,
		Args:       config.args(),
		Log:        config.Log,
		StopWithin: temporalStopWithin,
	})
	if err != nil {
		return nil, err
	}
	t := &Temporal{config: config, process: process}
	err = awaitReady(ctx, process, temporalReadyWithin, func(ctx context.Context) error {
		return CheckTemporal(ctx, t.Address(), TemporalNamespace)
	})
	if err != nil {
		return nil, errors.Join(err, process.Stop())
	}
	return t, nil
}

func (c TemporalConfig) args() []string {
	args := []string{
		"server", "start-dev",
		"--ip", "127.0.0.1",
		"--port", strconv.Itoa(c.Port),
		"--log-level", "error",
	}
	if c.UIPort == 0 {
		args = append(args, "--headless")
	} else {
		args = append(args, "--ui-port", strconv.Itoa(c.UIPort))
	}
	if c.Store != "" {
		args = append(args, "--db-filename", c.Store)
		for _, pragma := range temporalPragmas {
			args = append(args, "--sqlite-pragma", pragma)
		}
	}
	for _, rate := range temporalRates {
		args = append(args, "--dynamic-config-value", rate)
	}
	return args
}

// CheckTemporal fails unless the server at address serves the namespace.
func CheckTemporal(ctx context.Context, address, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, temporalProbeTimeout)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{
		HostPort:  address,
		Namespace: namespace,
		// A server that is not there yet is the expected case here, and reported
		// by what asks.
		Logger: temporallog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return fmt.Errorf("connect to Temporal at %s: %w", address, err)
	}
	defer c.Close()
	if _, err := c.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("check health of Temporal at %s: %w", address, err)
	}
	_, err = c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if err != nil {
		return fmt.Errorf("find namespace %s of Temporal at %s: %w", namespace, address, err)
	}
	return nil
}

// Address is the host and port of the server.
func (t *Temporal) Address() string { return loopback(t.config.Port) }

// UIURL is the address of the web UI, "" when it has none.
func (t *Temporal) UIURL() string {
	if t.config.UIPort == 0 {
		return ""
	}
	return "http://" + loopback(t.config.UIPort)
}

// Process is the running server.
func (t *Temporal) Process() *Process { return t.process }

// Stop ends the server.
func (t *Temporal) Stop() error { return t.process.Stop() }

// Kill ends the server as a crash would.
func (t *Temporal) Kill() { t.process.Kill() }
