package money

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxTextBytes bounds what Parse looks at. The longest amount that fits, the
// least one, takes 22 bytes; the slack allows for leading zeros.
const maxTextBytes = 32

// decimals is how many digits after the point a micro-dollar has.
const decimals = 6

// ErrSyntax says that a text is not an amount of dollars.
var ErrSyntax = errors.New("money: not an amount of dollars")

// Parse reads an amount: an optional minus, an optional $, digits, and
// optionally a point with one to six digits, as in "25", "$25.00" or
// "-$0.000001". Anything else, spaces and thousands separators included, is
// [ErrSyntax]; an amount too large is [ErrOverflow]. Nothing is rounded.
func Parse(s string) (USD, error) {
	if len(s) > maxTextBytes {
		return 0, fmt.Errorf("%w: longer than %d characters", ErrSyntax, maxTextBytes)
	}
	text, negative := strings.CutPrefix(s, "-")
	text = strings.TrimPrefix(text, "$")
	dollars, fraction, point := strings.Cut(text, ".")
	if !digits(dollars) || point && !digits(fraction) {
		return 0, fmt.Errorf("%w: %q", ErrSyntax, s)
	}
	if len(fraction) > decimals {
		return 0, fmt.Errorf("%w: %q has more than %d decimals", ErrSyntax, s, decimals)
	}
	micros := dollars + fraction + strings.Repeat("0", decimals-len(fraction))
	size, err := strconv.ParseUint(micros, 10, 64)
	if err != nil {
		size = math.MaxUint64 // digits only, so it can but be too large
	}
	amount, ok := signed(negative, size)
	if !ok {
		return 0, fmt.Errorf("parse %q: %w", s, ErrOverflow)
	}
	return amount, nil
}

// String shows u as "$25.00" or "-$1.50": at least two decimals, more only for
// digits below a cent that are there ("$0.000015"), no thousands separators.
// [Parse] reads it back to the same amount.
func (u USD) String() string {
	sign := ""
	if u < 0 {
		sign = "-"
	}
	size := magnitude(int64(u))
	fraction := fmt.Sprintf("%06d", size%uint64(Dollar))
	cents, finer := fraction[:2], strings.TrimRight(fraction[2:], "0")
	return sign + "$" + strconv.FormatUint(size/uint64(Dollar), 10) + "." + cents + finer
}

// digits reports whether s is one or more of 0 to 9 and nothing else.
func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}
