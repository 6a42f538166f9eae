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

// run serves until the context ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	listen, opts, err := parse(args, stderr)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("stripesim: listen: %w", err)
	}
	double, err := sim.New(opts)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
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

func parse(args []string, stderr io.Writer) (listen string, opts sim.Options, err error) {
	flags := flag.NewFlagSet("stripesim", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&listen, "listen", "127.0.0.1:12111", "`host:port` to listen on; port 0 takes a free one")
	flags.StringVar(&opts.URL, "url", "", "public base `URL` of the authentication pages (default: the host the API is called under)")
	flags.StringVar(&opts.WebhookURL, "webhook-url", "", "`URL` that events are sent to (default: none are sent)")
	flags.Func("webhook-events", "comma-separated event `types` that are sent (default: all)", func(types string) error {
		opts.WebhookEvents = strings.Split(types, ",")
		return nil
	})
	flags.StringVar(&opts.WebhookSecret, "webhook-secret", "", "`secret` that signs them, whsec_...")
	flags.StringVar(&opts.SecretKey, "secret-key", "", "the only API `key` taken (default: every key that begins with sk_test_)")
	flags.StringVar(&opts.StateFile, "state", "", "`file` that keeps the state over a restart (default: memory)")
	flags.DurationVar(&opts.ProcessingTime, "processing-time", 5*time.Second, "how long a payment stays processing; 0 is until ordered")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return "", opts, err
	case err != nil:
		return "", opts, errUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "stripesim takes no arguments, only flags: %q\n", flags.Args())
		return "", opts, errUsage
	}
	return listen, opts, nil
}
