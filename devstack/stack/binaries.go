package stack

import (
	"context"
	"os/exec"
	"time"
)

// buildWithin bounds one build of the programs from an empty build cache.
const buildWithin = 15 * time.Minute

// programs are the packages of the stack's own programs, by the binary's name.
var programs = map[string]string{
	"worker":    "./worker",
	"starter":   "./starter",
	"stripesim": "./stripesim",
	"gateway":   "./gateway/reference",
}

// buildPrograms builds the named programs of the checkout at root into the
// folder's bin. Go's build cache makes an unchanged one quick.
func buildPrograms(ctx context.Context, root string, d Dir, names ...string) error {
	ctx, cancel := context.WithTimeout(ctx, buildWithin)
	defer cancel()
	for _, name := range names {
		// Root may build a checkout that belongs to somebody else, which git refuses
		// to describe.
		cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", d.Bin(name), programs[name])
		cmd.Dir = root
		if err := runQuiet(cmd, programs[name]+" does not build"); err != nil {
			return err
		}
	}
	return nil
}

// InstallTools builds the linters that tools/go.mod pins into the folder's bin.
func InstallTools(ctx context.Context, root string, d Dir, progress *Progress) error {
	return progress.Step("tools", "build the linters that tools/go.mod pins", func() error {
		ctx, cancel := context.WithTimeout(ctx, buildWithin)
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", "-C", "tools", "install", "tool", "./...")
		cmd.Dir = root
		cmd.Env = append(cmd.Environ(), "GOBIN="+d.Bin(""))
		return runQuiet(cmd, "the linters do not build")
	})
}
