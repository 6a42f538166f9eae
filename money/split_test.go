package money_test

import (
	"errors"
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/paystage/paystage/money"
)

func TestSplit(t *testing.T) {
	for name, c := range map[string]struct {
		total   money.USD
		weights []int64
		want    []money.USD
	}{
		"even":                        {6, []int64{1, 1, 1}, []money.USD{2, 2, 2}},
		"ties go to the lower index":  {5, []int64{1, 1, 1}, []money.USD{2, 2, 1}},
		"the largest remainder first": {10, []int64{1, 5, 1}, []money.USD{2, 7, 1}},
		"zero weights get nothing":    {7, []int64{0, 1, 0, 1}, []money.USD{0, 4, 0, 3}},
		"nothing to split":            {0, []int64{3, 4}, []money.USD{0, 0}},
		"less than one each":          {1, []int64{1, 2, 2}, []money.USD{0, 1, 0}},
		"a credit reverses":           {-5, []int64{1, 1, 1}, []money.USD{-2, -2, -1}},
		"the least amount":            {math.MinInt64, []int64{1}, []money.USD{math.MinInt64}},
		"the largest weights":         {math.MaxInt64, []int64{math.MaxInt64, math.MaxInt64}, []money.USD{1 << 62, 1<<62 - 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := money.Split(c.total, c.weights)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %d, %v; want %d", got, err, c.want)
			}
		})
	}
}

func TestSplitRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		weights []int64
		want    error
	}{
		"no weights":   {nil, money.ErrWeights},
		"all zero":     {[]int64{0, 0}, money.ErrWeights},
		"a negative":   {[]int64{3, -1}, money.ErrWeights},
		"the least":    {[]int64{math.MinInt64}, money.ErrWeights},
		"past 64 bits": {[]int64{math.MaxInt64, math.MaxInt64, 2}, money.ErrOverflow},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := money.Split(100, c.weights); !errors.Is(err, c.want) || got != nil {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
}

func TestSplitPartsSumToTheTotal(t *testing.T) {
	weight := rapid.OneOf(rapid.Int64Range(0, 9), rapid.Int64Range(0, math.MaxInt64/64))
	rapid.Check(t, func(t *rapid.T) {
		total := amount().Draw(t, "total")
		weights := append(rapid.SliceOfN(weight, 0, 20).Draw(t, "weights"), rapid.Int64Range(1, 9).Draw(t, "last"))
		parts, err := money.Split(total, weights)
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := money.Sum(parts...); err != nil || sum != total {
			t.Fatalf("the parts %d sum to %d, %v", parts, sum, err)
		}
		for i, part := range parts {
			fair(t, total, weights, i, part)
		}
	})
}

// fair fails unless a part is its exact share rounded towards zero, or one
// micro-dollar more.
func fair(t *rapid.T, total money.USD, weights []int64, i int, part money.USD) {
	whole := new(big.Int)
	for _, w := range weights {
		whole.Add(whole, big.NewInt(w))
	}
	share := new(big.Int).Mul(exact(total), big.NewInt(weights[i]))
	share.Quo(share, whole)
	over := new(big.Int).Sub(exact(part), share)
	if total < 0 {
		over.Neg(over)
	}
	if over.Sign() < 0 || over.Cmp(big.NewInt(1)) > 0 {
		t.Fatalf("part %d is %d, its share %v", i, part, share)
	}
}

func TestSplitOfTheReverseIsTheReverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64Range(0, math.MaxInt64).Draw(t, "total")
		weights := append(rapid.SliceOfN(rapid.Int64Range(0, 99), 0, 20).Draw(t, "weights"), 1)
		parts, err := money.Split(money.USD(total), weights)
		if err != nil {
			t.Fatal(err)
		}
		reverse, err := money.Split(money.USD(-total), weights)
		if err != nil {
			t.Fatal(err)
		}
		for i := range parts {
			if parts[i] != -reverse[i] {
				t.Fatalf("%d against %d", parts, reverse)
			}
		}
	})
}
