package testenv

import (
	"context"
	"fmt"
	"testing"

	"github.com/paystage/paystage/devstack/stack"
)

// RedisServer is a Redis of one test's own. It keeps its address when it is stopped
// and started again, and forgets everything else.
type RedisServer struct {
	URL string

	t      testing.TB
	dir    stack.Dir
	port   int
	server *stack.Process
}

// OwnRedis starts a Redis for one test.
func OwnRedis(t testing.TB) *RedisServer {
	t.Helper()
	if testing.Short() {
		t.SkipNow()
	}
	dir, port := ownFolder(t, "redis")
	s := &RedisServer{t: t, dir: dir, port: port, URL: fmt.Sprintf("redis://127.0.0.1:%d/0", port)}
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// Start starts the server and waits until it takes connections.
func (s *RedisServer) Start() {
	s.t.Helper()
	must(s.t, func(ctx context.Context) (err error) {
		s.server, err = stack.StartRedis(ctx, s.dir, s.port)
		return err
	})
}

// Stop ends the server. A stopped one stays so.
func (s *RedisServer) Stop() {
	s.t.Helper()
	must(s.t, func(context.Context) error { return s.server.Stop() })
}
