package testenv

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/paystage/paystage/devstack/stack"
	"github.com/paystage/paystage/migrations"
)

const (
	templatePrefix = "paystage_template_"
	// templateLock is the advisory lock under which one test binary migrates and
	// the others wait.
	templateLock = 7_304_251_188
	// templatesKept is how many templates a cluster keeps, the newest: several trees
	// with other migrations may use it at once.
	templatesKept = 16
)

// Database gives the address of a fresh, migrated database for the superuser of
// its cluster. It is dropped when the test ends, whoever is still connected.
func Database(t testing.TB) string {
	t.Helper()
	server := require(t, stack.TestDatabaseURL)
	return clone(t, server)
}

// clone makes a database from the template of the cluster that server is in.
func clone(t testing.TB, server string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stepWithin)
	defer cancel()
	template, err := ensureTemplate(ctx, server)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	name := stack.TestDatabasePrefix + strings.ToLower(rand.Text())
	err = run(ctx, server, fmt.Sprintf("create database %s template %s", name, template))
	if err != nil {
		t.Fatalf("testenv: clone the template: %v", err)
	}
	t.Cleanup(func() { drop(t, server, name) })
	address, err := withDatabase(server, name)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return address
}

// drop removes a database after its test. The test's own context has ended by then.
func drop(t testing.TB, server, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), stepWithin)
	defer cancel()
	if err := run(ctx, server, "drop database if exists "+name+" with (force)"); err != nil {
		t.Errorf("testenv: drop database: %v", err)
	}
}

// ensureTemplate gives the name of the migrated template database of a cluster and
// makes it if it is not there. Its name holds a hash of the migrations, so changed
// migrations make a new one; the oldest are dropped then.
func ensureTemplate(ctx context.Context, server string) (string, error) {
	hash, err := hashMigrations()
	if err != nil {
		return "", err
	}
	name := templatePrefix + hash
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return "", fmt.Errorf("connect to the test database: %w", err)
	}
	defer conn.Close(ctx)
	if exists, err := hasDatabase(ctx, conn, name); err != nil || exists {
		return name, err
	}
	// The lock goes with the connection.
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", int64(templateLock)); err != nil {
		return "", fmt.Errorf("lock the template: %w", err)
	}
	if exists, err := hasDatabase(ctx, conn, name); err != nil || exists {
		return name, err
	}
	return name, makeTemplate(ctx, conn, server, name)
}

// makeTemplate migrates a database under another name and renames it when it is
// whole, so that an interruption leaves no template that looks finished.
func makeTemplate(ctx context.Context, conn *pgx.Conn, server, name string) error {
	unfinished := name + "_unfinished"
	rows, err := conn.Query(ctx, `
		select datname from pg_database where datname = $2
		union all
		(select datname from pg_database where starts_with(datname, $1) and datname <> $2 order by oid desc offset $3)`,
		templatePrefix, unfinished, templatesKept)
	if err != nil {
		return fmt.Errorf("list templates: %w", err)
	}
	old, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list templates: %w", err)
	}
	for _, name := range old {
		if _, err := conn.Exec(ctx, "drop database "+name+" with (force)"); err != nil {
			return fmt.Errorf("drop an old template: %w", err)
		}
	}
	if _, err := conn.Exec(ctx, "create database "+unfinished); err != nil {
		return fmt.Errorf("make the template: %w", err)
	}
	address, err := withDatabase(server, unfinished)
	if err != nil {
		return err
	}
	if err := migrations.Up(ctx, address); err != nil {
		return fmt.Errorf("make the template: %w", err)
	}
	// Without connections it can be cloned at any time.
	for _, statement := range []string{
		"alter database " + unfinished + " with allow_connections false",
		"alter database " + unfinished + " rename to " + name,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("make the template: %w", err)
		}
	}
	return nil
}

func hasDatabase(ctx context.Context, conn *pgx.Conn, name string) (exists bool, err error) {
	const query = "select exists (select from pg_database where datname = $1)"
	if err := conn.QueryRow(ctx, query, name).Scan(&exists); err != nil {
		return false, fmt.Errorf("look for the template: %w", err)
	}
	return exists, nil
}

// hashMigrations is the content of all migrations in 16 hexadecimal digits.
func hashMigrations() (string, error) {
	sum := sha256.New()
	files := migrations.Files()
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		fmt.Fprintf(sum, "%s %d\n%s", path, len(text), text)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read the migrations: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

func run(ctx context.Context, server, statement string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

func withDatabase(server, name string) (string, error) {
	address, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("read the address of the test database: %w", err)
	}
	address.Path = "/" + name
	return address.String(), nil
}
