// Starter is the front door (`starter serve`) and the commands that people and
// cron use. `starter --help` lists them; each has --help of its own.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "starter:", err)
	}
	os.Exit(exitCode(err))
}

func exitCode(err error) int {
	var failure *failed
	switch {
	case err == nil:
		return 0
	case errors.As(err, &failure):
		return exitFailed
	}
	return exitUsage
}

// failed marks an error of the work, as against one of the words of the call.
type failed struct{ err error }

func (f *failed) Error() string { return f.err.Error() }
func (f *failed) Unwrap() error { return f.err }

// doing runs the work of a command, so that its errors are failures.
func doing(work func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := work(cmd, args); err != nil {
			return &failed{err}
		}
		return nil
	}
}

// needsCommand refuses a call that names a group of commands and none of it.
func needsCommand(cmd *cobra.Command, _ []string) error {
	return fmt.Errorf("name a command; `%s --help` lists them", cmd.CommandPath())
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "starter",
		Short:         "The front door of Paystage, and the commands for people and cron",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          needsCommand,
	}
	root.PersistentFlags().String("output", "text", "text or json")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if format, _ := cmd.Flags().GetString("output"); format != "text" && format != "json" {
			return fmt.Errorf("--output is text or json, not %q", format)
		}
		return nil
	}
	root.AddCommand(
		serveCommand(), migrateCommand(), keysCommand(), pricesCommand(), ledgerCommand(),
		purchaseCommand(), statusCommand(), forceSyncCommand(), grantCommand(), alertsCommand(), asOfCommand(),
		explainCommand(), gatewaysCommand(), autoRechargeCommand(), monthlyCommand(), scheduleCommand(),
	)
	return root
}
