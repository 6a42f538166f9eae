package documents

import (
	"strings"

	"github.com/paystage/paystage/money"
)

// dollars writes an amount as money does, with commas at the thousands.
func dollars(micros int64) string {
	text := money.USD(micros).String()
	sign, digits, _ := strings.Cut(text, "$")
	whole, fraction, _ := strings.Cut(digits, ".")
	return sign + "$" + grouped(whole) + "." + fraction
}

// grouped sets commas at the thousands of a whole number.
func grouped(digits string) string {
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// finest is how many decimals the amounts take at most.
func finest(micros ...int64) int {
	most := 2
	for _, m := range micros {
		_, fraction, _ := strings.Cut(money.USD(m).String(), ".")
		most = max(most, len(fraction))
	}
	return most
}

// column is where amounts stand: their points below each other, at point, and as many
// decimals to each.
type column struct {
	point    float64
	decimals int
}

// amounts is the column whose fractions end at the right margin.
func (s *sheet) amounts(decimals int, st style) column {
	return column{right - s.width("."+strings.Repeat("0", decimals), st), decimals}
}

// amount draws an amount into its column, with its baseline at y.
func (s *sheet) amount(c column, y float64, micros int64, st style) {
	whole, fraction, _ := strings.Cut(dollars(micros), ".")
	s.textRight(c.point, y, whole, st)
	s.text(c.point, y, "."+fraction+strings.Repeat("0", max(0, c.decimals-len(fraction))), st)
}

// cents draws an amount of whole cents into its column, with two decimals.
func (s *sheet) cents(c column, y float64, micros int64, st style) {
	s.amount(column{c.point, 2}, y, micros, st)
}
