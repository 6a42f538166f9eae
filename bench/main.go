// Bench measures Paystage against limits measured in the same run, because
// machines differ: it prints each figure, its limit and their ratio, and writes
// the same as JSON to .dev/bench.json. It exits with 1 if a ratio is missed.
//
// The system measured is the development stack: worker, front door, gateways and
// the Stripe double as processes of their own, on a real PostgreSQL and Temporal.
// Arguments choose benchmarks by parts of their names; without any all run.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/paystage/paystage/devstack/stack"
)

// clients is how many callers work side by side.
const clients = 16

// result is one line of the table.
type result struct {
	Name string `json:"name"`
	// Measured and Limit are in Unit; Ratio is Measured to Limit.
	Measured float64 `json:"measured"`
	Limit    float64 `json:"limit"`
	Unit     string  `json:"unit"`
	Ratio    float64 `json:"ratio"`
	// Want is the ratio that Ratio must reach, or must not pass if AtMost.
	Want   float64 `json:"want"`
	AtMost bool    `json:"at_most"`
	Met    bool    `json:"met"`
}

// against sets a measurement against its limit.
func against(name, unit string, measured, limit, want float64, atMost bool) result {
	r := result{Name: name, Unit: unit, Measured: measured, Limit: limit, Ratio: measured / limit, Want: want, AtMost: atMost}
	r.Met = r.Ratio >= want
	if atMost {
		r.Met = r.Ratio <= want
	}
	return r
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

var errMissed = errors.New("a limit is missed")

func run(ctx context.Context) error {
	root, err := stack.FindRoot(".")
	if err != nil {
		return err
	}
	home := filepath.Join(root, ".dev")
	dir, err := freshDir(home)
	if err != nil {
		return err
	}
	s, err := stack.Up(ctx, stack.Config{
		Root: root, Dir: dir, Command: "bench", Progress: stack.NewProgress(os.Stdout),
		// A stack of its own, whatever the environment names.
		Lookup: func(string) string { return "" },
	})
	if err != nil {
		return err
	}
	results, err := measure(ctx, s.Env)
	if err = errors.Join(err, s.Stop()); err != nil {
		return err
	}
	return report(filepath.Join(home, "bench.json"), results)
}

// freshDir is an empty folder for the stack, which shares the programs that are
// built already.
func freshDir(home string) (string, error) {
	if _, err := stack.MakeDir(home); err != nil {
		return "", err
	}
	dir := filepath.Join(home, "bench")
	if err := stack.Clean(dir); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the benchmark's folder: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(home, "bin"), 0o755); err != nil {
		return "", fmt.Errorf("make the folder of programs: %w", err)
	}
	if err := os.Symlink(filepath.Join("..", "bin"), filepath.Join(dir, "bin")); err != nil {
		return "", fmt.Errorf("share the programs: %w", err)
	}
	return dir, nil
}

// measure runs the benchmarks one after the other.
func measure(ctx context.Context, env stack.Env) ([]result, error) {
	var results []result
	for _, b := range []struct {
		name string
		run  func(context.Context, stack.Env) ([]result, error)
	}{
		{"ledger postings", postings},
		{"history of a purchase", history},
		{"a lone purchase", latency},
		{"purchases and empty workflows", throughput},
		{"admission read from the database", admissionRead},
		{"admission at the gateway", admission},
		{"usage through HTTP", usage},
		{"growth of stored usage", growth},
		{"a change at both gateways", propagation},
		{"a million accounts for a new gateway", fullSync},
		{"10,000 accounts that change at once", billingRun},
		{"closing a month", closing},
		{"a thousand accounts that recharge at once", rechargeWave},
		{"looking for accounts to recharge among a million", rechargeSweep},
		{"invoices charged while customers buy", invoiceRun},
	} {
		if !chosen(b.name, os.Args[1:]) {
			continue
		}
		began := time.Now()
		fmt.Printf("==> %s\n", b.name)
		r, err := b.run(ctx, env)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.name, err)
		}
		fmt.Printf("    %s\n", time.Since(began).Round(100*time.Millisecond))
		results = append(results, r...)
	}
	return results, nil
}

func chosen(name string, parts []string) bool {
	return len(parts) == 0 || slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(name, part) })
}

func report(file string, results []result) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nWHAT\tMEASURED\tLIMIT\tRATIO\tWANTED\t")
	missed := false
	for _, r := range results {
		sign, verdict := ">=", "met"
		if r.AtMost {
			sign = "<="
		}
		if !r.Met {
			verdict, missed = "MISSED", true
		}
		fmt.Fprintf(w, "%s\t%.1f %s\t%.1f\t%.2f\t%s %.2f\t%s\n", r.Name, r.Measured, r.Unit, r.Limit, r.Ratio, sign, r.Want, verdict)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if missed {
		return errMissed
	}
	return nil
}
