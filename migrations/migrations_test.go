package migrations_test

import (
	"context"
	"database/sql"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"

	"github.com/paystage/paystage/migrations"
	"github.com/paystage/paystage/testenv"
)

// empty makes a database that nothing has migrated yet, beside a test's own.
func empty(t *testing.T) string {
	t.Helper()
	address, err := url.Parse(testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	server, name := address.String(), strings.TrimPrefix(address.Path, "/")+"_empty"
	run(t, server, "create database "+name)
	t.Cleanup(func() { run(t, server, "drop database "+name+" with (force)") })
	address.Path = "/" + name
	return address.String()
}

func run(t *testing.T, address, statement string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
}

// schema is everything that the migrations made, as text.
func schema(t *testing.T, address string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, _ := conn.Query(t.Context(), `
		select 'function ' || p.oid::regprocedure || md5(p.prosrc) from pg_proc p where p.pronamespace = 'public'::regnamespace
		union all
		select 'trigger ' || pg_get_triggerdef(t.oid) from pg_trigger t where not t.tgisinternal
		union all
		select 'constraint ' || conrelid::regclass || conname || pg_get_constraintdef(oid) from pg_constraint
		 where connamespace = 'public'::regnamespace and conrelid <> 0
		union all
		select 'column ' || table_name || column_name || data_type || coalesce(column_default, '') || is_nullable
		  from information_schema.columns where table_schema = 'public'
		union all
		select 'index ' || indexdef from pg_indexes where schemaname = 'public'
		union all
		select 'type ' || typname from pg_type where typnamespace = 'public'::regnamespace and typtype = 'e'
		order by 1`)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, line := range lines {
		if !strings.Contains(line, "goose") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func TestSeveralProcessesMayMigrateAtOnce(t *testing.T) {
	t.Parallel()
	address := empty(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := migrations.Up(t.Context(), address); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	before := schema(t, address)
	if !strings.Contains(before, "purchase_credit") {
		t.Fatal("the database is not migrated")
	}
	if err := migrations.Up(t.Context(), address); err != nil {
		t.Errorf("once more: %v", err)
	}
	if schema(t, address) != before {
		t.Error("migrating once more changed the schema")
	}
}

func TestEveryMigrationGoesDownAndUpAgain(t *testing.T) {
	t.Parallel()
	address := empty(t)
	if err := migrations.Up(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	whole := schema(t, address)
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if left := schema(t, address); left != "" {
		t.Errorf("left behind:\n%s", left)
	}
	if err := migrations.Up(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if schema(t, address) != whole {
		t.Error("after down and up again the schema is another")
	}
}

func TestUpSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	err := migrations.Up(t.Context(), "postgres://nobody@127.0.0.1:1/none?sslmode=disable&connect_timeout=1")
	if err == nil {
		t.Fatal("a database that is not there was migrated")
	}
}
