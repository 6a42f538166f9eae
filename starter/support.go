package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/money"
	"github.com/spf13/cobra"
)

func forceSyncCommand() *cobra.Command {
	var email, at, reason string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "force-sync --email ADDRESS --purchased-at TIME --reason WHY",
		Short: "Find a purchase, verify it with Stripe, and push the right tier to the gateways now",
		Long: "Finds the purchase by the account's address and the approximate time with its zone (2026-11-03T14:05:00-08:00, up to 24 hours off),\n" +
			"through the front door at PAYSTAGE_URL, with PAYSTAGE_SUPPORT_KEY. It is in the audit log, with who and why.\n--dry-run shows what would change and changes nothing.",
		Args: cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			door, err := newFrontDoor("PAYSTAGE_SUPPORT_KEY")
			if err != nil {
				return err
			}
			var result api.TierSync
			err = door.call(cmd.Context(), http.MethodPost, "/v1/support/tier-sync", nil,
				map[string]any{"email": email, "purchased_at": at, "reason": reason, "dry_run": dryRun}, &result)
			if err != nil {
				return err
			}
			return showSync(cmd, result)
		}),
	}
	required(cmd, &email, "email", "the account's email `address`", anEmail)
	required(cmd, &at, "purchased-at", "about the `time` when the purchase was made, with its zone", anInstant)
	required(cmd, &reason, "reason", "`why`, for the audit log", words(maxReason))
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would change, and change nothing")
	return cmd
}

func showSync(cmd *cobra.Command, r api.TierSync) error {
	if asJSON(cmd) {
		return show(cmd, r, "")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Purchase %s, made %s: %s\n", r.Purchase.ID, r.Purchase.CreatedAt.Format(time.RFC3339), r.Purchase.Status)
	fmt.Fprintf(&b, "Stripe: payment %s is %s, %d cents captured; verified: %t, credited: %t\n",
		r.Evidence.PaymentIntent, r.Evidence.State, r.Evidence.CapturedCents, r.Evidence.Verified, r.Evidence.Credited)
	fmt.Fprintf(&b, "Tier: %s by the money paid; the gateways were told %s\n", r.TierAfter.Name, r.TierBefore.Name)
	if len(r.Candidates) > 0 {
		fmt.Fprintf(&b, "Other purchases near that time: %s\n", strings.Join(r.Candidates, ", "))
	}
	if r.DryRun {
		b.WriteString("Dry run: nothing was changed.")
	} else {
		b.WriteString("The push to every gateway is under way.")
	}
	if err := show(cmd, r, b.String()); err != nil {
		return err
	}
	rows := [][]any{{"GATEWAY", "HOLDS", "NEEDS", "ACKNOWLEDGED", "LAST ERROR"}}
	for _, g := range r.Gateways {
		rows = append(rows, []any{g.Gateway, g.Version, g.NeededVersion, clock(g.AcknowledgedAt), orDash(g.LastError)})
	}
	return table(cmd, rows)
}

func grantCommand() *cobra.Command {
	var account, reason, key string
	var amount int64
	cmd := &cobra.Command{
		Use:   "grant --account ID --amount-cents N --reason WHY",
		Short: "Grant free credits; they pay for usage and count to no tier",
		Long:  "Through the front door at PAYSTAGE_URL, with PAYSTAGE_SUPPORT_KEY.",
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			door, err := newFrontDoor("PAYSTAGE_SUPPORT_KEY")
			if err != nil {
				return err
			}
			if key == "" {
				key = uuid.NewString()
				fmt.Fprintln(cmd.ErrOrStderr(), "idempotency key:", key)
			}
			var grant api.Grant
			err = door.call(cmd.Context(), http.MethodPost, "/v1/support/accounts/"+url.PathEscape(account)+"/credits",
				map[string]string{"Idempotency-Key": key}, map[string]any{"amount_cents": amount, "reason": reason}, &grant)
			if err != nil {
				return err
			}
			return show(cmd, grant, fmt.Sprintf("Granted. The account holds %s of free credits.", money.USD(grant.FreeMicros)))
		}),
	}
	required(cmd, &account, "account", "the account's `id`", anID)
	required(cmd, &amount, "amount-cents", "what to grant, in whole `cents`", cents)
	required(cmd, &reason, "reason", "`why`, for the audit log", words(maxReason))
	given(cmd, &key, "idempotency-key", "one `key` for one grant; made up if not given", idempotencyKey(200))
	return cmd
}

func alertsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "List what a person must look at",
		Long:  "Asks the front door at PAYSTAGE_URL, with PAYSTAGE_SUPPORT_KEY.",
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			door, err := newFrontDoor("PAYSTAGE_SUPPORT_KEY")
			if err != nil {
				return err
			}
			var list struct {
				Alerts []api.Alert `json:"alerts"`
			}
			if err := door.call(cmd.Context(), http.MethodGet, "/v1/support/alerts", nil, nil, &list); err != nil {
				return err
			}
			if asJSON(cmd) || len(list.Alerts) == 0 {
				return show(cmd, list, "No open alerts.")
			}
			rows := [][]any{{"ID", "RAISED", "KIND", "SUBJECT", "DETAIL"}}
			for _, a := range list.Alerts {
				rows = append(rows, []any{a.ID, clock(&a.RaisedAt), a.Kind, a.Subject, a.Detail})
			}
			return table(cmd, rows)
		}),
	}
	var reason string
	resolve := &cobra.Command{
		Use:   "resolve ID --reason WHAT-WAS-DONE",
		Short: "Close an alert",
		Args:  oneArgument(anAlertID),
		RunE: doing(func(cmd *cobra.Command, args []string) error {
			door, err := newFrontDoor("PAYSTAGE_SUPPORT_KEY")
			if err != nil {
				return err
			}
			var alert api.Alert
			err = door.call(cmd.Context(), http.MethodPost, "/v1/support/alerts/"+url.PathEscape(args[0])+"/resolve", nil,
				map[string]string{"reason": reason}, &alert)
			if err != nil {
				return err
			}
			return show(cmd, alert, fmt.Sprintf("Closed alert %d (%s).", alert.ID, alert.Kind))
		}),
	}
	required(resolve, &reason, "reason", "`what` was done, for the audit log", words(maxReason))
	cmd.AddCommand(resolve)
	return cmd
}
