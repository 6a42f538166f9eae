package documents_test

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/paystage/paystage/documents"
	"github.com/paystage/paystage/models"
)

// texts are the words of a document, as they are.
func texts(words []word) (all []string) {
	for _, w := range words {
		all = append(all, w.text)
	}
	return all
}

func has(t *testing.T, words []word, wanted ...string) {
	t.Helper()
	all := texts(words)
	for _, want := range wanted {
		if !slices.Contains(all, want) {
			t.Errorf("%q is not in %q", want, all)
		}
	}
}

func hasNot(t *testing.T, words []word, unwanted ...string) {
	t.Helper()
	for _, text := range texts(words) {
		for _, not := range unwanted {
			if strings.Contains(text, not) {
				t.Errorf("%q is there: %q", not, text)
			}
		}
	}
}

// R45: the same invoice is the same bytes, whoever draws it and when.
func TestR45SameInvoiceSameBytes(t *testing.T) {
	t.Parallel()
	for name, i := range looks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, _ := drawn(t, i)
			if again, _ := drawn(t, looks()[name]); !bytes.Equal(first, again) {
				t.Fatal("another document")
			}
			if !bytes.HasPrefix(first, []byte("%PDF-")) || !bytes.Contains(first, []byte("(D:202611")) {
				t.Error("not of its own date")
			}
		})
	}
}

var fraction = regexp.MustCompile(`^\.\d{2,6}$`)

// Amounts stand under each other by their points, within the margins, on every page.
func TestAmountsAreAligned(t *testing.T) {
	t.Parallel()
	for name, i := range looks() {
		_, words := drawn(t, i)
		points := map[float64]int{}
		for _, w := range words {
			if fraction.MatchString(w.text) {
				points[w.x]++
			}
			if w.x < 50 || w.x > 545 || w.y < 40 || w.y > 800 {
				t.Errorf("%s: %q stands outside of the margins, at %.0f %.0f", name, w.text, w.x, w.y)
			}
		}
		if len(points) != 1 {
			t.Errorf("%s: points at %v", name, points)
		}
	}
}

// R30: hundreds of lines are all there, with the header on each page that has some, and
// nothing is drawn over the foot.
func TestHundredsOfLines(t *testing.T) {
	t.Parallel()
	i := looks()["300-lines"]
	_, words := drawn(t, i)
	pages := words[len(words)-1].page
	if pages < 5 || pages > 15 {
		t.Errorf("%d pages", pages)
	}
	heads, feet, lines := map[int]int{}, map[int]int{}, 0
	lowest := math.Inf(1)
	for _, w := range words {
		switch {
		case w.text == "DESCRIPTION":
			heads[w.page]++
		case w.text == fmt.Sprintf("Page %d of %d", w.page, pages):
			feet[w.page]++
			continue
		case strings.HasPrefix(w.text, "Acme Inference · Invoice"):
			continue
		case strings.HasSuffix(w.text, " tokens"):
			lines++
		}
		lowest = min(lowest, w.y)
	}
	if lines != 300 || len(feet) != pages {
		t.Errorf("%d lines of 300, %d feet of %d", lines, len(feet), pages)
	}
	for page := range pages {
		if heads[page+1] != 1 {
			t.Errorf("page %d has %d headers", page+1, heads[page+1])
		}
	}
	if lowest < 60 {
		t.Errorf("something stands at %.0f, over the foot", lowest)
	}
	has(t, words, "Usage", "Deployments", "744 h 00 min 00 s", "1 h 02 min 05 s", "team-000, used in September 2026")
}

