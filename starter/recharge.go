package main

import (
	"fmt"
	"time"

	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/spf13/cobra"
)

func autoRechargeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "auto-recharge",
		Short: "Hold all automatic charges at once, and let them go on",
		Args:  cobra.NoArgs,
		RunE:  needsCommand,
	}
	cmd.AddCommand(
		holdCommand("pause", true, "Hold all automatic charges, within seconds",
			"No automatic charge begins until resume; those under way end. Accounts that fall below their threshold meanwhile are not forgotten.",
			"All automatic charges are held. Those under way end; none begins until `starter auto-recharge resume --all`."),
		holdCommand("resume", false, "Let automatic charges go on",
			"Whoever is below their threshold is recharged within a minute, at the usual pace.",
			"Automatic charges go on. Accounts below their threshold are recharged within a minute, at the usual pace."),
	)
	return cmd
}

// holdCommand is the emergency stop or its end. It goes to the database, so that it
// works whatever else doesn't.
func holdCommand(verb string, held bool, short, long, said string) *cobra.Command {
	var all bool
	var reason, by string
	cmd := &cobra.Command{
		Use:   verb + " --all",
		Short: short,
		Long:  long + "\nIn the database at DATABASE_URL. It is in the audit log, with who and why.",
		Args:  cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if !all {
				return fmt.Errorf("say --all: it is for every account. A single one is switched off by PUT /v1/accounts/{id}/auto-recharge")
			}
			return nil
		},
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			return withLedger(cmd.Context(), func(store *ledger.Ledger) error {
				err := store.HoldRecharges(cmd.Context(), held, models.AuditEntry{
					At: time.Now().UTC(), Actor: by, Role: models.RoleAdmin, Action: "auto_recharge_" + verb, Subject: "auto-recharge", Reason: reason,
				})
				if err != nil {
					return err
				}
				return show(cmd, map[string]bool{"held": held}, said)
			})
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "every account")
	cmd.Flags().StringVar(&reason, "reason", "not given", "why, for the audit log")
	cmd.Flags().StringVar(&by, "by", "operator", "who, for the audit log")
	return cmd
}
