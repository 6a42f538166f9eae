package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/money"
	"github.com/spf13/cobra"
)

func explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain ACCOUNT",
		Short: "Show which payments made an account's tier, and which gateway holds which version, since when",
		Long:  "Asks the front door at PAYSTAGE_URL, with PAYSTAGE_SUPPORT_KEY.",
		Args:  cobra.ExactArgs(1),
		RunE: doing(func(cmd *cobra.Command, args []string) error {
			door, err := newFrontDoor("PAYSTAGE_SUPPORT_KEY")
			if err != nil {
				return err
			}
			var why api.TierExplanation
			if err := door.call(cmd.Context(), http.MethodGet, "/v1/accounts/"+url.PathEscape(args[0])+"/tier/explain", nil, nil, &why); err != nil {
				return err
			}
			return showExplanation(cmd, why)
		}),
	}
}

func showExplanation(cmd *cobra.Command, why api.TierExplanation) error {
	if asJSON(cmd) {
		return show(cmd, why, "")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, by %s of lifetime spend. Entitlement version %d, since %s.",
		why.Tier.Name, money.USD(why.Tier.LifetimeSpendMicros), why.Version, why.Since.Format(time.RFC3339))
	if next := why.Tier.NextAtMicros; next != nil {
		fmt.Fprintf(&b, " The next tier begins at %s.", money.USD(*next))
	}
	if why.Suspended {
		b.WriteString(" The account is suspended.")
	}
	if err := show(cmd, why, b.String()); err != nil {
		return err
	}
	payments := [][]any{{"PAID", "KIND", "AMOUNT", "LIFETIME", "TIER", "PURCHASE"}}
	for _, p := range why.Payments {
		tier := fmt.Sprint(p.Tier)
		if p.Moved {
			tier += " *"
		}
		payments = append(payments, []any{
			p.At.Format(time.RFC3339), p.Kind, money.USD(p.AmountMicros), money.USD(p.LifetimeMicros), tier, p.PurchaseID,
		})
	}
	if err := table(cmd, payments); err != nil {
		return err
	}
	gateways := [][]any{{"GATEWAY", "HOLDS", "NEEDS", "SINCE", "LAST ERROR"}}
	for _, g := range why.Tier.Gateways {
		gateways = append(gateways, []any{g.Gateway, g.Version, g.NeededVersion, clock(g.AcknowledgedAt), orDash(g.LastError)})
	}
	if err := table(cmd, gateways); err != nil {
		return err
	}
	for _, x := range why.Exceptions {
		about := x.Model + x.Class
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "Exception for %s, since %s: %s\n", about, x.CreatedAt.Format(time.RFC3339), x.Reason); err != nil {
			return err
		}
	}
	return nil
}

func gatewaysCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "gateways",
		Short: "Show how each gateway stands: state, lag, last error",
		Long:  "Asks the front door at PAYSTAGE_URL, with PAYSTAGE_SUPPORT_KEY.",
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			door, err := newFrontDoor("PAYSTAGE_SUPPORT_KEY")
			if err != nil {
				return err
			}
			var list struct {
				Gateways []api.Gateway `json:"gateways"`
			}
			if err := door.call(cmd.Context(), http.MethodGet, "/v1/gateways", nil, nil, &list); err != nil {
				return err
			}
			if asJSON(cmd) {
				return show(cmd, list, "")
			}
			rows := [][]any{{"GATEWAY", "STATE", "WAITING", "LAG", "LAST FILLED", "LAST ERROR"}}
			for _, g := range list.Gateways {
				lag := time.Duration(g.Lag * float64(time.Second)).Round(time.Second)
				rows = append(rows, []any{g.Gateway, g.State, g.Waiting, lag, clock(g.SyncedAt), orDash(g.Error)})
			}
			return table(cmd, rows)
		}),
	}
}

func orDash(text *string) string {
	if text == nil {
		return "-"
	}
	return *text
}
