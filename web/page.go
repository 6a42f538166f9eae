// Package web renders the pages that customers see, as pure functions from what is
// known to HTML: one layout, one stylesheet, no script.
//
// A page is one heading, a few facts, what there is to say, and at most one thing to
// do. It works by keyboard, in a screen reader, on a screen of 320 pixels, and in the
// dark. What comes from outside is escaped by html/template. Who serves a page adds
// [Headers].
package web

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"strings"
)

// Page is what every page is made of.
type Page struct {
	// Company is who sells, as customers know it.
	Company string
	// Tone sets the mark beside the heading; words say the same.
	Tone  Tone
	Title string
	// Lead comes before the facts, and Text after them, a paragraph each.
	Lead  []string
	Facts []Fact
	Text  []string
	// Action is the one thing to do; "" is none. It posts to the page's own address.
	Action string
	// Note stands below it, in small.
	Note string
}

// Fact is a figure to look at, with its name.
type Fact struct{ Label, Value string }

// Tone is how a page is meant.
type Tone string

// The tones.
const (
	Asking Tone = "asking"
	Good   Tone = "good"
	Over   Tone = "over"
)

// StylesheetPath is where the pages look for [Stylesheet].
const StylesheetPath = "/paystage.css"

var (
	//go:embed page.html
	layoutText string
	layout     = template.Must(template.New("page").Parse(layoutText))
	//go:embed paystage.css
	stylesheet []byte
)

// Stylesheet is the one style of all pages.
func Stylesheet() []byte { return stylesheet }

// Render writes the page. It panics where the layout does not fit a Page, which any
// test of a page meets.
func (p Page) Render() []byte {
	var out bytes.Buffer
	if err := layout.Execute(&out, struct {
		Page
		Stylesheet string
		Mark       string
	}{p, StylesheetPath, marks[p.Tone]}); err != nil {
		panic("web: the layout does not fit a page: " + err.Error())
	}
	return out.Bytes()
}

// marks are signs that no meaning hangs on: a screen reader passes over them.
var marks = map[Tone]string{Asking: "?", Good: "✓", Over: "–"}

// Headers are what a page is served with. Nothing of it is stored or told to the next
// page, as its address is a secret; it runs nothing and stands in no other page's frame.
// form-action is left open, since a browser holds the redirect to the bank against it.
func Headers(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'none'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'",
	}, "; "))
}
