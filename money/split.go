package money

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

// ErrWeights says that weights cannot divide an amount: one is negative, or
// none is positive.
var ErrWeights = errors.New("money: weights must be zero or more, and one of them positive")

// part is one share in the making.
type part struct {
	index     int
	size      uint64 // micro-dollars, without the sign
	remainder uint64 // of the division, in units of 1/total weight
}

// Split divides total in proportion to weights into parts that sum to it
// exactly. Each part is rounded towards zero; the micro-dollars left over go
// one each to the largest remainders, and among equal remainders to the lower
// index, so the same input always gives the same parts. A weight of zero gets
// nothing. Split of -total is the exact reverse of Split of total.
//
// It fails with [ErrWeights], or with [ErrOverflow] if the weights together
// exceed 64 bits.
func Split(total USD, weights []int64) ([]USD, error) {
	whole, err := totalWeight(weights)
	if err != nil {
		return nil, fmt.Errorf("split: %w", err)
	}
	parts := make([]part, len(weights))
	left := magnitude(int64(total))
	for i, weight := range weights {
		// The upper word is below whole, as weight is at most whole and the
		// magnitude at most 2^63, so the division cannot overflow.
		hi, lo := bits.Mul64(magnitude(int64(total)), uint64(weight))
		size, remainder := bits.Div64(hi, lo, whole)
		parts[i] = part{index: i, size: size, remainder: remainder}
		left -= size
	}
	handOut(parts, left)
	shares := make([]USD, len(weights))
	for _, p := range parts {
		shares[p.index], _ = signed(total < 0, p.size) // no part exceeds the total
	}
	return shares, nil
}

// totalWeight is the sum of the weights, more than zero.
func totalWeight(weights []int64) (uint64, error) {
	var whole uint64
	for _, weight := range weights {
		if weight < 0 {
			return 0, ErrWeights
		}
		sum, carry := bits.Add64(whole, uint64(weight), 0)
		if carry != 0 {
			return 0, ErrOverflow
		}
		whole = sum
	}
	if whole == 0 {
		return 0, ErrWeights
	}
	return whole, nil
}

// handOut adds one micro-dollar to each of the left parts that come first by
// largest remainder, then by index. There are always fewer left than parts
// with a remainder, as the remainders sum to left times the total weight.
func handOut(parts []part, left uint64) {
	slices.SortFunc(parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(b.remainder, a.remainder), cmp.Compare(a.index, b.index))
	})
	for i := range left {
		parts[i].size++
	}
}
