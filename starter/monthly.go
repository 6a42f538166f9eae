package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/money"
	"github.com/spf13/cobra"
)

const (
	monthlyWhere = "Asks the front door at PAYSTAGE_URL, with PAYSTAGE_FINANCE_KEY."
	// followEvery is how often a closing that is followed is looked at.
	followEvery = 250 * time.Millisecond
	barWidth    = 30
)

func monthlyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "monthly",
		Short: "Close months: run, backfill, show, report",
		Args:  cobra.NoArgs,
		RunE:  needsCommand,
	}
	cmd.AddCommand(
		runMonthCommand("run", false, "Close a month, for all accounts or one",
			"Without --period the month that is due. A month is closed once, however often this runs: what is closed stays as it is, and a run that died goes on."),
		runMonthCommand("backfill", true, "Go over the accounts of a month again",
			"For what was reported late by accounts that have no invoice of the month. Nobody is billed twice."),
		showMonthCommand(), reportMonthCommand(),
	)
	return cmd
}

// aPeriod is a month.
func aPeriod(text string) (string, error) {
	if _, ok := billing.ParsePeriod(text); !ok {
		return "", errors.New("it must be a month, such as 2026-10")
	}
	return text, nil
}

type runMonthBody struct {
	Period    string `json:"period"`
	AccountID string `json:"account_id,omitempty"`
	Backfill  bool   `json:"backfill,omitempty"`
	Reason    string `json:"reason"`
}

func runMonthCommand(verb string, backfill bool, short, long string) *cobra.Command {
	body := runMonthBody{Backfill: backfill}
	var noWait bool
	cmd := &cobra.Command{
		Use:   verb + " --reason WHY",
		Short: short,
		Long:  long + " It is in the audit log, with who and why.\n" + monthlyWhere,
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			if body.Period == "" {
				body.Period = billing.PeriodText(billing.LastDueMonth(time.Now()))
			}
			door, err := newFrontDoor("PAYSTAGE_FINANCE_KEY")
			if err != nil {
				return err
			}
			var answer struct {
				Month   *api.Month        `json:"month"`
				Account *api.AccountMonth `json:"account"`
			}
			if err := door.call(cmd.Context(), http.MethodPost, "/v1/finance/monthly", nil, body, &answer); err != nil {
				return err
			}
			if answer.Account != nil {
				return show(cmd, answer.Account, fmt.Sprintf("Account %s: %d invoices made.", answer.Account.AccountID, answer.Account.Invoices))
			}
			if !noWait {
				if err := follow(cmd.Context(), door, cmd.ErrOrStderr(), answer.Month); err != nil {
					return err
				}
			}
			return show(cmd, answer.Month, monthText(*answer.Month))
		}),
	}
	given(cmd, &body.AccountID, "account", "`one` account; without it all", anID)
	required(cmd, &body.Reason, "reason", "`why`, for the audit log", words(maxReason))
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "don't wait until all accounts are done")
	if backfill {
		required(cmd, &body.Period, "period", "the `month`, such as 2026-10", aPeriod)
	} else {
		given(cmd, &body.Period, "period", "the `month`, such as 2026-10", aPeriod)
	}
	return cmd
}

// follow waits until a month is closed, with a bar on a terminal meanwhile.
func follow(ctx context.Context, door frontDoor, out io.Writer, m *api.Month) error {
	drawn := false
	for m.State != "closed" {
		if isTerminal(out) {
			fmt.Fprintf(out, "\r\033[K%s", bar(*m))
			drawn = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followEvery):
		}
		*m = api.Month{Period: m.Period}
		if err := door.call(ctx, http.MethodGet, "/v1/finance/monthly/"+m.Period, nil, nil, m); err != nil {
			return err
		}
	}
	if drawn {
		fmt.Fprint(out, "\r\033[K")
	}
	return nil
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func bar(m api.Month) string {
	done := barWidth
	if m.Accounts > 0 {
		done = int(min(m.AccountsDone, m.Accounts) * barWidth / m.Accounts)
	}
	text := fmt.Sprintf("%s [%s%s] %d of %d accounts, %.0f/s", m.Period, strings.Repeat("#", done), strings.Repeat(".", barWidth-done),
		m.AccountsDone, m.Accounts, m.PerSecond)
	if m.SecondsLeft != nil {
		text += fmt.Sprintf(", %s left", (time.Duration(*m.SecondsLeft) * time.Second).Round(time.Second))
	}
	return text
}

