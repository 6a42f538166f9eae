package money

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// USD is an amount in micro-dollars: 1 USD is 1,000,000 (R1). It may be
// negative. In JSON and in the database it is the bare integer, under a name
// that ends in _micros.
type USD int64

const (
	// Cent is the smallest amount that Stripe can move.
	Cent USD = 10_000
	// Dollar is 100 cents.
	Dollar USD = 1_000_000
)

// ErrOverflow says that the exact result does not fit a USD. No result comes
// with it.
var ErrOverflow = errors.New("money: amount out of range")

// FromCents turns whole cents, as Stripe counts them, into USD. It fails with
// [ErrOverflow] beyond some 9 trillion dollars.
func FromCents(cents int64) (USD, error) {
	return Mul(Cent, cents)
}

// Cents gives the whole cents of u, rounded towards zero, and the rest below a
// cent that they leave: u is always whole cents plus rest, and rest has the
// sign of u.
//
// Towards zero is R3 in both directions: a charge takes no more than is owed
// and the rest stays owed; an amount the other way (a refund, a credit note)
// gives no more back than is due, where rounding towards minus infinity would
// give away a cent for a thousandth of one.
func (u USD) Cents() (whole int64, rest USD) {
	return int64(u / Cent), u % Cent
}

// Add returns a + b, or [ErrOverflow].
func Add(a, b USD) (USD, error) {
	sum := a + b
	if (sum > a) != (b > 0) {
		return 0, fmt.Errorf("add: %w", ErrOverflow)
	}
	return sum, nil
}

// Sub returns a - b, or [ErrOverflow].
func Sub(a, b USD) (USD, error) {
	difference := a - b
	if (difference < a) != (b > 0) {
		return 0, fmt.Errorf("subtract: %w", ErrOverflow)
	}
	return difference, nil
}

// Mul returns u times n, or [ErrOverflow].
func Mul(u USD, n int64) (USD, error) {
	hi, lo := bits.Mul64(magnitude(int64(u)), magnitude(n))
	product, ok := signed((u < 0) != (n < 0), lo)
	if hi != 0 || !ok {
		return 0, fmt.Errorf("multiply: %w", ErrOverflow)
	}
	return product, nil
}

// Sum adds any number of amounts; of none it is zero. Only the total has to
// fit: the adding is done in 128 bits, so the answer, [ErrOverflow] included,
// does not depend on the order of the amounts.
func Sum(amounts ...USD) (USD, error) {
	var hi, lo uint64
	for _, amount := range amounts {
		var carry uint64
		lo, carry = bits.Add64(lo, uint64(amount), 0)
		// The upper word of a sign-extended amount is all ones or all zeros.
		hi, _ = bits.Add64(hi, uint64(amount>>63), carry)
	}
	total := USD(lo)
	if hi != uint64(total>>63) {
		return 0, fmt.Errorf("sum: %w", ErrOverflow)
	}
	return total, nil
}

// magnitude is the absolute value of n, exact for the least int64 too.
func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// signed puts the sign back on a magnitude, or reports that it does not fit.
func signed(negative bool, size uint64) (USD, bool) {
	if negative {
		return USD(-size), size <= 1<<63
	}
	return USD(size), size <= math.MaxInt64
}
