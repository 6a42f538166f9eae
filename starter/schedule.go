package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/paystage/paystage/config"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/workflows"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
)

// scheduleTimeout bounds what a command asks of Temporal.
const scheduleTimeout = 20 * time.Second

const scheduleWhere = "\nIn Temporal at TEMPORAL_ADDRESS and in the database at DATABASE_URL."

func scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Create, show, pause and resume the schedule that closes months on the 3rd",
		Args:  cobra.NoArgs,
		RunE:  needsCommand,
	}
	cmd.AddCommand(createScheduleCommand(), showScheduleCommand(),
		pauseScheduleCommand("pause", true, "Close no months by themselves until resume",
			"By hand they can still be closed: `starter monthly run`. A closing under way goes on to its end.",
			"Paused. No month is closed by itself until `starter schedule resume`."),
		pauseScheduleCommand("resume", false, "Have months closed by themselves again",
			"Months that became due meanwhile are closed within minutes.",
			"Months are closed by themselves again; those that became due meanwhile within minutes."))
	return cmd
}

// Schedule is how the schedule stands.
type Schedule struct {
	ID string `json:"id"`
	// Exists is whether Temporal has it; Paused what it does, and what the database says.
	Exists bool       `json:"exists"`
	Paused bool       `json:"paused"`
	Next   *time.Time `json:"next,omitempty"`
	Last   *time.Time `json:"last,omitempty"`
	Note   string     `json:"note,omitempty"`
}

// withSchedule runs work on Temporal and the database.
func withSchedule(cmd *cobra.Command, work func(ctx context.Context, temporal client.Client, store *ledger.Ledger) error) error {
	if _, err := setting("TEMPORAL_ADDRESS"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), scheduleTimeout)
	defer cancel()
	return withLedger(ctx, func(store *ledger.Ledger) error {
		temporal, err := config.Temporal(slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		defer temporal.Close()
		return work(ctx, temporal, store)
	})
}

func createScheduleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "create",
		Short: "Create the schedule; one that is there stays as it is",
		Long:  "It fires on the 3rd of each month at 00:00 UTC, and is created paused if months are held." + scheduleWhere,
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			return withSchedule(cmd, func(ctx context.Context, temporal client.Client, store *ledger.Ledger) error {
				held, err := store.MonthsHeld(ctx)
				if err != nil {
					return err
				}
				if _, err := workflows.CreateMonthlySchedule(ctx, temporal, workflows.DefaultQueues(), held); err != nil {
					return err
				}
				return showSchedule(ctx, cmd, temporal, store)
			})
		}),
	}
}

func showScheduleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show the schedule",
		Long:  "Whether it is there, paused, when it fired last and fires next." + scheduleWhere,
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			return withSchedule(cmd, func(ctx context.Context, temporal client.Client, store *ledger.Ledger) error {
				return showSchedule(ctx, cmd, temporal, store)
			})
		}),
	}
}

func showSchedule(ctx context.Context, cmd *cobra.Command, temporal client.Client, store *ledger.Ledger) error {
	held, err := store.MonthsHeld(ctx)
	if err != nil {
		return err
	}
	found, err := workflows.ReadMonthlySchedule(ctx, temporal)
	missing := errors.Is(err, workflows.ErrNoSchedule)
	if err != nil && !missing {
		return err
	}
	s := Schedule{ID: workflows.MonthlyScheduleID, Exists: !missing, Paused: held || found.Paused, Next: orNil(found.Next), Last: orNil(found.Last), Note: found.Note}
	text := fmt.Sprintf("Schedule %s: on the 3rd of each month, 00:00 UTC. Next %s, last %s.", s.ID, clock(s.Next), clock(s.Last))
	if missing {
		text = "There is no schedule; `starter schedule create` makes it. Workers close due months all the same."
	}
	if s.Paused {
		text += " Paused: no month is closed by itself."
	}
	return show(cmd, s, text)
}

func orNil(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// pauseScheduleCommand pauses or resumes. The database's word goes first and holds
// without Temporal: the sweep obeys it, and so does a firing.
func pauseScheduleCommand(verb string, paused bool, short, long, said string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   verb + " --reason WHY",
		Short: short,
		Long:  long + " It is in the audit log, with who and why." + scheduleWhere,
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			return withSchedule(cmd, func(ctx context.Context, temporal client.Client, store *ledger.Ledger) error {
				if err := store.HoldMonths(ctx, paused, byHand("schedule_"+verb, "schedule/"+workflows.MonthlyScheduleID, reason)); err != nil {
					return err
				}
				err := workflows.PauseMonthlySchedule(ctx, temporal, paused, reason)
				if err != nil && !errors.Is(err, workflows.ErrNoSchedule) {
					return err
				}
				return show(cmd, map[string]bool{"paused": paused}, said)
			})
		}),
	}
	required(cmd, &reason, "reason", "`why`, for the audit log", words(maxReason))
	return cmd
}
