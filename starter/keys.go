package main

import (
	"context"
	"fmt"
	"os/user"
	"time"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/spf13/cobra"
)

// withLedger runs work on the database at DATABASE_URL.
func withLedger(ctx context.Context, work func(*ledger.Ledger) error) error {
	url, err := setting("DATABASE_URL")
	if err != nil {
		return err
	}
	store, err := ledger.Open(ctx, url, 2)
	if err != nil {
		return err
	}
	defer store.Close()
	return work(store)
}

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, list and revoke role keys, in the database at DATABASE_URL",
		Args:  cobra.NoArgs,
		RunE:  needsCommand,
	}
	cmd.AddCommand(createKeyCommand(), listKeysCommand(), revokeKeyCommand())
	return cmd
}

func createKeyCommand() *cobra.Command {
	var role models.Role
	var name string
	reason := api.NoReason
	cmd := &cobra.Command{
		Use:   "create --role ROLE --name WHO",
		Short: "Make a key; it is shown this once",
		Long:  "Roles: checkout, usage, gateway, support, finance, admin. To rotate a key, make another, then revoke the old one.",
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			return withLedger(cmd.Context(), func(store *ledger.Ledger) error {
				key, text, err := api.NewRoleKey(role, name, time.Now().UTC())
				if err != nil {
					return err
				}
				if err := store.CreateRoleKey(cmd.Context(), key, byHand("create_key", api.KeySubject(key.ID), reason)); err != nil {
					return err
				}
				shown := api.KeyOf(key)
				shown.Text = text
				return show(cmd, shown, text)
			})
		}),
	}
	required(cmd, &role, "role", "`one` of "+api.RoleNames(models.Roles()), aRole)
	required(cmd, &name, "name", "`who` holds it; the audit log shows it", words(maxName))
	given(cmd, &reason, "reason", "`why`, for the audit log", words(maxReason))
	return cmd
}

func listKeysCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the newest keys",
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			return withLedger(cmd.Context(), func(store *ledger.Ledger) error {
				keys, err := store.RoleKeys(cmd.Context())
				if err != nil {
					return err
				}
				shown := make([]api.Key, len(keys))
				rows := [][]any{{"ID", "ROLE", "NAME", "MADE", "REVOKED"}}
				for i, key := range keys {
					shown[i] = api.KeyOf(key)
					rows = append(rows, []any{key.ID, key.Role, key.Name, clock(&key.CreatedAt), clock(key.RevokedAt)})
				}
				if asJSON(cmd) {
					return show(cmd, shown, "")
				}
				return table(cmd, rows)
			})
		}),
	}
}

func revokeKeyCommand() *cobra.Command {
	reason := api.NoReason
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke a key, at once",
		Args:  oneArgument(aKeyID),
		RunE: doing(func(cmd *cobra.Command, args []string) error {
			return withLedger(cmd.Context(), func(store *ledger.Ledger) error {
				key, err := store.RevokeRoleKey(cmd.Context(), args[0], byHand("revoke_key", api.KeySubject(args[0]), reason))
				if err != nil {
					return err
				}
				return show(cmd, api.KeyOf(key), fmt.Sprintf("Revoked the %s key of %s.", key.Role, key.Name))
			})
		}),
	}
	given(cmd, &reason, "reason", "`why`, for the audit log", words(maxReason))
	return cmd
}

// byHand is the audit entry of what somebody with access to the database does;
// nobody knows more of them than their name on this machine.
func byHand(action, subject, reason string) models.AuditEntry {
	who := "unknown user"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	return models.AuditEntry{
		At: time.Now().UTC(), Actor: "starter (" + who + ")", Role: models.RoleAdmin,
		Action: action, Subject: subject, Reason: reason,
	}
}
