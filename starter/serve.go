package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/config"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/migrations"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/workflows"
	"github.com/spf13/cobra"
)

const (
	// serveConns bounds the front door's database connections.
	serveConns = 32
	// shutdownTimeout is how long requests under way may take to end at a stop.
	shutdownTimeout = 10 * time.Second
	// rulesEvery is how often the front door says by which rules it settles tiers.
	rulesEvery = 15 * time.Second
)

func serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the HTTP API, configured by the environment",
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			settings, err := config.LoadServe()
			if err != nil {
				return err
			}
			return serve(cmd.Context(), settings, slog.New(slog.NewTextHandler(os.Stderr, nil)))
		}),
	}
}

// serve runs the front door until ctx ends.
func serve(ctx context.Context, settings config.Serve, log *slog.Logger) error {
	store, err := ledger.Open(ctx, settings.DatabaseURL, serveConns)
	if err != nil {
		return err
	}
	defer store.Close()
	temporal, err := config.Temporal(log)
	if err != nil {
		return err
	}
	defer temporal.Close()
	gateways, err := settings.Gateways()
	if err != nil {
		return err
	}
	links, err := settings.Links()
	if err != nil {
		return err
	}
	go gateways.Watch(ctx, log)
	go noteRules(ctx, store, log)
	front := api.New(ctx, api.Options{
		Store:              store,
		Temporal:           temporal,
		Queues:             workflows.DefaultQueues(),
		Stripe:             activities.NewStripeClient(settings.StripeAPIBase, settings.StripeSecretKey),
		ReturnURL:          settings.ReturnURL,
		WebhookSecrets:     settings.WebhookSecrets,
		Gateways:           gateways.URLs,
		MaxPurchaseCents:   settings.MaxPurchaseCents,
		Seller:             models.Seller{Name: settings.Company, Details: settings.CompanyDetails},
		Company:            settings.Company,
		URL:                settings.URL,
		Links:              links,
		AuthorizationLasts: settings.AuthorizationLasts(),
		Now:                func() time.Time { return time.Now().UTC() },
		Log:                log,
	})
	defer front.Close()
	listener, err := net.Listen("tcp", settings.Listen)
	if err != nil {
		return fmt.Errorf("listen (PAYSTAGE_LISTEN, or the host and port of PAYSTAGE_URL): %w", err)
	}
	log.Info("serving", "address", listener.Addr().String())
	server := &http.Server{Handler: front, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	return untilDone(ctx, server, listener)
}

// noteRules says, until ctx ends, by which rules the front door settles tiers: workers
// of another release wait with theirs until it has ended.
func noteRules(ctx context.Context, store *ledger.Ledger, log *slog.Logger) {
	ticker := time.NewTicker(rulesEvery)
	defer ticker.Stop()
	for {
		if err := store.NoteRules(ctx, billing.RulesFingerprint()); err != nil && ctx.Err() == nil {
			log.Error("other releases don't know by which rules this one settles tiers", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// untilDone serves until ctx ends, and lets requests under way end. Those that
// wait for a purchase stop waiting and answer what there is.
func untilDone(ctx context.Context, server *http.Server, listener net.Listener) error {
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	if err := <-stopped; err != nil {
		return fmt.Errorf("requests under way were cut off: %w", err)
	}
	return nil
}

func migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database at DATABASE_URL to the newest schema",
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			url, err := setting("DATABASE_URL")
			if err != nil {
				return err
			}
			if err := migrations.Up(cmd.Context(), url); err != nil {
				return err
			}
			return show(cmd, map[string]string{"status": "up to date"}, "The database is up to date.")
		}),
	}
}
