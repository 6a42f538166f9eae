package billing_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/paystage/paystage/billing"
)

// refusal fails unless err is a refusal with this code and a sentence.
func refusal(t *testing.T, err error, code string) *billing.Refusal {
	t.Helper()
	var r *billing.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a refusal %s", err, code)
	}
	if r.Code != code || r.Message == "" {
		t.Fatalf("got %s %q, want %s and a sentence", r.Code, r.Message, code)
	}
	return r
}

func TestCheckPurchaseAmount(t *testing.T) {
	for _, c := range []struct {
		cents, max int64
		code       string
	}{
		{500, billing.DefaultMaxPurchaseCents, ""},
		{2_500, billing.DefaultMaxPurchaseCents, ""},
		{1_000_000, billing.DefaultMaxPurchaseCents, ""},
		{2_000_000, 2_000_000, ""},
		{499, billing.DefaultMaxPurchaseCents, billing.CodeAmountTooSmall},
		{1, billing.DefaultMaxPurchaseCents, billing.CodeAmountTooSmall},
		{0, billing.DefaultMaxPurchaseCents, billing.CodeInvalidAmount},
		{-2_500, billing.DefaultMaxPurchaseCents, billing.CodeInvalidAmount},
		{math.MinInt64, billing.DefaultMaxPurchaseCents, billing.CodeInvalidAmount},
		{1_000_001, billing.DefaultMaxPurchaseCents, billing.CodeAmountTooLarge},
		{math.MaxInt64, billing.DefaultMaxPurchaseCents, billing.CodeAmountTooLarge},
		{math.MaxInt64, math.MaxInt64, billing.CodeAmountTooLarge},
		{math.MaxInt64 / 10_000, math.MaxInt64, ""},
	} {
		err := billing.CheckPurchaseAmount(c.cents, c.max)
		if c.code != "" {
			refusal(t, err, c.code)
		} else if err != nil {
			t.Errorf("%d of at most %d: %v", c.cents, c.max, err)
		}
	}
}

func TestRefusedAmountNamesTheLimit(t *testing.T) {
	err := billing.CheckPurchaseAmount(600_000, 500_000)
	if got, want := refusal(t, err, billing.CodeAmountTooLarge).Message,
		"The most for one credit purchase is $5000.00. Choose a smaller amount."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSlowAndOverdue(t *testing.T) {
	start := time.Date(2026, 10, 3, 23, 59, 30, 0, time.UTC)
	for _, c := range []struct {
		after         time.Duration
		slow, overdue bool
	}{
		{-time.Minute, false, false},
		{0, false, false},
		{time.Minute - 1, false, false},
		{time.Minute, true, false},
		{15*time.Minute - 1, true, false},
		{15 * time.Minute, true, true},
		{100 * 24 * time.Hour, true, true},
	} {
		now := start.Add(c.after)
		if got := billing.Slow(start, now); got != c.slow {
			t.Errorf("slow after %s: %v", c.after, got)
		}
		if got := billing.Overdue(start, now); got != c.overdue {
			t.Errorf("overdue after %s: %v", c.after, got)
		}
	}
	if billing.Overdue(time.Time{}, start) {
		t.Error("overdue before the bank approved")
	}
}
