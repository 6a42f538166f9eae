package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/paystage/paystage/devstack/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	// A second interruption ends us at once; the kernel then ends the parts.
	context.AfterFunc(ctx, stop)
	err := newRoot().ExecuteContext(ctx)
	stop()
	os.Exit(exitCode(err))
}

// endings are the signals that end a stack. A hang-up that whoever called us
// chose to ignore stays ignored.
func endings() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// codeError is the exit code of a command that ran, whose own output says why.
type codeError int

func (e codeError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError says that the command line makes no sense.
type usageError struct{ error }

func exitCode(err error) int {
	var code codeError
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "devstack: %v\n", err)
		return 2
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "devstack: interrupted")
		return 1
	default:
		fmt.Fprintf(os.Stderr, "devstack: %v\n", err)
		return 1
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "devstack",
		Short:         "Run the whole of Paystage on one machine",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			return usageError{fmt.Errorf("no such command; see devstack --help (got %q)", args)}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newUp(), newDemo(), newExec(), newTools(), newClean())
	return root
}

// places are the checkout that devstack was called in and its state folder.
type places struct {
	root, dir string
	// stripeTranscript is where a test wants it; see stack.Config.
	stripeTranscript string
}

func findPlaces() (places, error) {
	root, err := stack.FindRoot(".")
	if err != nil {
		return places{}, err
	}
	return places{root: root, dir: filepath.Join(root, ".dev")}, nil
}

func (p places) stackConfig(command string, progress *stack.Progress) stack.Config {
	return stack.Config{Root: p.root, Dir: p.dir, Command: command, Lookup: os.Getenv, Progress: progress, StripeTranscript: p.stripeTranscript}
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0])}
	}
	return nil
}
