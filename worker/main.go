// Worker runs the processes of Paystage: it executes workflows and activities,
// drains the outbox, and watches for what is stuck. Run as many as needed; they
// share the work. It is configured by the environment (see package config).
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/paystage/paystage/config"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	settings, err := config.LoadWorker()
	if err != nil {
		log.Error(err.Error())
		os.Exit(1)
	}
	if err := run(ctx, settings, wiring{}, log); err != nil {
		log.Error("worker failed", "error", err)
		os.Exit(1)
	}
}
