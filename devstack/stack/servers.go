package stack

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// givenTemporalWithin is how long a Temporal that is given may take to answer.
const givenTemporalWithin = 10 * time.Second

// database is the name of the stack's own database and of the role it belongs to.
const database = "paystage"

// startServers starts what worker and front door need, side by side.
func (s *Stack) startServers(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.startPostgres(ctx) })
	group.Go(func() error { return s.startTemporal(ctx) })
	group.Go(func() error { return s.startPrograms(ctx) })
	return group.Wait()
}

func (s *Stack) startPostgres(ctx context.Context) error {
	if s.given[DatabaseURL] != "" {
		s.config.Progress.Say("postgres", "not started: %s is given", DatabaseURL)
		return nil
	}
	port, err := s.ports.Get("postgres")
	if err != nil {
		return err
	}
	p, err := OpenPostgres(ctx, PostgresConfig{
		Home: clusterHome(s.dir), Port: port, Log: s.dir.Log("postgres"), Progress: s.config.Progress,
	})
	if err != nil {
		return err
	}
	return s.config.Progress.Step("postgres", "start on "+loopback(port), func() error {
		if err := p.Start(ctx); err != nil {
			return err
		}
		s.watch(p.Process())
		s.mu.Lock()
		s.postgres = p
		s.mu.Unlock()
		address, err := p.OwnedDatabase(ctx, database)
		s.set(DatabaseURL, address)
		return err
	})
}

func (s *Stack) startTemporal(ctx context.Context) error {
	if s.given[TemporalAddress] != "" {
		return s.useTemporal(ctx)
	}
	binary, err := FindTemporal(ctx, s.dir, s.config.Progress)
	if err != nil {
		return err
	}
	port, err := s.ports.Get("temporal")
	if err != nil {
		return err
	}
	uiPort, err := s.ports.Get("temporal-ui")
	if err != nil {
		return err
	}
	return s.config.Progress.Step("temporal", "start on "+loopback(port), func() error {
		t, err := StartTemporal(ctx, TemporalConfig{
			Binary: binary, Port: port, UIPort: uiPort,
			Store: s.dir.State("temporal.db"), Log: s.dir.Log("temporal"),
		})
		if err != nil {
			return err
		}
		s.watch(t.Process())
		s.mu.Lock()
		s.temporal = t
		s.mu.Unlock()
		s.set(TemporalAddress, t.Address())
		s.set(TemporalNamespaceName, TemporalNamespace)
		s.set(TemporalUIURL, t.UIURL())
		return nil
	})
}

func (s *Stack) useTemporal(ctx context.Context) error {
	if s.given[TemporalNamespaceName] == "" {
		s.set(TemporalNamespaceName, TemporalNamespace)
	}
	s.config.Progress.Say("temporal", "not started: %s is given", TemporalAddress)
	ctx, cancel := context.WithTimeout(ctx, givenTemporalWithin)
	defer cancel()
	return CheckTemporal(ctx, s.given[TemporalAddress], s.get(TemporalNamespaceName))
}
