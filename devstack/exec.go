package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/paystage/paystage/devstack/stack"
)

func newExec() *cobra.Command {
	var temporal bool
	cmd := &cobra.Command{
		Use:   "exec [--temporal=false] -- CMD [ARG...]",
		Short: "Run a command with a PostgreSQL and a Temporal for tests",
		Long: "Runs a command that finds a PostgreSQL and a Temporal through TEST_DATABASE_URL,\n" +
			"TEST_TEMPORAL_ADDRESS, TEST_TEMPORAL_BIN and TEST_POSTGRES_BIN. The servers are apart from\n" +
			"those of `devstack up`, and end with the command. The command has no standard input.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("exec needs a command after --, such as go test")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return execute(cmd.Context(), temporal, args) },
	}
	cmd.Flags().BoolVar(&temporal, "temporal", true, "start Temporal as well")
	return cmd
}

func execute(ctx context.Context, temporal bool, argv []string) error {
	p, err := findPlaces()
	if err != nil {
		return err
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	servers, err := stack.StartTestServers(ctx, stack.TestConfig{
		Dir: p.dir, Command: "devstack exec", Temporal: temporal, Progress: stack.NewProgress(os.Stderr),
	})
	if err != nil {
		return err
	}
	code, err := runAmong(ctx, servers, path, argv)
	if err := errors.Join(err, servers.Stop()); err != nil {
		return err
	}
	if code != 0 {
		return codeError(code)
	}
	return nil
}

// runAmong runs a command with the servers' addresses, and passes an interruption
// on to all that the command started.
func runAmong(ctx context.Context, servers *stack.TestServers, path string, argv []string) (int, error) {
	process, err := stack.Start(stack.Command{
		Name: argv[0], Path: path, Args: argv[1:], Env: append(os.Environ(), servers.Env()...),
	})
	if err != nil {
		return 0, err
	}
	select {
	case <-process.Done():
		return process.ExitCode(), nil
	case <-ctx.Done():
		process.Signal(syscall.SIGTERM)
		return 0, errors.Join(ctx.Err(), process.Stop())
	}
}
