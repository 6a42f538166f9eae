package testenv

import (
	"context"
	"testing"

	"github.com/paystage/paystage/devstack/stack"
)

// TemporalServer is a Temporal of one test's own. It keeps its address and its
// workflows when it is stopped or killed and started again.
type TemporalServer struct {
	Address   string
	Namespace string

	t      testing.TB
	config stack.TemporalConfig
	server *stack.Temporal
}

// OwnTemporal starts a Temporal for one test. A test that needs no restart calls
// [Temporal].
func OwnTemporal(t testing.TB) *TemporalServer {
	t.Helper()
	binary := require(t, stack.TestTemporalBin)
	dir, port := ownFolder(t, "temporal")
	s := &TemporalServer{
		Namespace: stack.TemporalNamespace,
		t:         t,
		config: stack.TemporalConfig{
			Binary: binary, Port: port, Store: dir.State("temporal.db"), Log: dir.Log("temporal"),
		},
	}
	s.Start()
	s.Address = s.server.Address()
	t.Cleanup(s.Stop)
	return s
}

// Start starts the server and waits until it serves.
func (s *TemporalServer) Start() {
	s.t.Helper()
	must(s.t, func(ctx context.Context) (err error) {
		s.server, err = stack.StartTemporal(ctx, s.config)
		return err
	})
}

// Stop ends the server. A stopped one stays so.
func (s *TemporalServer) Stop() {
	s.t.Helper()
	must(s.t, func(context.Context) error { return s.server.Stop() })
}

// Kill ends the server as a crash would.
func (s *TemporalServer) Kill() { s.server.Kill() }
