package billing_test

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

func TestTierForEachThreshold(t *testing.T) {
	for _, c := range []struct {
		spend  string
		number int
		next   string
	}{
		{"-$1.00", 0, "$5.00"},
		{"$0.00", 0, "$5.00"},
		{"$4.999999", 0, "$5.00"},
		{"$5.00", 1, "$50.00"},
		{"$49.999999", 1, "$50.00"},
		{"$50.00", 2, "$100.00"},
		{"$99.999999", 2, "$100.00"},
		{"$100.00", 3, "$250.00"},
		{"$249.999999", 3, "$250.00"},
		{"$250.00", 4, "$1000.00"},
		{"$999.999999", 4, "$1000.00"},
		{"$1000.00", 5, ""},
		{"$9000000000000.00", 5, ""},
	} {
		spend, err := money.Parse(c.spend)
		if err != nil {
			t.Fatal(err)
		}
		want := models.Tier{Number: c.number, Name: billing.TierName(c.number)}
		if got := billing.TierFor(spend); got != want {
			t.Errorf("%s: got %v, want %v", c.spend, got, want)
		}
		next, more := billing.NextAt(spend)
		if more != (c.next != "") || more && next.String() != c.next {
			t.Errorf("%s: next at %s, %v; want %q", c.spend, next, more, c.next)
		}
	}
}

func TestTierTable(t *testing.T) {
	for number, want := range []struct {
		name    string
		limits  models.RateLimits
		balance money.USD
	}{
		{"Limited", models.RateLimits{}, 0},
		{"Build Tier 1", models.RateLimits{LLM: 600, Embeddings: 3_000, Rerank: 500_000}, 100_000_000},
		{"Build Tier 2", models.RateLimits{LLM: 1_800, Embeddings: 5_000, Rerank: 1_500_000}, 100_000_000},
		{"Build Tier 3", models.RateLimits{LLM: 3_000, Embeddings: 5_000, Rerank: 2_000_000}, 100_000_000},
		{"Build Tier 4", models.RateLimits{LLM: 4_500, Embeddings: 10_000, Rerank: 3_000_000}, 100_000_000},
		{"Build Tier 5", models.RateLimits{LLM: 6_000, Embeddings: 10_000, Rerank: 5_000_000}, 100_000_000},
	} {
		if got := billing.TierName(number); got != want.name {
			t.Errorf("tier %d is %q", number, got)
		}
		if got := billing.RateLimitsFor(number); got != want.limits {
			t.Errorf("tier %d limits %v", number, got)
		}
		if got := billing.BalanceLimit(number); got != want.balance {
			t.Errorf("tier %d balance limit %s", number, got)
		}
	}
}

func TestTierNumbersOutsideTheTable(t *testing.T) {
	for number, want := range map[int]int{-1: 0, math.MinInt: 0, 6: 5, math.MaxInt: 5} {
		got := billing.EntitlementFor(models.EntitlementState{AccountID: "a", Tier: number, Version: 1})
		same := billing.EntitlementFor(models.EntitlementState{AccountID: "a", Tier: want, Version: 1})
		if got.Tier != same.Tier || got.Limits != same.Limits || !slices.Equal(got.Models, same.Models) {
			t.Errorf("tier %d: got %v, want that of tier %d", number, got, want)
		}
	}
}

func TestMoreSpendNeverLowersTheTier(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		less, more := rapid.Int64().Draw(t, "less"), rapid.Int64().Draw(t, "more")
		if less > more {
			less, more = more, less
		}
		low, high := billing.TierFor(money.USD(less)), billing.TierFor(money.USD(more))
		if low.Number > high.Number {
			t.Fatalf("%d is tier %d, %d is tier %d", less, low.Number, more, high.Number)
		}
		if next, ok := billing.NextAt(money.USD(less)); ok && billing.TierFor(next).Number != low.Number+1 {
			t.Fatalf("the tier after %d does not begin at %s", low.Number, next)
		}
	})
}

func TestTierRulesAreTheCallersOwn(t *testing.T) {
	want := models.TierRules{
		Thresholds: []int64{5_000_000, 50_000_000, 100_000_000, 250_000_000, 1_000_000_000},
		Limits:     []int64{0, 100_000_000, 100_000_000, 100_000_000, 100_000_000, 100_000_000},
	}
	got := billing.TierRules()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v", got)
	}
	got.Thresholds[0], got.Limits[0] = 0, 1
	if !reflect.DeepEqual(billing.TierRules(), want) {
		t.Error("a caller changed the table")
	}
}

func TestModelsFor(t *testing.T) {
	one := []string{
		"black-forest-labs/FLUX.1-canny",
		"black-forest-labs/FLUX.1-depth",
		"black-forest-labs/FLUX.1-dev",
		"black-forest-labs/FLUX.1-kontext-dev",
		"black-forest-labs/FLUX.1-redux",
		"black-forest-labs/FLUX.1-schnell",
		"black-forest-labs/FLUX.1-schnell-Free",
	}
	two := append(slices.Clone(one), "black-forest-labs/FLUX.1-pro", "black-forest-labs/FLUX.1.1-pro")
	slices.Sort(two)
	for number, want := range [][]string{{}, one, two, two, two, two} {
		if got := billing.ModelsFor(number); !slices.Equal(got, want) {
			t.Errorf("tier %d: %q", number, got)
		}
	}
}

func TestEntitlementForIsTheWireFormat(t *testing.T) {
	east := time.FixedZone("east", 5*3600)
	got, err := json.Marshal(billing.EntitlementFor(models.EntitlementState{
		AccountID: "acct_1", Version: 7, Suspended: true, SpendMicros: 4_990_000, ChangedAt: time.Date(2026, 10, 3, 5, 0, 0, 0, east),
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"account_id":"acct_1","version":7,"tier":{"number":0,"name":"Limited"},` +
		`"limits":{"llm_rpm":0,"embeddings_rpm":0,"rerank_rpm":0},"models":[],` +
		`"suspended":true,"blocked":false,"lifetime_spend_micros":4990000,"changed_at":"2026-10-03T00:00:00Z"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
