package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/paystage/paystage/devstack/stack"
)

// upCommand is how a running stack is known to the other commands.
const upCommand = "devstack up"

func newUp() *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Bring everything up and keep it up until interrupted",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return up(cmd.Context(), os.Stdout) },
	}
}

func up(ctx context.Context, out io.Writer) error {
	p, err := findPlaces()
	if err != nil {
		return err
	}
	s, err := stack.Up(ctx, p.stackConfig(upCommand, stack.NewProgress(out)))
	if err != nil {
		return err
	}
	printAddresses(out, p, s.Env)
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "\nStopping.")
		return s.Stop()
	case died := <-s.Died():
		fmt.Fprintf(out, "\nStopping, because %s ended by itself.\n", died.Name)
		return errors.Join(died, s.Stop())
	}
}

func printAddresses(out io.Writer, p places, env stack.Env) {
	rows := [][2]string{
		{"API", env[stack.PaystageURL] + "/openapi.json"},
		{"Temporal", cmp.Or(env[stack.TemporalUIURL], env[stack.TemporalAddress])},
		{"Stripe", env[stack.StripeAPIBase]},
		{"Gateways", strings.ReplaceAll(env[stack.GatewayURLs], ",", "  ")},
		{"Mail", cmp.Or(env[stack.SMTPURL], env[stack.MailDir])},
		{"Keys", stack.Dir(p.dir).EnvFile()},
		{"Logs", stack.Dir(p.dir).Log("*")},
	}
	fmt.Fprintf(out, "\nPaystage is up at %s\n\n", env[stack.PaystageURL])
	for _, row := range rows {
		fmt.Fprintf(out, "  %-10s %s\n", row[0], row[1])
	}
	fmt.Fprintln(out, "\n^C stops it.")
}
