package testenv

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/paystage/paystage/devstack/stack"
	"github.com/paystage/paystage/migrations"
)

// PostgresServer is a PostgreSQL of one test's own. It keeps its address and its
// data when it is stopped or killed and started again.
type PostgresServer struct {
	// DatabaseURL is a migrated database on it, for the plain role that owns it.
	DatabaseURL string

	t      testing.TB
	server *stack.Postgres
}

// OwnPostgres starts a PostgreSQL for one test, with a migrated database on it.
// It takes a second or two; a test that only needs a database calls [Database].
func OwnPostgres(t testing.TB) *PostgresServer {
	t.Helper()
	require(t, stack.TestPostgresBin)
	dir, port := ownFolder(t, "postgres")
	home := filepath.Join(string(dir), "pg")
	p := &PostgresServer{t: t}
	must(t, func(ctx context.Context) (err error) {
		p.server, err = stack.OpenPostgres(ctx, stack.PostgresConfig{Home: home, Port: port, Log: dir.Log("postgres")})
		return err
	})
	t.Cleanup(func() {
		if err := stack.RemoveCluster(home); err != nil {
			t.Errorf("testenv: %v", err)
		}
	})
	p.Start()
	t.Cleanup(p.Stop)
	must(t, func(ctx context.Context) (err error) {
		if p.DatabaseURL, err = p.server.OwnedDatabase(ctx, "paystage"); err != nil {
			return err
		}
		return migrations.Up(ctx, p.DatabaseURL)
	})
	return p
}

// Start starts the server and waits until it answers.
func (p *PostgresServer) Start() {
	p.t.Helper()
	must(p.t, p.server.Start)
}

// Stop ends the server and every connection to it. A stopped one stays so.
func (p *PostgresServer) Stop() {
	p.t.Helper()
	must(p.t, func(context.Context) error { return p.server.Stop() })
}

// Kill ends the server as a crash would: the next start has to recover.
func (p *PostgresServer) Kill() {
	p.t.Helper()
	must(p.t, p.server.Kill)
}
