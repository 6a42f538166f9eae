package stack

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestPostgresAfterAnUncleanEnd starts a cluster again after the process that ran
// it was killed, without a word to PostgreSQL.
func TestPostgresAfterAnUncleanEnd(t *testing.T) {
	if testing.Short() {
		t.SkipNow()
	}
	d := newDir(t)
	t.Cleanup(func() {
		if err := RemoveCluster(clusterHome(d)); err != nil {
			t.Error(err)
		}
	})
	parent, port := runStandIn(t, "postgres", "PAYSTAGE_TEST_DIR="+string(d))
	parent.Kill()
	server, err := startCluster(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	if server.config.Port != port {
		t.Errorf("port %d, want the one before, %d", server.config.Port, port)
	}
	address, err := server.OwnedDatabase(t.Context(), "paystage")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("TheOwnerIsNoSuperuser", func(t *testing.T) { checkPlainRole(t, address) })
	t.Run("RootRunsItAsAnother", func(t *testing.T) { checkNotRoot(t, server) })
	t.Run("ItIsOneDatabaseEachTime", func(t *testing.T) {
		again, err := server.OwnedDatabase(t.Context(), "paystage")
		if err != nil || again != address {
			t.Errorf("got %s, %v, want %s", again, err, address)
		}
	})
}

func checkPlainRole(t *testing.T, address string) {
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var super bool
	var fsync string
	const query = "select rolsuper, current_setting('fsync') from pg_roles where rolname = current_user"
	if err := conn.QueryRow(t.Context(), query).Scan(&super, &fsync); err != nil {
		t.Fatal(err)
	}
	if super || fsync != "on" {
		t.Errorf("superuser %v, fsync %s; want a plain role and fsync on", super, fsync)
	}
}

func checkNotRoot(t *testing.T, server *Postgres) {
	if os.Geteuid() != 0 {
		t.SkipNow()
	}
	if server.user == nil || server.user.Uid == 0 {
		t.Errorf("it runs as %+v", server.user)
	}
	// A test's folder cannot be entered by others, so the data went elsewhere.
	if _, err := os.Readlink(server.config.Home); err != nil {
		t.Errorf("the home is no link: %v", err)
	}
}
