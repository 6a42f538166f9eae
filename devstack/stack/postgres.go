package stack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Bounds on PostgreSQL. Recovery after a crash replays at most one checkpoint's
// worth of log, which is seconds.
const (
	initWithin          = 2 * time.Minute
	postgresReadyWithin = 60 * time.Second
	postgresStopWithin  = 20 * time.Second
)

const (
	superuser           = "postgres"
	maintenanceDatabase = "postgres"
	// Files in a cluster's home that hold a password each.
	superuserPassword = "password"
	ownerPassword     = "owner-password"
)

// PostgresConfig says where a private cluster lives.
type PostgresConfig struct {
	// Home is the folder of the cluster. It becomes a link when the user that runs
	// the server cannot enter it.
	Home string
	Port int
	// Log is the file of the server's log.
	Log      string
	Progress *Progress
}

// Postgres is a private database cluster on the loopback address.
type Postgres struct {
	config PostgresConfig
	// home is where Home really is.
	home     string
	bin      string
	password string
	user     *syscall.Credential
	process  *Process
}

// OpenPostgres makes a cluster ready to start: it finds or installs PostgreSQL
// and creates the cluster on first use.
func OpenPostgres(ctx context.Context, config PostgresConfig) (*Postgres, error) {
	// Installing creates the user that owns the cluster, so it comes first.
	bin, err := findPostgres(ctx, clusterMajor(config.Home), config.Progress)
	if err != nil {
		return nil, err
	}
	p := &Postgres{config: config, bin: bin}
	if p.home, p.user, err = prepareHome(config.Home); err != nil {
		return nil, fmt.Errorf("prepare %s for PostgreSQL: %w", config.Home, err)
	}
	if p.password, err = readOrMakeSecret(filepath.Join(p.home, superuserPassword), p.user); err != nil {
		return nil, fmt.Errorf("prepare the password of PostgreSQL: %w", err)
	}
	if _, err := os.Stat(p.data()); err == nil {
		return p, nil
	}
	err = config.Progress.Step("postgres", "create a cluster", func() error { return p.initialize(ctx) })
	return p, err
}

// clusterMajor is the major version that made the cluster, "" when there is none.
func clusterMajor(home string) string {
	text, err := os.ReadFile(filepath.Join(home, "data", "PG_VERSION"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func (p *Postgres) data() string { return filepath.Join(p.home, "data") }

// BinDir is the folder of the server programs in use.
func (p *Postgres) BinDir() string { return p.bin }

// initialize creates the cluster under another name and renames it when it is
// whole, so that an interruption leaves nothing that looks like a cluster.
func (p *Postgres) initialize(ctx context.Context) error {
	unfinished := filepath.Join(p.home, "data.unfinished")
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, initWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "initdb"),
		"--pgdata="+unfinished, "--username="+superuser, "--pwfile="+filepath.Join(p.home, superuserPassword),
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions")
	cmd.Dir = p.home
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.user}
	if err := runQuiet(cmd, "the cluster was not created"); err != nil {
		return err
	}
	return os.Rename(unfinished, p.data())
}

// Start starts the server and waits until it answers. It copes with what an
// unclean end left behind.
func (p *Postgres) Start(ctx context.Context) error {
	if err := endServersIn(ctx, p.data()); err != nil {
		return err
	}
	// No process works in the data folder, so this names nobody, or a stranger
	// that has the number now, which would keep the server from starting.
	err := os.Remove(filepath.Join(p.data(), "postmaster.pid"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("start postgres: %w", err)
	}
	p.process, err = Start(Command{
		Name:       "postgres",
		Path:       filepath.Join(p.bin, "postgres"),
		Args:       append([]string{"-D", p.data()}, p.settings()...),
		Dir:        p.home,
		Log:        p.config.Log,
		User:       p.user,
		StopSignal: syscall.SIGINT,
		StopWithin: postgresStopWithin,
		// A fast shutdown when we die, so that the next start need not recover.
		DeathSignal: syscall.SIGINT,
	})
	if err != nil {
		return err
	}
	err = awaitReady(ctx, p.process, postgresReadyWithin, func(ctx context.Context) error {
		return p.run(ctx, maintenanceDatabase, func(*pgx.Conn) error { return nil })
	})
	if err != nil {
		return errors.Join(err, p.process.Stop())
	}
	return nil
}

// settings are given on the command line, so that a cluster made by an older
// checkout runs with the newest ones. Durability stays as in production.
func (p *Postgres) settings() []string {
	var args []string
	for _, setting := range []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(p.config.Port),
		"unix_socket_directories=",
		"max_connections=200",
		"shared_buffers=256MB",
		"timezone=UTC",
		"log_timezone=UTC",
	} {
		args = append(args, "-c", setting)
	}
	return args
}

// Process is the running server.
func (p *Postgres) Process() *Process { return p.process }

// Stop ends the server, closing every connection.
func (p *Postgres) Stop() error { return p.process.Stop() }

// Kill ends the server as a crash would, and waits until none of it is left.
func (p *Postgres) Kill(ctx context.Context) error {
	p.process.Kill()
	return endServersIn(ctx, p.data())
}

// URL is the address of a database for the superuser.
func (p *Postgres) URL(database string) string {
	return p.url(superuser, p.password, database)
}

func (p *Postgres) url(name, password, database string) string {
	address := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(name, password),
		Host:     loopback(p.config.Port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return address.String()
}

// OwnedDatabase makes a database that belongs to a plain role of the same name,
// unless it is there, and gives its address for that role. What runs on it has
// the rights it would have in production and no more.
func (p *Postgres) OwnedDatabase(ctx context.Context, name string) (string, error) {
	password, err := readOrMakeSecret(filepath.Join(p.home, ownerPassword), p.user)
	if err != nil {
		return "", fmt.Errorf("prepare database %s: %w", name, err)
	}
	identifier := pgx.Identifier{name}.Sanitize()
	err = p.run(ctx, maintenanceDatabase, func(conn *pgx.Conn) error {
		var role, database bool
		const exist = `select exists (select from pg_roles where rolname = $1),
			exists (select from pg_database where datname = $1)`
		if err := conn.QueryRow(ctx, exist, name).Scan(&role, &database); err != nil {
			return err
		}
		if !role {
			// The password is of our own making, letters and digits alone.
			statement := fmt.Sprintf("create role %s login password '%s'", identifier, password)
			if _, err := conn.Exec(ctx, statement); err != nil {
				return err
			}
		}
		if database {
			return nil
		}
		_, err := conn.Exec(ctx, fmt.Sprintf("create database %s owner %s", identifier, identifier))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("prepare database %s: %w", name, err)
	}
	return p.url(name, password, name), nil
}

// DropDatabases drops the databases whose names begin with prefix.
func (p *Postgres) DropDatabases(ctx context.Context, prefix string) error {
	err := p.run(ctx, maintenanceDatabase, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "select datname from pg_database where starts_with(datname, $1)", prefix)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range names {
			statement := "drop database if exists " + pgx.Identifier{name}.Sanitize() + " with (force)"
			if _, err := conn.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop databases %s*: %w", prefix, err)
	}
	return nil
}

func (p *Postgres) run(ctx context.Context, database string, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, p.URL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return f(conn)
}
