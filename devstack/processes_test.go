package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

type process struct {
	pid  int
	name string
}

// running gives the processes of a stack: those that were started with a path
// inside its folder, or inside the one its database lies in, in their arguments.
func running(t *testing.T, p places) []process {
	t.Helper()
	database, err := filepath.EvalSymlinks(filepath.Join(p.dir, "pg"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []process
	for _, file := range files {
		// A process that has ended since is none of ours.
		line, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(line), p.dir) && !strings.Contains(string(line), database) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		program, _, _ := strings.Cut(string(line), "\x00")
		found = append(found, process{pid: pid, name: filepath.Base(program)})
	}
	return found
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
