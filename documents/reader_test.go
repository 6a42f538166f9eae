package documents_test

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"regexp"
	"strconv"
	"testing"
	"unicode/utf16"

	"github.com/paystage/paystage/documents"
)

// word is a text where it stands on a page, in points from its lower left corner.
type word struct {
	page int
	x, y float64
	text string
}

var (
	streams = regexp.MustCompile(`(?s)stream\n(.*?)\nendstream`)
	shown   = regexp.MustCompile(`(?s)BT (-?[\d.]+) (-?[\d.]+) Td \((.*?[^\\]|)\) ?Tj ET`)
	rects   = regexp.MustCompile(`(?m)^0\.00 841\.89 595\.28 -8\.50 re f$`)
)

// drawn is a document and the words in it.
func drawn(t *testing.T, i documents.Invoice) (document []byte, words []word) {
	t.Helper()
	var out bytes.Buffer
	if err := documents.WriteInvoice(&out, i); err != nil {
		t.Fatal(err)
	}
	page := 0
	for _, stream := range streams.FindAllSubmatch(out.Bytes(), -1) {
		packed, err := zlib.NewReader(bytes.NewReader(stream[1]))
		if err != nil {
			continue // no stream of text
		}
		content, err := io.ReadAll(packed)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		if !rects.Match(content) { // the bar on top of every page
			continue
		}
		page++
		for _, w := range shown.FindAllSubmatch(content, -1) {
			x, errX := strconv.ParseFloat(string(w[1]), 64)
			y, errY := strconv.ParseFloat(string(w[2]), 64)
			if err := errors.Join(errX, errY); err != nil {
				t.Fatal(err)
			}
			words = append(words, word{page, x, y, utf16Text(w[3])})
		}
	}
	if page == 0 {
		t.Fatal("no page was found")
	}
	return out.Bytes(), words
}

// utf16Text reads a string of the document: UTF-16 with backslashes before what would
// end it.
func utf16Text(text []byte) string {
	var plain []byte
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			if i++; text[i] == 'r' {
				plain = append(plain, '\r')
				continue
			}
		}
		plain = append(plain, text[i])
	}
	var units []uint16
	for i := 0; i+1 < len(plain); i += 2 {
		units = append(units, uint16(plain[i])<<8|uint16(plain[i+1]))
	}
	return string(utf16.Decode(units))
}
