package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Dir is a folder that holds the state of one local stack, as an absolute path.
type Dir string

// FindRoot gives the folder of the go.mod that governs from: the root of the checkout.
func FindRoot(from string) (string, error) {
	dir, err := filepath.Abs(from)
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find the checkout: no go.mod in %s or above it", from)
		}
		dir = parent
	}
}

// MakeDir makes the folder at path, if it is not there, with the folders that
// its parts expect. The folder can be entered by others, because PostgreSQL runs
// as another user when root starts it; what is secret in it is a 0600 file.
func MakeDir(path string) (Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("make state folder: %w", err)
	}
	d := Dir(abs)
	for _, folder := range []string{abs, d.State("log")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return "", fmt.Errorf("make state folder: %w", err)
		}
	}
	return d, nil
}

// Bin is the path of a binary that was built for this stack.
func (d Dir) Bin(name string) string { return d.State("bin", name) }

// Log is the path of the log of one part.
func (d Dir) Log(part string) string { return d.State("log", part+".log") }

// EnvFile is where the addresses and keys of the stack are written for others.
func (d Dir) EnvFile() string { return d.State("env") }

// State is the path of something the stack keeps in the folder.
func (d Dir) State(elements ...string) string {
	return filepath.Join(append([]string{string(d)}, elements...)...)
}

// Clean removes everything the stack at dir keeps, the databases of it and of the
// folders inside it included. It refuses while one of them is in use.
func Clean(dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("clean: %w", err)
	}
	// Whatever runs in a folder has left its lock file there.
	locks, err := filepath.Glob(filepath.Join(abs, "*", "lock"))
	if err != nil {
		return fmt.Errorf("clean: %w", err)
	}
	var folders []Dir
	for _, path := range append(locks, lockPath(Dir(abs))) {
		folder := Dir(filepath.Dir(path))
		if _, err := os.Stat(string(folder)); errors.Is(err, os.ErrNotExist) {
			continue
		}
		lock, err := Acquire(folder, "clean")
		if err != nil {
			return fmt.Errorf("clean: %w", err)
		}
		defer lock.Release()
		folders = append(folders, folder)
	}
	for _, folder := range folders {
		if err := RemoveCluster(clusterHome(folder)); err != nil {
			return fmt.Errorf("clean: %w", err)
		}
	}
	if err := os.RemoveAll(abs); err != nil {
		return fmt.Errorf("clean: %w", err)
	}
	return nil
}

// TestDir is the folder, inside a stack's own, of the servers that tests use.
// They are apart from the stack's, so that both can run at once.
func TestDir(dir string) string { return filepath.Join(dir, "test") }

// clusterHome is where the database cluster of a folder lives.
func clusterHome(d Dir) string { return d.State("pg") }
