package documents

import "testing"

func TestVisualOrder(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain text 12":      "plain text 12",
		"שלום":               "םולש",
		"abc שלום עולם def":  "abc םלוע םולש def",
		"שלום 1,234.50 עולם": "םלוע 1,234.50 םולש",
		"שָׁלוֹם":            "םוֹלשָׁ",
		"سلام":               "ﻡﻼﺳ",
		"محمد abc":           "ﺪﻤﺤﻣ abc",
		"پاکستان":            "ﻥﺎﺘﺴﮐﺎﭘ",
		"الف":                "ﻒﻟﺍ",
		"":                   "",
	} {
		if got := visual(in); got != want {
			t.Errorf("%q: got %q %U, want %q %U", in, got, []rune(got), want, []rune(want))
		}
	}
}

func TestAmountsAsText(t *testing.T) {
	t.Parallel()
	for micros, want := range map[int64]string{
		0: "$0.00", 1: "$0.000001", 1_234_567_890_000: "$1,234,567.89", -1_000_000_000: "-$1,000.00", 999_990_000: "$999.99", -9_223_372_036_854_775_808: "-$9,223,372,036,854.775808",
	} {
		if got := dollars(micros); got != want {
			t.Errorf("%d: %s, want %s", micros, got, want)
		}
	}
	for in, want := range map[string]string{"0": "0", "999": "999", "1000": "1,000", "12345678901234567890": "12,345,678,901,234,567,890"} {
		if got := grouped(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
