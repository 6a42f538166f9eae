package money_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/paystage/paystage/money"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]int64{
		"0":                       0,
		"-0":                      0,
		"25":                      25_000_000,
		"25.00":                   25_000_000,
		"$25.00":                  25_000_000,
		"25.5":                    25_500_000,
		"007":                     7_000_000,
		"-$0.000001":              -1,
		"-1.5":                    -1_500_000,
		"0.000015":                15,
		"$9223372036854.775807":   math.MaxInt64,
		"-$9223372036854.775808":  math.MinInt64,
		"-$09223372036854.775808": math.MinInt64,
	} {
		if got, err := money.Parse(in); err != nil || int64(got) != want {
			t.Errorf("%q: got %d, %v; want %d", in, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", "-", "$", "-$", ".", ".5", "5.", "$.5", "+5", "--5", "$-5", "$$5", "1,000", "1_000", " 5", "5 ",
		"5.0000000", "1.2.3", "1e3", "0x10", "NaN", "Inf", "٥", "5.٥", "5€", "5.-1", "5.+1",
		strings.Repeat("0", 33),
	} {
		if got, err := money.Parse(in); !errors.Is(err, money.ErrSyntax) || got != 0 {
			t.Errorf("%q: got %d, %v", in, got, err)
		}
	}
	for _, in := range []string{
		"9223372036854.775808", "-9223372036854.775809", "18446744073709.551616", "99999999999999999999999",
	} {
		if got, err := money.Parse(in); !errors.Is(err, money.ErrOverflow) || got != 0 {
			t.Errorf("%q: got %d, %v", in, got, err)
		}
	}
}

func TestString(t *testing.T) {
	for in, want := range map[money.USD]string{
		0:                  "$0.00",
		25 * money.Dollar:  "$25.00",
		-1_500_000:         "-$1.50",
		15:                 "$0.000015",
		-1:                 "-$0.000001",
		1_230_000:          "$1.23",
		1_234_000:          "$1.234",
		1_000_100:          "$1.0001",
		1_234_567_890_000:  "$1234567.89",
		money.Cent:         "$0.01",
		money.USD(-10_001): "-$0.010001",
		math.MaxInt64:      "$9223372036854.775807",
		math.MinInt64:      "-$9223372036854.775808",
	} {
		if got := in.String(); got != want {
			t.Errorf("%d: got %s, want %s", int64(in), got, want)
		}
	}
}

func TestParseReadsWhatStringWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := amount().Draw(t, "u")
		if back, err := money.Parse(u.String()); err != nil || back != u {
			t.Fatalf("%s came back as %d, %v", u, back, err)
		}
	})
}

func TestParseNeverPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringOfN(rapid.RuneFrom([]rune("0123456789.-$ ,")), 0, 40, -1).Draw(t, "in")
		u, err := money.Parse(in)
		if err != nil {
			return
		}
		if back, err := money.Parse(u.String()); err != nil || back != u {
			t.Fatalf("%q gave %d, whose text gives %d, %v", in, u, back, err)
		}
	})
}
