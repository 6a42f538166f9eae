package main

import (
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/devstack/stack"
	"github.com/paystage/paystage/stripesim/judge"
)

// TestWholeStack runs the real programs on servers of their own: a demo from
// nothing, then a stack that stays up, is used by a demo and loses a part.
func TestWholeStack(t *testing.T) {
	p := emptyCheckout(t)
	t.Run("DemoLeavesNothingRunning", func(t *testing.T) {
		var out strings.Builder
		if err := demo(t.Context(), &out, p); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		for _, want := range []string{"bank approval", "invoice", "balance        $25.00", "Build Tier 1", "acknowledged version"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is not in\n%s", want, out.String())
			}
		}
		if left := running(t, p); len(left) > 0 {
			t.Errorf("left running: %v", left)
		}
	})
	before, err := stack.ReadEnv(stack.Dir(p.dir).EnvFile())
	if err != nil {
		t.Fatal(err)
	}
	s, err := stack.Up(t.Context(), p.stackConfig(upCommand, stack.NewProgress(io.Discard)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("AddressesAndKeysSurviveARestart", func(t *testing.T) {
		after, err := stack.ReadEnv(stack.Dir(p.dir).EnvFile())
		if err != nil || !maps.Equal(before, after) {
			t.Errorf("before %v, after %v, %v", before, after, err)
		}
	})
	t.Run("DemoUsesTheRunningStack", func(t *testing.T) {
		var out strings.Builder
		if err := demo(t.Context(), &out, p); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		if !strings.Contains(out.String(), "which stays up") || len(running(t, p)) == 0 {
			t.Errorf("the stack did not stay up:\n%s", out.String())
		}
	})
	t.Run("APurchaseOpensAModelAtTheGateways", func(t *testing.T) { purchaseOpensAModel(t, s.Env) })
	t.Run("ASecondUpIsRefused", func(t *testing.T) {
		_, err := stack.Up(t.Context(), p.stackConfig(upCommand, nil))
		if held := (*stack.HeldError)(nil); !errors.As(err, &held) {
			t.Errorf("got %v, want a HeldError", err)
		}
	})
	t.Run("APartThatDiesIsReported", func(t *testing.T) {
		for _, process := range running(t, p) {
			if process.name == "worker" {
				kill(t, process.pid)
			}
		}
		select {
		case died := <-s.Died():
			if died.Name != "worker" || !strings.Contains(died.Error(), "signal: killed") {
				t.Errorf("got %v", died)
			}
		case <-time.After(time.Minute):
			t.Error("nobody noticed")
		}
	})
}

// emptyCheckout is this checkout with a state folder that holds nothing but a
// Temporal CLI, and an environment that gives nothing. What its programs said to
// the Stripe double is judged when the test ends.
func emptyCheckout(t *testing.T) places {
	t.Helper()
	if testing.Short() {
		t.SkipNow()
	}
	binary := os.Getenv(stack.TestTemporalBin)
	if binary == "" {
		t.Fatal("run `make test`, or `go run ./devstack exec -- go test ./...`")
	}
	for _, name := range []string{
		stack.StripeAPIBase, stack.DatabaseURL, stack.TemporalAddress, stack.GatewayURLs, stack.SMTPURL, stack.PaystageURL,
	} {
		t.Setenv(name, "")
	}
	root, err := stack.FindRoot(".")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := stack.MakeDir(filepath.Join(t.TempDir(), ".dev"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Clean(string(dir)); err != nil {
			t.Error(err)
		}
	})
	if err := os.Mkdir(dir.Bin(""), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, dir.Bin("temporal")); err != nil {
		t.Fatal(err)
	}
	transcript := filepath.Join(t.TempDir(), "stripe.transcript")
	t.Cleanup(func() { judge.Transcript(t, transcript) })
	return places{root: root, dir: string(dir), stripeTranscript: transcript}
}
