package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// temporalModule is the CLI with the development server in it. Later versions
// cannot be installed this way: their go.mod has replace directives.
const temporalModule = "github.com/temporalio/cli/cmd/temporal@v1.5.1"

// buildTemporalWithin bounds the one build of the CLI, the download included.
const buildTemporalWithin = 20 * time.Minute

// FindTemporal gives the Temporal CLI: the one on PATH, or the one that was built
// for this stack, or else it builds it, which takes some minutes once.
func FindTemporal(ctx context.Context, d Dir, progress *Progress) (string, error) {
	if path, err := exec.LookPath("temporal"); err == nil {
		return path, nil
	}
	built := d.Bin("temporal")
	if _, err := os.Stat(built); err == nil {
		return built, nil
	}
	doing := "build the Temporal CLI into " + d.Bin("") + " (once, about 3 minutes)"
	err := progress.Step("temporal", doing, func() error {
		ctx, cancel := context.WithTimeout(ctx, buildTemporalWithin)
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", "install", temporalModule)
		cmd.Env = append(os.Environ(), "GOBIN="+d.Bin(""))
		return runQuiet(cmd, "it comes through the Go module proxy; "+
			"any `temporal` on PATH is used instead")
	})
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(built); err != nil {
		return "", fmt.Errorf("find the Temporal CLI after building it: %w", err)
	}
	return built, nil
}
