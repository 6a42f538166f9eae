package stack

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestEndServersIn checks that a start waits for a server whose parent was killed:
// two servers on one data folder would destroy it.
func TestEndServersIn(t *testing.T) {
	folder := t.TempDir()
	server := sleeper(t, folder, "postgres", "0.2")
	stranger := sleeper(t, folder, "psql", "600")
	if err := endServersIn(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	if alive(server.PID()) {
		t.Error("it did not wait for the server")
	}
	if !alive(stranger.PID()) {
		t.Error("somebody else who works in the folder was ended")
	}
}

// sleeper runs under a name of its own in a folder.
func sleeper(t *testing.T, folder, name, seconds string) *Process {
	t.Helper()
	program, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := Start(Command{Name: name, Path: path, Args: []string{seconds}, Dir: folder, StopWithin: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}
