package stack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// orphanEndsWithin is how long a process without a parent may take to notice.
const orphanEndsWithin = 10 * time.Second

// endServersIn waits until no PostgreSQL process works in a data folder, and kills
// those that stay. All of a server's processes work in its data folder, so this
// finds what a killed stack left, which a process id in a file cannot tell from a
// stranger.
func endServersIn(ctx context.Context, folder string) error {
	deadline := time.Now().Add(orphanEndsWithin)
	killed := false
	for {
		left := serversIn(folder)
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			if killed {
				return fmt.Errorf("processes %v still work in %s after SIGKILL", left, folder)
			}
			for _, pid := range left {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			killed = true
			deadline = time.Now().Add(orphanEndsWithin)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(probeEvery):
		}
	}
}

func serversIn(folder string) []int {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil
	}
	var pids []int
	for _, link := range links {
		// Others' processes and ended ones cannot be read; neither are ours.
		if target, err := os.Readlink(link); err != nil || target != folder {
			continue
		}
		name, err := os.ReadFile(filepath.Join(filepath.Dir(link), "comm"))
		if err != nil || strings.TrimSpace(string(name)) != "postgres" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