func monthText(m api.Month) string {
	return fmt.Sprintf("%s is %s: %d of %d accounts done, %d invoices of %s, %d of them demand %s.",
		m.Period, m.State, m.AccountsDone, m.Accounts, m.Invoices, money.USD(m.UsageMicros), m.Owing, money.USD(m.DueMicros))
}

func showMonthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [PERIOD]",
		Short: "Show how far the closing of a month has come, or the newest months",
		Long:  monthlyWhere,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return oneArgument(aPeriod)(cmd, args)
		},
		RunE: doing(func(cmd *cobra.Command, args []string) error {
			door, err := newFrontDoor("PAYSTAGE_FINANCE_KEY")
			if err != nil {
				return err
			}
			if len(args) == 1 {
				var m api.Month
				if err := door.call(cmd.Context(), http.MethodGet, "/v1/finance/monthly/"+args[0], nil, nil, &m); err != nil {
					return err
				}
				return show(cmd, m, monthText(m))
			}
			return showMonths(cmd, door)
		}),
	}
}

func showMonths(cmd *cobra.Command, door frontDoor) error {
	var list struct {
		Months []api.Month `json:"months"`
		Open   []string    `json:"open"`
	}
	if err := door.call(cmd.Context(), http.MethodGet, "/v1/finance/monthly", nil, nil, &list); err != nil {
		return err
	}
	if asJSON(cmd) {
		return show(cmd, list, "")
	}
	rows := [][]any{{"MONTH", "STATE", "ACCOUNTS", "DONE", "INVOICES", "USED", "OWING", "DUE", "CLOSED"}}
	for _, m := range list.Months {
		rows = append(rows, []any{m.Period, m.State, m.Accounts, m.AccountsDone, m.Invoices, money.USD(m.UsageMicros), m.Owing, money.USD(m.DueMicros), clock(m.ClosedAt)})
	}
	if err := table(cmd, rows); err != nil {
		return err
	}
	if len(list.Open) > 0 {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "Due and not closed: %s\n", strings.Join(list.Open, ", "))
		return err
	}
	return nil
}

func reportMonthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "report PERIOD",
		Short: "Show what a month's invoices demanded and what became of that, against the ledger",
		Long:  monthlyWhere + " Fails if invoices and ledger do not agree.",
		Args:  oneArgument(aPeriod),
		RunE: doing(func(cmd *cobra.Command, args []string) error {
			door, err := newFrontDoor("PAYSTAGE_FINANCE_KEY")
			if err != nil {
				return err
			}
			var r api.MonthReport
			if err := door.call(cmd.Context(), http.MethodGet, "/v1/finance/monthly/"+args[0]+"/report", nil, nil, &r); err != nil {
				return err
			}
			if err := showReport(cmd, r); err != nil {
				return err
			}
			if !r.Agrees {
				return errors.New("invoices and ledger do not agree")
			}
			return nil
		}),
	}
}

func showReport(cmd *cobra.Command, r api.MonthReport) error {
	if asJSON(cmd) {
		return show(cmd, r, "")
	}
	rows := [][]any{{r.Period, "INVOICES", "AMOUNT", "BY THE LEDGER"}}
	for _, row := range []struct {
		name   string
		sum    api.Sum
		ledger any
	}{
		{"invoiced", r.Invoiced, money.USD(r.Ledger.InvoicedMicros)}, {"collected", r.Collected, money.USD(r.Ledger.CollectedMicros)},
		{"open", r.Open, ""}, {"past due", r.PastDue, ""}, {"void", r.Void, money.USD(r.Ledger.VoidMicros)},
		{"uncollectible", r.Uncollectible, money.USD(r.Ledger.UncollectibleMicros)},
	} {
		rows = append(rows, []any{row.name, row.sum.Invoices, money.USD(row.sum.Micros), row.ledger})
	}
	for _, reason := range r.Reasons {
		rows = append(rows, []any{"  " + reason.Status + ": " + reason.Reason, reason.Invoices, money.USD(reason.Micros), ""})
	}
	rows = append(rows, []any{"nothing due", r.NothingDue, "", ""})
	if err := table(cmd, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "Used %s and carried in %s: paid by free credits %s, by purchased ones %s, invoiced %s, carried out %s.\n",
		money.USD(r.UsageMicros), money.USD(r.CarriedInMicros), money.USD(r.FreeMicros), money.USD(r.PurchasedMicros),
		money.USD(r.Invoiced.Micros), money.USD(r.CarriedOutMicros))
	return err
}
