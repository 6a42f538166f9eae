package main

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/spf13/cobra"
)

func pricesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prices",
		Short: "List prices and add new ones, in the database at DATABASE_URL",
		Args:  cobra.NoArgs,
		RunE:  needsCommand,
	}
	cmd.AddCommand(listPricesCommand(), addPriceCommand())
	return cmd
}

func listPricesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the prices in force and those to come",
		Args:  cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			return withLedger(cmd.Context(), func(store *ledger.Ledger) error {
				all, err := store.Prices(cmd.Context())
				if err != nil {
					return err
				}
				prices := billing.NewPriceList(all).From(time.Now())
				shown := make([]api.Price, len(prices))
				rows := [][]any{{"SKU", "UNIT", "MICRO-DOLLARS", "FROM"}}
				for i, p := range prices {
					shown[i] = api.PriceOf(p)
					rows = append(rows, []any{p.SKU, p.Unit, shown[i].MicrosPerUnit, clock(&p.FromAt)})
				}
				if asJSON(cmd) {
					return show(cmd, shown, "")
				}
				return table(cmd, rows)
			})
		}),
	}
}

func addPriceCommand() *cobra.Command {
	var price models.Price
	reason := api.NoReason
	cmd := &cobra.Command{
		Use:   "add --sku SKU --unit UNIT --micros-per-unit AMOUNT --from TIME",
		Short: "Add a price: what a unit of a SKU costs from a time on",
		Long: `A price is never changed: a new one takes its place from a time in the future. A SKU
that is new may begin at any time.`,
		Args: cobra.NoArgs,
		RunE: doing(func(cmd *cobra.Command, _ []string) error {
			return withLedger(cmd.Context(), func(store *ledger.Ledger) error {
				added, err := store.AddPrice(cmd.Context(), price, byHand("add_price", "price/"+price.SKU, reason))
				if err != nil {
					return err
				}
				shown := api.PriceOf(added)
				return show(cmd, shown, fmt.Sprintf("%s costs %s micro-dollars a %s from %s.", shown.SKU, shown.MicrosPerUnit, shown.Unit, clock(&added.FromAt)))
			})
		}),
	}
	required(cmd, &price.SKU, "sku", "`what` is sold", words(100))
	required(cmd, &price.Unit, "unit", "`one` of "+strings.Join(models.Units(), ", "), aUnit)
	required(cmd, &price.PicosPerUnit, "micros-per-unit", "micro-`dollars` a unit, a decimal with at most six places", picos)
	required(cmd, &price.FromAt, "from", "the `time` when it begins", aTime)
	given(cmd, &reason, "reason", "`why`, for the audit log", words(maxReason))
	return cmd
}

func aUnit(text string) (string, error) {
	if !slices.Contains(models.Units(), text) {
		return "", fmt.Errorf("there is no such unit; the units are %s", strings.Join(models.Units(), ", "))
	}
	return text, nil
}

func aTime(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, errors.New("it must be a time with its zone, such as 2026-12-01T00:00:00Z")
	}
	return at, nil
}

// picos reads micro-dollars with at most six decimal places as pico-dollars.
func picos(micros string) (int64, error) {
	amount, ok := new(big.Rat).SetString(micros)
	if !ok || len(micros) > 40 || strings.ContainsAny(micros, "eE/_xXpP") {
		return 0, errors.New("it must be a decimal number of micro-dollars, such as 0.88")
	}
	amount.Mul(amount, big.NewRat(1_000_000, 1))
	if amount.Sign() < 0 || !amount.IsInt() || !amount.Num().IsInt64() {
		return 0, errors.New("it must be zero or more, with at most six decimal places")
	}
	return amount.Num().Int64(), nil
}
