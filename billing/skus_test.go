package billing_test

import (
	"testing"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

func TestModelOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ sku, unit, want string }{
		{"meta-llama/llama-3.3-70b.input", "token", "meta-llama/llama-3.3-70b"},
		{"baai/bge-large-en-v1.5.embedding", "token", "baai/bge-large-en-v1.5"},
		{"plain", "token", "plain"},
		{"black-forest-labs/flux.1.1-pro", "image", "black-forest-labs/flux.1.1-pro"},
		{"dedicated_endpoint.h100-80gb", "second", ""},
		{"hosted_model.h100-80gb", "minute", ""},
		{"evaluation_job.creation", "job", ""},
	} {
		if got := billing.ModelOf(c.sku, c.unit); got != c.want {
			t.Errorf("%s by %s: got %q, want %q", c.sku, c.unit, got, c.want)
		}
	}
}

func TestPeriods(t *testing.T) {
	t.Parallel()
	west := time.FixedZone("west", -8*3600)
	for at, want := range map[time.Time]string{
		time.Date(2026, 10, 31, 23, 59, 59, 999, time.UTC): "2026-10",
		time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC):       "2026-11",
		time.Date(2026, 10, 31, 16, 0, 0, 0, west):         "2026-11",
	} {
		period := billing.PeriodOf(at)
		back, ok := billing.ParsePeriod(want)
		if billing.PeriodText(period) != want || !ok || !back.Equal(period) {
			t.Errorf("%s is of %s, want %s (read back as %s)", at, billing.PeriodText(period), want, back)
		}
	}
	for _, text := range []string{"", "2026", "2026-13", "2026-1", "2026-10-01", "0026-10", "26-10", "2026/10", " 2026-10"} {
		if _, ok := billing.ParsePeriod(text); ok {
			t.Errorf("%q is taken for a month", text)
		}
	}
}

func TestEveryCreationHasAnSKU(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, kind := range []models.CreationKind{
		models.CreationDedicatedEndpoint, models.CreationHostedModel, models.CreationFineTuning, models.CreationEvaluation,
	} {
		sku := billing.CreationSKU(kind)
		if sku == "" || seen[sku] {
			t.Errorf("%s has the SKU %q", kind, sku)
		}
		seen[sku] = true
	}
	if sku := billing.CreationSKU("toaster"); sku != "" {
		t.Errorf("a toaster has the SKU %q", sku)
	}
}

func TestMicrosUp(t *testing.T) {
	t.Parallel()
	for picos, want := range map[int64]int64{0: 0, 1: 1, 999_999: 1, 1_000_000: 1, 1_000_001: 2, 1<<63 - 1: 9_223_372_036_855} {
		if got := billing.MicrosUp(picos); got != want {
			t.Errorf("%d picos: got %d micros, want %d", picos, got, want)
		}
	}
}
