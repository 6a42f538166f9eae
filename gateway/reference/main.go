// Command reference is the least API gateway: a process of its own that keeps
// the entitlements pushed to it and answers what it holds. It stands in for a
// real gateway in development and tests.
//
//	PAYSTAGE_GATEWAY_SIGNING_KEYS=id:secret gateway --listen 127.0.0.1:8101 --state DIR
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/paystage/paystage/gateway"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, and prints one line once it can be reached.
func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("gateway", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:8101", "`host:port` to listen on")
	state := flags.String("state", "gateway-state", "`directory` to keep the entitlements in")
	_ = flags.Parse(args) // exits by itself
	keys, err := gateway.ParseKeys(getenv("PAYSTAGE_GATEWAY_SIGNING_KEYS"))
	if err != nil {
		return fmt.Errorf("PAYSTAGE_GATEWAY_SIGNING_KEYS: %w", err)
	}
	store, err := gateway.Open(*state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           gateway.NewHandler(store, keys, time.Now, slog.New(slog.NewTextHandler(os.Stderr, nil))),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	_, _ = fmt.Fprintf(out, "gateway listening on http://%s\n", listener.Addr())
	return serve(ctx, server, listener)
}

// serve ends with the requests under way answered, for at most five seconds.
func serve(ctx context.Context, server *http.Server, listener net.Listener) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
