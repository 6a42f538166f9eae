package testenv

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/paystage/paystage/devstack/stack"
)

func TestDatabaseIsMigratedAndOnesOwn(t *testing.T) {
	first, second := Database(t), Database(t)
	if first == second {
		t.Fatalf("two calls gave the same database %s", first)
	}
	exec(t, first, "create table mine ()")
	if got := tables(t, second, "mine"); got != 0 {
		t.Error("a table of one database is in another")
	}
	if got := tables(t, first, "accounts"); got != 1 {
		t.Error("the database is not migrated: it has no table accounts")
	}
}

func TestDatabaseIsDroppedThoughSomebodyIsConnected(t *testing.T) {
	server := require(t, stack.TestDatabaseURL)
	var address string
	t.Run("user", func(t *testing.T) {
		address = Database(t)
		conn, err := pgx.Connect(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	})
	if err := run(t.Context(), address, "select 1"); err == nil {
		t.Error("the database is still there after its test")
	}
	if err := run(t.Context(), server, "select 1"); err != nil {
		t.Errorf("the server is gone: %v", err)
	}
}

func TestDatabasesAreMadeSideBySide(t *testing.T) {
	// A server of its own has no template yet, so all of them want to make it at once.
	server := OwnPostgres(t).server.URL("postgres")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, err := ensureTemplate(t.Context(), server); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := tables(t, clone(t, server), "accounts"); got != 1 {
		t.Error("the template is not migrated")
	}
}

func TestOwnPostgresKeepsItsDataThroughACrash(t *testing.T) {
	p := OwnPostgres(t)
	exec(t, p.DatabaseURL, "create table kept ()")
	p.Kill()
	if err := run(t.Context(), p.DatabaseURL, "select 1"); err == nil {
		t.Fatal("a killed server answers")
	}
	p.Start()
	if got := tables(t, p.DatabaseURL, "kept"); got != 1 {
		t.Error("a committed table is lost")
	}
	p.Stop()
	p.Start()
	if got := tables(t, p.DatabaseURL, "kept"); got != 1 {
		t.Error("a committed table is lost")
	}
}

func TestTemporalServes(t *testing.T) {
	address, namespace := Temporal(t)
	if err := stack.CheckTemporal(t.Context(), address, namespace); err != nil {
		t.Error(err)
	}
}

func TestOwnTemporalComesBackAtItsAddress(t *testing.T) {
	s := OwnTemporal(t)
	s.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := stack.CheckTemporal(ctx, s.Address, s.Namespace); err == nil {
		t.Fatal("a killed server answers")
	}
	s.Start()
	if err := stack.CheckTemporal(t.Context(), s.Address, s.Namespace); err != nil {
		t.Error(err)
	}
}

func exec(t *testing.T, address, statement string) {
	t.Helper()
	if err := run(t.Context(), address, statement); err != nil {
		t.Fatal(err)
	}
}

// tables counts the tables of a name in the public schema.
func tables(t *testing.T, address, name string) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var count int
	const query = "select count(*) from pg_tables where schemaname = 'public' and tablename = $1"
	if err := conn.QueryRow(t.Context(), query, name).Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}
