package documents

import (
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
)

//go:embed fonts/*.ttf.gz
var fontFiles embed.FS

// font is one of the embedded fonts, by its family in the document.
type font string

const (
	// fontText is Latin, Greek and Cyrillic; the others have no bold.
	fontText font = "text"
	fontBold font = "bold"
	fontRest font = "rest"
	fontThai font = "thai"
	fontCJK  font = "cjk"
)

var fontFile = map[font]string{
	fontText: "NotoSans-Regular", fontBold: "NotoSans-Bold", fontRest: "DejaVuSans-Rest", fontThai: "NotoSansThai-Regular", fontCJK: "DroidSansFallback",
}

// covered are the ranges of characters of each font, as fonts/README.md has them, in
// the order in which they are looked through.
var covered = []struct {
	font   font
	ranges *unicode.RangeTable
}{
	{fontText, table(0x20, 0x7e, 0xa0, 0x52f, 0x1e00, 0x1fff, 0x2010, 0x2027, 0x202f, 0x205e, 0x2070, 0x209c, 0x20a0, 0x20bf,
		0x2100, 0x214f, 0xfb00, 0xfb06, 0xfffd, 0xfffd)},
	{fontThai, table(0x0e00, 0x0e7f)},
	{fontRest, table(0x0530, 0x06ff, 0x0750, 0x077f, 0x0e80, 0x0eff, 0x10a0, 0x10ff, 0x2190, 0x22ff, 0x2500, 0x25ff, 0xfb13, 0xfdff, 0xfe70, 0xfeff)},
	{fontCJK, table(0x1100, 0x11ff, 0x2e80, 0xa4cf, 0xa960, 0xa97f, 0xac00, 0xd7ff, 0xf900, 0xfaff, 0xfe10, 0xfe4f, 0xff00, 0xffef)},
}

// table makes a range table of pairs of a first and a last character, rising.
func table(pairs ...uint16) *unicode.RangeTable {
	t := &unicode.RangeTable{}
	for i := 0; i < len(pairs); i += 2 {
		t.R16 = append(t.R16, unicode.Range16{Lo: pairs[i], Hi: pairs[i+1], Stride: 1})
	}
	return t
}

// replacement shows for what no font holds.
const replacement = '\ufffd'

// fontOf gives the font that holds a character, and what to write of it.
func fontOf(r rune, st style) (font, rune) {
	for _, c := range covered {
		if !unicode.Is(c.ranges, r) {
			continue
		}
		if c.font == fontText && st.bold {
			return fontBold, r
		}
		return c.font, r
	}
	return fontOf(replacement, st)
}

// load puts a font into a document.
func load(pdf *fpdf.Fpdf, f font) error {
	file, err := fontFiles.Open("fonts/" + fontFile[f] + ".ttf.gz")
	if err != nil {
		return fmt.Errorf("font %s: %w", f, err)
	}
	defer file.Close()
	packed, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("font %s: %w", f, err)
	}
	data, err := io.ReadAll(packed)
	if err != nil {
		return fmt.Errorf("font %s: %w", f, err)
	}
	pdf.AddUTF8FontFromBytes(string(f), "", data)
	return pdf.Error()
}
