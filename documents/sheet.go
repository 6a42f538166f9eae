package documents

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"codeberg.org/go-pdf/fpdf"
)

// The page, in millimeters.
const (
	pageWidth, pageHeight = 210.0, 297.0
	left, right           = 18.0, pageWidth - 18.0
	top                   = 20.0
	// bottom is where what flows ends; the foot stands below it.
	bottom = pageHeight - 26.0
	foot   = pageHeight - 15.0
)

// ink is a color.
type ink struct{ r, g, b int }

var (
	inkText   = ink{0x1a, 0x1f, 0x36}
	inkNote   = ink{0x4f, 0x56, 0x6b}
	inkAccent = ink{0x00, 0x55, 0xbc}
	inkAlert  = ink{0xb4, 0x23, 0x18}
	inkRule   = ink{0xd5, 0xdb, 0xe1}
)

// style is how text looks; size is in points.
type style struct {
	size float64
	bold bool
	ink  ink
}

// leading is the distance between two lines, in millimeters.
func (s style) leading() float64 { return s.size * 0.3528 * 1.42 }

// sheet is a document being drawn. Its first trouble stays, as fpdf's does, and is
// asked for at the end.
type sheet struct {
	pdf    *fpdf.Fpdf
	loaded map[font]bool
	// widths are those of characters at one point, as far as they were asked for.
	widths map[glyph]float64
	failed error
	// y is where the next thing is drawn, from the top of the page.
	y float64
}

// glyph is a character in a font.
type glyph struct {
	font font
	r    rune
}

// text draws a line with its left end at x and its baseline at y, and gives its width.
func (s *sheet) text(x, y float64, line string, st style) float64 {
	s.pdf.SetTextColor(st.ink.r, st.ink.g, st.ink.b)
	width := 0.0
	for _, piece := range s.pieces(line, st) {
		s.use(piece.font, st)
		s.pdf.Text(x+width, y, piece.text)
		width += s.pdf.GetStringWidth(piece.text)
	}
	return width
}

// textRight draws a line with its right end at x.
func (s *sheet) textRight(x, y float64, line string, st style) {
	s.text(x-s.width(line, st), y, line, st)
}

// width is how wide a line is.
func (s *sheet) width(line string, st style) float64 {
	width := 0.0
	for _, r := range visual(line) {
		width += s.advance(r, st)
	}
	return width
}

// advance is how far a character moves the next one.
func (s *sheet) advance(r rune, st style) float64 {
	f, r := fontOf(r, st)
	at, known := s.widths[glyph{f, r}]
	if !known {
		s.use(f, style{size: measured})
		at = s.pdf.GetStringWidth(string(r)) / measured
		s.widths[glyph{f, r}] = at
	}
	return at * st.size
}

// measured is the size at which characters are measured, in points.
const measured = 100

// piece is a part of a line that one font holds.
type piece struct {
	font font
	text string
}

// pieces cuts a line by fonts, in the order of the page.
func (s *sheet) pieces(line string, st style) []piece {
	var all []piece
	for _, r := range visual(line) {
		f, r := fontOf(r, st)
		if n := len(all); n > 0 && (all[n-1].font == f || unicode.Is(unicode.M, r)) {
			all[n-1].text += string(r)
			continue
		}
		all = append(all, piece{f, string(r)})
	}
	return all
}

// use sets the font, and loads it first if it is new to the document.
func (s *sheet) use(f font, st style) {
	if !s.loaded[f] {
		s.loaded[f] = true
		if err := load(s.pdf, f); err != nil && s.failed == nil {
			s.failed = err
		}
	}
	s.pdf.SetFont(string(f), "", st.size)
}

// lines breaks a text so that it fits a width, between words where that is possible.
// It gives most lines at most; the last one says by an ellipsis that there was more.
func (s *sheet) lines(text string, width float64, st style, most int) []string {
	var all []string
	rest := strings.Join(strings.Fields(printable(text)), " ")
	for rest != "" {
		if len(all) == most {
			all[most-1] = s.shortened(all[most-1], width, st)
			break
		}
		n := s.fitting(rest, width, st)
		all = append(all, strings.TrimSpace(rest[:n]))
		rest = strings.TrimSpace(rest[n:])
	}
	return all
}

// fitting is how many bytes of a text fit a width: whole words, or if not even one
// fits as many characters as do, one at least.
func (s *sheet) fitting(text string, width float64, st style) int {
	words, used := 0, 0.0
	for at, r := range text {
		used += s.advance(r, st)
		if r == ' ' {
			words = at
		}
		if used > width && at > 0 {
			if words > 0 {
				return words
			}
			return at
		}
	}
	return len(text)
}

// shortened ends a line with an ellipsis, within the width.
func (s *sheet) shortened(line string, width float64, st style) string {
	for line != "" && s.width(line+"…", st) > width {
		_, n := utf8.DecodeLastRuneInString(line)
		line = line[:len(line)-n]
	}
	return line + "…"
}

// printable leaves out what only steers how text is shown.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.C, r):
			return -1
		}
		return r
	}, text)
}

// paragraph draws a text at x within a width, from the sheet's y on, and moves that
// below it.
func (s *sheet) paragraph(x, width float64, text string, st style, most int) {
	for _, line := range s.lines(text, width, st, most) {
		s.y += st.leading()
		s.text(x, s.y, line, st)
	}
}

// fit is the style made small enough for a line to fit a width.
func (s *sheet) fit(line string, width float64, st style) style {
	if w := s.width(line, st); w > width {
		st.size *= width / w
	}
	return st
}

// rule draws a line across, at the sheet's y.
func (s *sheet) rule(from, to, thickness float64, i ink) {
	s.pdf.SetDrawColor(i.r, i.g, i.b)
	s.pdf.SetLineWidth(thickness)
	s.pdf.Line(from, s.y, to, s.y)
}
