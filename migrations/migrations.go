// Package migrations holds the database schema of Paystage as numbered SQL.
//
// The schema is where the invariants are enforced for every writer: constraints
// and triggers refuse an unbalanced ledger transaction, a changed entry, credits
// below zero, a second capture or credit of one purchase, an entitlement version
// that goes back. The functions in it are the steps of the hot path, each one
// statement for its caller and one transaction in the database.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that sql.Open names
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed *.sql
var files embed.FS

// Files are the migrations themselves, for whoever caches a migrated database
// by their content.
func Files() embed.FS { return files }

// While another process migrates, its lock is asked for this often, for five
// minutes in all.
const (
	lockProbeSeconds = 1
	lockProbes       = 300
)

// Up brings the database at databaseURL to the newest schema. It is safe to run
// from several processes at once: an advisory lock lets one of them do it.
func Up(ctx context.Context, databaseURL string) error {
	db, err := sql.Open("pgx", databaseURL)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer db.Close()
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockProbeSeconds, lockProbes))
	if err != nil {
		return fmt.Errorf("prepare migration lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	return nil
}
