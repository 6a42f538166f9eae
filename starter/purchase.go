package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/money"
	"github.com/spf13/cobra"
)

func purchaseCommand() *cobra.Command {
	var account, key string
	var amount int64
	wait := 10
	cmd := &cobra.Command{
		Use:   "purchase --account ID --amount-cents N",
		Short: "Buy credits with the account's card",
		Long:  "Buys credits through the front door at PAYSTAGE_URL, with PAYSTAGE_CHECKOUT_KEY.\nRepeat it with the same --idempotency-key and it is the same purchase.",
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			door, err := newFrontDoor("PAYSTAGE_CHECKOUT_KEY")
			if err != nil {
				return err
			}
			if key == "" {
				key = uuid.NewString()
				fmt.Fprintln(cmd.ErrOrStderr(), "idempotency key:", key)
			}
			var purchase api.Purchase
			err = door.call(cmd.Context(), http.MethodPost, "/v1/accounts/"+url.PathEscape(account)+"/purchases",
				map[string]string{"Idempotency-Key": key, "Prefer": "wait=" + strconv.Itoa(wait)},
				map[string]int64{"amount_cents": amount}, &purchase)
			if err != nil {
				return err
			}
			return showPurchase(cmd, purchase)
		}),
	}
	required(cmd, &account, "account", "the account's `id`", anID)
	required(cmd, &amount, "amount-cents", "what to buy, in whole `cents`", cents)
	given(cmd, &key, "idempotency-key", "one `key` for one purchase; made up if not given", idempotencyKey(255))
	given(cmd, &wait, "wait", "`seconds` to wait for the bank, at most 60 (default 10)", waitSeconds)
	return cmd
}

func statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status PURCHASE",
		Short: "Show how far a purchase is, stage by stage",
		Long:  "Asks the front door at PAYSTAGE_URL, with PAYSTAGE_SUPPORT_KEY.",
		Args:  oneArgument(anID),
		RunE: doing(func(cmd *cobra.Command, args []string) error {
			door, err := newFrontDoor("PAYSTAGE_SUPPORT_KEY")
			if err != nil {
				return err
			}
			var purchase api.Purchase
			if err := door.call(cmd.Context(), http.MethodGet, "/v1/purchases/"+url.PathEscape(args[0]), nil, nil, &purchase); err != nil {
				return err
			}
			return showPurchase(cmd, purchase)
		}),
	}
}

func showPurchase(cmd *cobra.Command, p api.Purchase) error {
	if asJSON(cmd) {
		return show(cmd, p, "")
	}
	amount, err := money.FromCents(p.AmountCents)
	if err != nil {
		return err
	}
	rows := [][]any{{"STAGE", "STATE", "BEGAN", "ENDED", "TOOK"}}
	for _, s := range p.Stages {
		rows = append(rows, []any{s.Name, s.State, clock(s.StartedAt), clock(s.EndedAt), took(s)})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Purchase %s of %s: %s", p.ID, amount, p.Status)
	if p.Overdue {
		b.WriteString(" (overdue: approved over 15 minutes ago)")
	} else if p.Slow {
		b.WriteString(" (slow)")
	}
	if p.Decline != nil {
		fmt.Fprintf(&b, "\nDeclined (%s): %s", p.Decline.Code, p.Decline.Message)
	}
	if p.AuthorizationURL != nil {
		fmt.Fprintf(&b, "\nThe bank asks the customer: %s", *p.AuthorizationURL)
	}
	if len(p.OtherPending) > 0 {
		fmt.Fprintf(&b, "\nAlso pending: %s", strings.Join(p.OtherPending, ", "))
	}
	if err := show(cmd, p, b.String()); err != nil {
		return err
	}
	return table(cmd, rows)
}

func clock(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000Z")
}

func took(s api.Stage) string {
	if s.StartedAt == nil || s.EndedAt == nil {
		return "-"
	}
	return s.EndedAt.Sub(*s.StartedAt).Round(time.Millisecond).String()
}
