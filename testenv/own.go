package testenv

import (
	"context"
	"os"
	"testing"

	"github.com/paystage/paystage/devstack/stack"
)

// ownFolder makes a folder for a server of one test's own and picks its port. The
// folder can be entered by the user that root hands PostgreSQL to, which a test's
// TempDir cannot. It is removed after everything that the test cleans up later.
func ownFolder(t testing.TB, part string) (stack.Dir, int) {
	t.Helper()
	folder, err := os.MkdirTemp("", "paystage-test-")
	if err != nil {
		t.Fatalf("testenv: make a folder: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Errorf("testenv: remove a folder: %v", err)
		}
	})
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatalf("testenv: make a folder: %v", err)
	}
	dir, err := stack.MakeDir(folder)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	ports, err := stack.OpenPorts(dir)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	port, err := ports.Get(part)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return dir, port
}

// must fails the test when a step on one of its servers fails or takes too long.
func must(t testing.TB, step func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stepWithin)
	defer cancel()
	if err := step(ctx); err != nil {
		t.Fatalf("testenv: %v", err)
	}
}
