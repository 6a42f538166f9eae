package main

import (
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// setting reads a variable that a command can't do without.
func setting(name string) (string, error) {
	value := os.Getenv(name)
	if value == "" {
		return "", fmt.Errorf("%s is not set. The local stack writes its own to .dev/env: `set -a; . .dev/env; set +a`", name)
	}
	return value, nil
}

// show prints a result: the object as JSON under --output json, else the text.
func show(cmd *cobra.Command, object any, text string) error {
	if asJSON(cmd) {
		encoder := json.NewEncoder(cmd.OutOrStdout())
		encoder.SetIndent("", "  ")
		return encoder.Encode(object)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

func asJSON(cmd *cobra.Command) bool {
	format, _ := cmd.Flags().GetString("output")
	return format == "json"
}

// table prints rows in columns, the first being the heading.
func table(cmd *cobra.Command, rows [][]any) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
