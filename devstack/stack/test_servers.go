package stack

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// The names under which a test run finds the servers it may use.
const (
	TestDatabaseURL     = "TEST_DATABASE_URL"
	TestTemporalAddress = "TEST_TEMPORAL_ADDRESS"
	TestTemporalBin     = "TEST_TEMPORAL_BIN"
	TestPostgresBin     = "TEST_POSTGRES_BIN"
)

// TestDatabasePrefix begins the names of databases that one test owns. What a
// killed test run left of them goes when the next one starts.
const TestDatabasePrefix = "paystage_test_"

// TestServers are a PostgreSQL and a Temporal for tests, apart from the stack's.
type TestServers struct {
	lock     *Lock
	postgres *Postgres
	temporal *Temporal
}

// TestConfig says which servers a test run needs.
type TestConfig struct {
	// Dir is the state folder of the stack; the servers have a folder inside it.
	Dir string
	// Command is what the user called, for whoever finds the folder in use.
	Command string
	// Temporal says whether there is a Temporal, in memory, as well.
	Temporal bool
	Progress *Progress
}

// StartTestServers starts the servers that tests share. The cluster is kept for
// the next run, the workflows are not. When it fails nothing is left running.
func StartTestServers(ctx context.Context, config TestConfig) (*TestServers, error) {
	dir, err := MakeDir(config.Dir)
	if err != nil {
		return nil, err
	}
	folder, err := MakeDir(TestDir(config.Dir))
	if err != nil {
		return nil, err
	}
	lock, err := Acquire(folder, config.Command)
	if err != nil {
		return nil, err
	}
	s := &TestServers{lock: lock}
	ports, err := OpenPorts(folder)
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		s.postgres, err = startTestPostgres(ctx, folder, ports, config.Progress)
		return err
	})
	group.Go(func() (err error) {
		if config.Temporal {
			s.temporal, err = startTestTemporal(ctx, dir, folder, ports, config.Progress)
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func startTestPostgres(ctx context.Context, folder Dir, ports *Ports, progress *Progress) (*Postgres, error) {
	port, err := ports.Get("postgres")
	if err != nil {
		return nil, err
	}
	p, err := OpenPostgres(ctx, PostgresConfig{
		Home: clusterHome(folder), Port: port, Log: folder.Log("postgres"), Progress: progress,
	})
	if err != nil {
		return nil, err
	}
	err = progress.Step("postgres", "start for tests on "+loopback(port), func() error { return p.Start(ctx) })
	if err != nil {
		return nil, err
	}
	if err := p.DropDatabases(ctx, TestDatabasePrefix); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func startTestTemporal(ctx context.Context, dir, folder Dir, ports *Ports, progress *Progress) (t *Temporal, err error) {
	binary, err := FindTemporal(ctx, dir, progress)
	if err != nil {
		return nil, err
	}
	port, err := ports.Get("temporal")
	if err != nil {
		return nil, err
	}
	err = progress.Step("temporal", "start for tests on "+loopback(port), func() error {
		t, err = StartTemporal(ctx, TemporalConfig{Binary: binary, Port: port, Log: folder.Log("temporal")})
		return err
	})
	return t, err
}

// Env is what a test run finds the servers by, as NAME=value.
func (s *TestServers) Env() []string {
	env := []string{
		fmt.Sprintf("%s=%s", TestDatabaseURL, s.postgres.URL(maintenanceDatabase)),
		fmt.Sprintf("%s=%s", TestPostgresBin, s.postgres.BinDir()),
	}
	if s.temporal != nil {
		env = append(env,
			fmt.Sprintf("%s=%s", TestTemporalAddress, s.temporal.Address()),
			fmt.Sprintf("%s=%s", TestTemporalBin, s.temporal.config.Binary))
	}
	return env
}

// Stop ends the servers and gives their folder up.
func (s *TestServers) Stop() error {
	defer s.lock.Release()
	var running []*Process
	if s.temporal != nil {
		running = append(running, s.temporal.Process())
	}
	if s.postgres != nil {
		running = append(running, s.postgres.Process())
	}
	return stopAll(running)
}
