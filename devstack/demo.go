package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/paystage/paystage/devstack/stack"
	"github.com/paystage/paystage/money"
)

const (
	demoCommand = "devstack demo"
	// demoAmountCents is the least purchase that gives the first tier at once.
	demoAmountCents = 2500
	demoTier        = 1
	// demoCard is Stripe's test card that every bank approves.
	demoCard = "pm_card_visa"
	// demoWithin bounds everything the demo does with a stack that is up.
	demoWithin = 60 * time.Second
	// othersReadyWithin bounds the wait for a stack that another process is
	// bringing up, a first build of Temporal included.
	othersReadyWithin = 20 * time.Minute
)

func newDemo() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Buy $25.00 of credits through the whole system and show each stage",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := findPlaces()
			if err != nil {
				return err
			}
			return demo(cmd.Context(), os.Stdout, p)
		},
	}
}

// demo uses the stack that is up, and leaves it up; else it brings one up and
// leaves nothing.
func demo(ctx context.Context, out io.Writer, p places) error {
	s, err := stack.Up(ctx, p.stackConfig(demoCommand, stack.NewProgress(out)))
	if held := (*stack.HeldError)(nil); errors.As(err, &held) {
		return demoOnRunning(ctx, out, stack.Dir(p.dir), held.Holder)
	}
	if err != nil {
		return err
	}
	return errors.Join(demoOn(ctx, out, s.Env, s.Died()), s.Stop())
}

func demoOnRunning(ctx context.Context, out io.Writer, dir stack.Dir, holder stack.Holder) error {
	if err := awaitOther(ctx, out, dir, holder); err != nil {
		return err
	}
	env, err := stack.ReadEnv(dir.EnvFile())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  using the stack of process %d, which stays up\n", holder.PID)
	return demoOn(ctx, out, env, nil)
}

// awaitOther waits until a stack that another process brings up is ready.
func awaitOther(ctx context.Context, out io.Writer, dir stack.Dir, holder stack.Holder) error {
	ctx, cancel := context.WithTimeout(ctx, othersReadyWithin)
	defer cancel()
	for told := false; ; told = true {
		if holder.Command != upCommand {
			return &stack.HeldError{Holder: holder}
		}
		if holder.Ready {
			return nil
		}
		if !told {
			fmt.Fprintf(out, "  waiting for `%s` (process %d), which is bringing the stack up ...\n", holder.Command, holder.PID)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the stack of process %d: %w", holder.PID, ctx.Err())
		case <-time.After(500 * time.Millisecond):
		}
		lock, err := stack.Acquire(dir, demoCommand)
		held := (*stack.HeldError)(nil)
		switch {
		case err == nil:
			lock.Release()
			return fmt.Errorf("`%s` (process %d) ended before its stack was ready", holder.Command, holder.PID)
		case errors.As(err, &held):
			holder = held.Holder
		default:
			return err
		}
	}
}

// demoOn runs the demo on a stack and gives up as soon as a part of it dies.
func demoOn(ctx context.Context, out io.Writer, env stack.Env, died <-chan *stack.ExitError) error {
	ctx, cancel := context.WithTimeout(ctx, demoWithin)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- buy(ctx, out, newClient(env)) }()
	select {
	case err := <-ended:
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("the demo did not end within %s: %w", demoWithin, err)
		}
		return err
	case exited := <-died:
		cancel()
		<-ended
		return exited
	}
}

// buy opens an account, gives it a card, buys and shows what came of it.
func buy(ctx context.Context, out io.Writer, c *client) error {
	account, err := c.openAccount(ctx)
	if err != nil {
		return err
	}
	if err := c.putCard(ctx, account.ID, demoCard); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n  account %s, card %s\n", account.ID, demoCard)
	start := time.Now()
	bought, err := c.purchase(ctx, account.ID, demoAmountCents)
	if err != nil {
		return err
	}
	amount, err := money.FromCents(demoAmountCents)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  purchase %s, %s\n\n", bought.ID, amount)
	view := newStageView(out, start)
	ended, err := c.follow(ctx, bought.ID, view.show)
	if err != nil {
		return err
	}
	if ended.Status != "completed" {
		return ended.failure()
	}
	b, err := c.billing(ctx, account.ID)
	if err != nil {
		return err
	}
	printBilling(out, b)
	return b.check(amount, demoTier, c.gateways)
}
