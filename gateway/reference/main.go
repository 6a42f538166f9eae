// Command reference is the least API gateway: a process of its own that keeps the
// entitlements pushed to it and admits requests by them. GET /v1/models lists the
// models, POST /v1/chat/completions echoes. It stands in for a real gateway in
// development and tests, and shows how to embed the package.
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
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/gateway/redislimit"
)

const (
	// catalogueEvery is how often the catalogue's file is looked at.
	catalogueEvery = time.Second
	// maxRequest bounds a request's body: 4 MiB.
	maxRequest = 4 << 20
	// garbagePercent keeps the memory of a process that holds a million accounts near
	// what they take: Go's default would let it grow to twice that.
	garbagePercent = 40
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

// settings are what the process is told.
type settings struct {
	listen, state, catalogue, redis, whenDown string
	keys                                      gateway.Keyring
}

func parse(args []string, getenv func(string) string) (s settings, err error) {
	flags := flag.NewFlagSet("gateway", flag.ExitOnError)
	flags.StringVar(&s.listen, "listen", "127.0.0.1:8101", "`host:port` to listen on")
	flags.StringVar(&s.state, "state", "gateway-state", "`directory` to keep the entitlements in")
	flags.StringVar(&s.catalogue, "catalogue", "", "`file` with the models, read again when it changes (default: as shipped)")
	flags.StringVar(&s.redis, "redis", "", "`URL` of a Redis through which gateways share their rate limits (default: each counts by itself)")
	flags.StringVar(&s.whenDown, "when-redis-is-down", string(redislimit.Open), "`open`: each gateway counts by itself; closed: requests are refused")
	_ = flags.Parse(args) // exits by itself
	s.keys, err = gateway.ParseKeys(getenv("PAYSTAGE_GATEWAY_SIGNING_KEYS"))
	if err != nil {
		return s, fmt.Errorf("PAYSTAGE_GATEWAY_SIGNING_KEYS: %w", err)
	}
	return s, nil
}

// run serves until ctx ends, and prints one line once it can be reached.
func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) (err error) {
	s, err := parse(args, getenv)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	catalogue, err := openCatalogue(ctx, s.catalogue, &watching, log)
	if err != nil {
		return err
	}
	limiter, closeLimiter, err := openLimiter(s, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLimiter()) }()
	store, err := gateway.Open(s.state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	admission := &gateway.Admission{Store: store, Catalogue: catalogue, Limiter: limiter, Now: time.Now, Log: log}
	server := &http.Server{
		Handler:           routes(admission, gateway.NewHandler(store, s.keys, time.Now, log)),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	_, _ = fmt.Fprintf(out, "gateway listening on http://%s\n", listener.Addr())
	return serve(ctx, server, listener)
}

// openCatalogue gives the catalogue of the file, watched until ctx ends, or the one
// that is shipped if there is no file.
func openCatalogue(ctx context.Context, path string, watching *sync.WaitGroup, log *slog.Logger) (func() *gateway.Catalogue, error) {
	if path == "" {
		shipped, err := gateway.ShippedCatalogue()
		return func() *gateway.Catalogue { return shipped }, err
	}
	file, err := gateway.OpenCatalogue(path)
	if err != nil {
		return nil, err
	}
	watching.Go(func() { file.Watch(ctx, catalogueEvery, log) })
	return file.Current, nil
}

func openLimiter(s settings, log *slog.Logger) (gateway.Limiter, func() error, error) {
	if s.redis == "" {
		return gateway.NewLocal(), func() error { return nil }, nil
	}
	limiter, err := redislimit.New(s.redis, redislimit.WhenDown(s.whenDown), redislimit.DefaultWithin, log)
	if err != nil {
		return nil, nil, err
	}
	return limiter, limiter.Close, nil
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
