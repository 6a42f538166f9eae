package stack

import (
	"errors"
	"net"
	"os"
	"testing"
)

func newDir(t *testing.T) Dir {
	t.Helper()
	d, err := MakeDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLockNamesItsHolder(t *testing.T) {
	d := newDir(t)
	lock, err := Acquire(d, "devstack up")
	if err != nil {
		t.Fatal(err)
	}
	for _, ready := range []bool{false, true} {
		if ready {
			if err := lock.MarkReady(); err != nil {
				t.Fatal(err)
			}
		}
		_, err = Acquire(d, "devstack demo")
		var held *HeldError
		if !errors.As(err, &held) {
			t.Fatalf("got %v, want a HeldError", err)
		}
		if want := (Holder{PID: os.Getpid(), Command: "devstack up", Ready: ready}); held.Holder != want {
			t.Errorf("got %+v, want %+v", held.Holder, want)
		}
	}
	lock.Release()
	again, err := Acquire(d, "devstack demo")
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
}

func TestPortsSurviveUnlessTaken(t *testing.T) {
	d := newDir(t)
	first := portOf(t, d, "starter")
	if portOf(t, d, "worker") == first {
		t.Error("two parts have one port")
	}
	if again := portOf(t, d, "starter"); again != first {
		t.Errorf("got %d, want the remembered %d", again, first)
	}
	listener, err := net.Listen("tcp", loopback(first))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	replaced := portOf(t, d, "starter")
	if replaced == first {
		t.Error("a taken port was given out")
	}
	if again := portOf(t, d, "starter"); again != replaced {
		t.Errorf("got %d, want the port %d that replaced the taken one", again, replaced)
	}
}

func portOf(t *testing.T, d Dir, part string) int {
	t.Helper()
	ports, err := OpenPorts(d)
	if err != nil {
		t.Fatal(err)
	}
	port, err := ports.Get(part)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestClean(t *testing.T) {
	d := newDir(t)
	tests, err := MakeDir(TestDir(string(d)))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []Dir{d, tests} {
		lock, err := Acquire(folder, "devstack up")
		if err != nil {
			t.Fatal(err)
		}
		if err := Clean(string(d)); err == nil {
			t.Errorf("a folder was removed while %s was in use", folder)
		}
		lock.Release()
	}
	for range 2 {
		if err := Clean(string(d)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(string(d)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestCleanFollowsADatabaseThatLiesElsewhere(t *testing.T) {
	d := newDir(t)
	inner, err := MakeDir(d.State("bench"))
	if err != nil {
		t.Fatal(err)
	}
	lock, err := Acquire(inner, "bench")
	if err != nil {
		t.Fatal(err)
	}
	lock.Release()
	strangers := t.TempDir()
	if err := os.Symlink(strangers, clusterHome(inner)); err != nil {
		t.Fatal(err)
	}
	away := awayHome(clusterHome(d))
	if os.Geteuid() == 0 {
		if err := os.MkdirAll(away, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(away, clusterHome(d)); err != nil {
		t.Fatal(err)
	}
	if err := Clean(string(d)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(away); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data is still there: %v", err)
	}
	if _, err := os.Stat(strangers); err != nil {
		t.Errorf("a folder that is not the stack's was removed: %v", err)
	}
}
