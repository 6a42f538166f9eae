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

func asOfCommand() *cobra.Command {
	var account, at string
	cmd := &cobra.Command{
		Use:   "as-of --account ID --at TIME",
		Short: "Show how an account stood at an instant, and why",
		Long:  "The time has its zone: 2026-11-03T14:05:00-08:00. Asks the front door at PAYSTAGE_URL, with PAYSTAGE_SUPPORT_KEY.",
		Args:  cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if _, err := time.Parse(time.RFC3339, at); err != nil {
				return fmt.Errorf("--at needs a time with its zone, such as 2026-11-03T14:05:00-08:00")
			}
			return nil
		},
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			door, err := newFrontDoor("PAYSTAGE_SUPPORT_KEY")
			if err != nil {
				return err
			}
			var v api.AsOf
			path := "/v1/accounts/" + url.PathEscape(account) + "/as-of?at=" + url.QueryEscape(at)
			if err := door.call(cmd.Context(), http.MethodGet, path, nil, nil, &v); err != nil {
				return err
			}
			return show(cmd, v, asOfText(v))
		}),
	}
	cmd.Flags().StringVar(&account, "account", "", "the account's id")
	cmd.Flags().StringVar(&at, "at", "", "the instant, with the time zone")
	for _, flag := range []string{"account", "at"} {
		_ = cmd.MarkFlagRequired(flag)
	}
	return cmd
}

func asOfText(v api.AsOf) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Balance %s: free %s, purchased %s, accrued %s\n",
		money.USD(v.BalanceMicros), money.USD(v.FreeMicros), money.USD(v.PurchasedMicros), money.USD(v.AccruedMicros))
	if v.PastDueMicros > 0 {
		fmt.Fprintf(&b, "Unpaid invoices demanded %s\n", money.USD(v.PastDueMicros))
	}
	for _, g := range v.Grants {
		fmt.Fprintf(&b, "  %s credits of %s (transaction %d): %s of %s left\n",
			g.Book, clock(&g.At), g.TransactionID, money.USD(g.LeftMicros), money.USD(g.GrantedMicros))
	}
	fmt.Fprintf(&b, "%s by a lifetime spend of %s in %d payments\n", v.Tier.Name, money.USD(v.LifetimeSpendMicros), v.PaymentCount)
	for _, p := range v.Payments {
		fmt.Fprintf(&b, "  paid %s at %s, in all %s\n", money.USD(p.AmountMicros), clock(&p.At), money.USD(p.LifetimeSpendMicros))
	}
	fmt.Fprintf(&b, "Limit %s\n", money.USD(v.LimitMicros))
	if t := v.Terms; t != nil {
		fmt.Fprintf(&b, "  terms set by %s at %s: plan %s\n", t.ChangedBy, clock(&t.ChangedAt), t.Plan)
	}
	if v.BlockedSince == nil {
		b.WriteString("It might use everything.")
	} else {
		fmt.Fprintf(&b, "It might not use anything since %s: %s.", clock(v.BlockedSince), v.BlockedBy)
	}
	return b.String()
}
