package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/paystage/paystage/stripesim/sim"
)

// shutdownTime bounds the wait for answers under way.
const shutdownTime = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage")

// settings are what the flags say.
type settings struct {
	sim.Options
	listen     string
	transcript string
}

// run serves until the context ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	set, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if set.transcript != "" {
		written, err := openTranscript(set.transcript, &set.Options)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, written.close()) }()
	}
	listener, err := net.Listen("tcp", set.listen)
	if err != nil {
		return fmt.Errorf("stripesim: listen: %w", err)
	}
	double, err := sim.New(set.Options)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return serve(ctx, listener, double, stdout)
}

func serve(ctx context.Context, listener net.Listener, double *sim.Server, stdout io.Writer) error {
	server := &http.Server{Handler: double, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "stripesim listening on http://%s\n", listener.Addr())
	select {
	case err := <-served:
		return errors.Join(fmt.Errorf("stripesim: serve: %w", err), double.Close())
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	closed := double.Close() // first: it ends the answers that faults withhold
	if err := server.Shutdown(ending); err != nil {
		return errors.Join(fmt.Errorf("stripesim: shut down: %w", err), closed)
	}
	return closed
}

const usage = `stripesim is a double of Stripe's API, version 2023-10-16, for development and tests.

Open its address in a browser: the page lists objects and events, and lets you approve or
refuse for the customer, raise a dispute, fail a refund and move the clock. Point a Stripe
client at the address with any key that begins with sk_test_. It refuses with 501 what it
does not model; go doc ./stripesim/sim says what that is, and how to order faults.

`

func parse(args []string, stderr io.Writer) (set settings, err error) {
	flags := flag.NewFlagSet("stripesim", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&set.listen, "listen", "127.0.0.1:12111", "`host:port` to listen on; port 0 takes a free one")
	flags.StringVar(&set.URL, "url", "", "public base `URL` of the authentication pages (default: the host the API is called under)")
	flags.StringVar(&set.WebhookURL, "webhook-url", "", "`URL` that events are sent to (default: none are sent)")
	flags.Func("webhook-events", "comma-separated event `types` that are sent (default: all)", func(types string) error {
		set.WebhookEvents = strings.Split(types, ",")
		return nil
	})
	flags.StringVar(&set.WebhookSecret, "webhook-secret", "", "`secret` that signs them, whsec_...")
	flags.StringVar(&set.SecretKey, "secret-key", "", "the only API `key` taken (default: every key that begins with sk_test_)")
	flags.StringVar(&set.StateFile, "state", "", "`file` that keeps the state over a restart (default: memory)")
	flags.DurationVar(&set.ProcessingTime, "processing-time", 5*time.Second, "how long a payment stays processing; 0 is until ordered")
	flags.StringVar(&set.transcript, "transcript", "", "`file` that every request, answer and event is added to (default: none)")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return set, err
	case err != nil:
		return set, errUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "stripesim takes no arguments, only flags: %q\n", flags.Args())
		return set, errUsage
	}
	return set, nil
}
