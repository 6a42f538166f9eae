package money_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/paystage/paystage/money"
)

// edges are the amounts around which two's complement goes wrong.
var edges = []int64{
	math.MinInt64, math.MinInt64 + 1, math.MinInt64 / 2, -10_000, -1, 0, 1, 10_000,
	math.MaxInt64 / 2, math.MaxInt64 - 1, math.MaxInt64,
}

func amount() *rapid.Generator[money.USD] {
	return rapid.Map(rapid.OneOf(rapid.Int64(), rapid.SampledFrom(edges)), func(n int64) money.USD {
		return money.USD(n)
	})
}

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// agree fails unless got is exactly want, or an overflow where want does not
// fit 64 bits.
func agree(t failer, got money.USD, err error, want *big.Int) {
	t.Helper()
	if !want.IsInt64() {
		if !errors.Is(err, money.ErrOverflow) || got != 0 {
			t.Fatalf("%v does not fit, got %d, %v", want, got, err)
		}
		return
	}
	if err != nil || int64(got) != want.Int64() {
		t.Fatalf("want %v, got %d, %v", want, got, err)
	}
}

func exact(u money.USD) *big.Int { return big.NewInt(int64(u)) }

func TestArithmeticIsExactOrOverflows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		exactOrOverflow(t, amount().Draw(t, "a"), amount().Draw(t, "b"))
	})
}

func TestArithmeticAtEveryPairOfEdges(t *testing.T) {
	for _, m := range edges {
		for _, n := range edges {
			exactOrOverflow(t, money.USD(m), money.USD(n))
		}
	}
}

// exactOrOverflow does all arithmetic on one pair, against big integers.
func exactOrOverflow(t failer, a, b money.USD) {
	t.Helper()
	sum, err := money.Add(a, b)
	agree(t, sum, err, new(big.Int).Add(exact(a), exact(b)))
	difference, err := money.Sub(a, b)
	agree(t, difference, err, new(big.Int).Sub(exact(a), exact(b)))
	product, err := money.Mul(a, int64(b))
	agree(t, product, err, new(big.Int).Mul(exact(a), exact(b)))
	cents, err := money.FromCents(int64(b))
	agree(t, cents, err, new(big.Int).Mul(exact(money.Cent), exact(b)))
}

func TestSumIsExactInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amounts := rapid.SliceOfN(amount(), 0, 40).Draw(t, "amounts")
		want := new(big.Int)
		for _, a := range amounts {
			want.Add(want, exact(a))
		}
		total, err := money.Sum(amounts...)
		agree(t, total, err, want)
		shuffled, err := money.Sum(rapid.Permutation(amounts).Draw(t, "shuffled")...)
		agree(t, shuffled, err, want)
	})
}

func TestSumOverflowsOnlyInTheTotal(t *testing.T) {
	total, err := money.Sum(math.MaxInt64, 1, -1)
	if err != nil || total != math.MaxInt64 {
		t.Errorf("got %d, %v", total, err)
	}
	if _, err := money.Sum(math.MinInt64, math.MinInt64); !errors.Is(err, money.ErrOverflow) {
		t.Errorf("twice the least amount: %v", err)
	}
}

func TestCentsRoundTowardsZeroAndLeaveTheRest(t *testing.T) {
	for _, c := range []struct{ in, whole, rest int64 }{
		{0, 0, 0},
		{9_999, 0, 9_999},
		{10_000, 1, 0},
		{1_234_567, 123, 4_567},
		{-1, 0, -1},
		{-9_999, 0, -9_999},
		{-10_001, -1, -1},
		{math.MinInt64, -922_337_203_685_477, -5_808},
	} {
		whole, rest := money.USD(c.in).Cents()
		if whole != c.whole || int64(rest) != c.rest {
			t.Errorf("%d: got %d and %d, want %d and %d", c.in, whole, rest, c.whole, c.rest)
		}
	}
}

func TestCentsAndRestMakeTheAmount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := amount().Draw(t, "u")
		whole, rest := u.Cents()
		cents, err := money.FromCents(whole)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := money.Add(cents, rest); err != nil || back != u {
			t.Fatalf("%d cents and %d make %d, %v", whole, rest, back, err)
		}
		if rest <= -money.Cent || rest >= money.Cent {
			t.Fatalf("the rest %d is a cent or more", rest)
		}
	})
}