// R30, R31, R3: what an invoice says, and what became of it.
func TestWhatInvoicesSay(t *testing.T) {
	t.Parallel()
	says := func(name string, wanted ...string) []word {
		t.Helper()
		_, words := drawn(t, looks()[name])
		has(t, words, wanted...)
		return words
	}
	words := says("one-line", "Invoice", "2026-000042", "3 November 2026", "1 October 2026 to 31 October 2026", "Analytical Engines GmbH", "Ada Lovelace",
		"Unter den Linden 1", "Berlin BE 10117", "Tax ID: DE123456789 (EU VAT)", "Cost center 42", "HRB 12345", "invoices@engines.example",
		"Acme Inference", "EIN 12-3456789", "$31.23 due", "meta-llama/llama-3.3-70b.input", "2,000,000 tokens", "Used in all", "Carried over to the next invoice", "Due", "Page 1 of 1")
	hasNot(t, words, "Paid by free credits", "VOID", "Void", "not an invoice")
	says("paid", "$31.23 paid", "Paid by card on 4 November 2026.")
	says("past-due", "$31.23 past due")
	says("nothing", "Nothing due", "Paid by free credits", "meta-llama/llama-3.3-70b.input")
	says("unused", "Nothing due", "Nothing was used")
	says("carried", "Carried over from the invoice before", "Paid by free credits", "Paid by purchased credits", "Carried over to the next invoice")
	hasNot(t, says("void", "Void", "Was due, taken back", "Taken back by credit note 2026-000051 of 12 November 2026 over $26.35. Nothing is due."), "$31.23 due")
	words = says("purchase", "$25.00 paid", "Credit purchase", "Total, paid", "01a20496-2d5e-7325-8fd4-912193ecb4df")
	hasNot(t, words, "Due", "Used", "Further")
	says("old", "The holder of the account")
	words = says("current", "Current usage", "$31.234567 not yet invoiced", "Not yet invoiced", "4 November 2026, 00:00:07 UTC", "Acme Inference · Current usage, not an invoice")
	hasNot(t, words, "2026-000042", "Due")
}

// A line that is left out is in the sum all the same, and said to be.
func TestLinesThatAreLeftOutAreSummed(t *testing.T) {
	t.Parallel()
	i := monthly(0, 0, tokens("a", 1, 1_000_000), tokens("b", 1, 2_500_000))
	i.Lines = i.Lines[:1]
	_, words := drawn(t, i)
	has(t, words, "Further lines", "$2", ".50")
}

// Names bring nothing but their letters, whatever they are made of, and end.
func TestNamesOfAnyKind(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", " ", "\x00\x1b[31m", "a\u202eb", "\\)( Tj ET", strings.Repeat("x", 5_000), strings.Repeat("שלום ", 2_000), "\xff\xfe🚀", "a\r\nb"} {
		i := monthly(0, 0, endpoint(name, 1, 1))
		i.BillTo = &models.BillTo{Name: name, Organization: name, Email: name, Details: name, Territory: name, TaxID: &models.TaxID{Type: name, Value: name}}
		i.Seller = models.Seller{Name: name, Details: []string{name}}
		_, words := drawn(t, i)
		hasNot(t, words, "\x00", "\x1b", "\u202e", "\n", "\r")
		if pages := words[len(words)-1].page; pages > 2 {
			t.Errorf("%.20q: %d pages", name, pages)
		}
	}
}

// Every script that is covered is written as it is; what runs from right to left stands
// in the order of the page, and Arabic is joined.
func TestScripts(t *testing.T) {
	t.Parallel()
	_, words := drawn(t, looks()["scripts"])
	has(t, words, "Олександра Шевченко", "株式会社サンプル・エンジン", "Εταιρεία Παράδειγμα Α.Ε.", "búsqueda – поиск – αναζήτηση", "บริการค้นหา",
		"ﺓﺩﻭﺪﺤﻤﻟﺍ", "המגודה", "שופיח", "\ufffd\ufffd\ufffd \ufffd")
}

func FuzzNames(f *testing.F) {
	f.Add("Ada", "שלום 12 (a)")
	f.Fuzz(func(t *testing.T, name, details string) {
		i := monthly(0, 0, endpoint(name, 1, 1))
		i.BillTo = &models.BillTo{Name: name, Details: details}
		if err := documents.WriteInvoice(&bytes.Buffer{}, i); err != nil {
			t.Error(err)
		}
	})
}
