package main

import (
	"errors"
	"fmt"

	"github.com/paystage/paystage/ledger"
	"github.com/spf13/cobra"
)

func ledgerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "Look after the ledger in the database at DATABASE_URL",
		Args:  cobra.NoArgs,
		RunE:  needsCommand,
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "verify",
		Short: "Rebuild every balance from the entries and compare; changes nothing",
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			return withLedger(cmd.Context(), func(store *ledger.Ledger) error {
				v, err := store.Verify(cmd.Context())
				if err != nil {
					return err
				}
				text := fmt.Sprintf("%d accounts, %d transactions, %d entries; the entries sum to %d, %d transactions do not balance.",
					v.Accounts, v.Transactions, v.Entries, v.LedgerSumMicros, v.Unbalanced)
				for _, d := range v.Differences {
					text += fmt.Sprintf("\naccount %s: %s is %d micro-dollars, its entries sum to %d", d.AccountID, d.Column, d.RunningMicros, d.EntriesMicros)
				}
				for _, d := range v.Charges {
					text += fmt.Sprintf("\naccount %s: it used %s pico-dollars and was charged %s", d.AccountID, d.UsedPicos, d.ChargedPicos)
				}
				if err := show(cmd, v, text); err != nil {
					return err
				}
				if !v.OK() {
					return errors.New("the ledger does not agree with itself")
				}
				return nil
			})
		}),
	})
	return cmd
}
