package letters

import (
	"embed"
	htmltemplate "html/template"
	"io"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"
	"unicode/utf8"
)

// Letter is a mail as its reader gets it, in both of its forms.
type Letter struct {
	Subject, Text, HTML string
}

// Reader is whom a letter is for, and who writes.
type Reader struct {
	// Company is who sells; it signs the letter.
	Company string
	// Name and AccountID say which account the letter is about: one address may have
	// several.
	Name      string
	AccountID string
}

// page is what every letter is made of.
type page struct {
	subject string
	// heading is the one heading; the subject where it is empty.
	heading    string
	paragraphs []string
	// action is the one thing to press, at link; none where link is empty.
	action, link string
	// after follows the link.
	after []string
	facts []fact
}

// fact is a figure to look up, with its name.
type fact struct{ Label, Value string }

// view is a page as the templates take it.
type view struct {
	Subject, Heading, Company, Name, AccountID string
	Paragraphs, After                          []string
	Action, Link                               string
	Facts                                      []fact
}

//go:embed layout.html layout.txt
var layouts embed.FS

var (
	htmlLayout = htmltemplate.Must(htmltemplate.ParseFS(layouts, "layout.html"))
	textLayout = texttemplate.Must(texttemplate.New("layout.txt").Funcs(texttemplate.FuncMap{"wrap": wrap}).ParseFS(layouts, "layout.txt"))
)

// write puts a page into the layout.
func write(to Reader, p page) Letter {
	v := view{
		Subject: oneLine(p.subject), Heading: p.heading, Company: oneLine(to.Company), Name: oneLine(to.Name), AccountID: oneLine(to.AccountID),
		Paragraphs: p.paragraphs, After: p.after, Action: p.action, Link: p.link,
	}
	if v.Heading == "" {
		v.Heading = v.Subject
	}
	for _, f := range p.facts {
		v.Facts = append(v.Facts, fact{f.Label, oneLine(f.Value)})
	}
	return Letter{Subject: v.Subject, Text: rendered(textLayout, v), HTML: rendered(htmlLayout, v)}
}

// rendered panics where a template does not fit its view: that is a mistake of this
// package, which the test of any letter meets.
func rendered(layout interface{ Execute(io.Writer, any) error }, v view) string {
	var text strings.Builder
	if err := layout.Execute(&text, v); err != nil {
		panic(err)
	}
	return text.String()
}

// columns is how wide the lines of a text are.
const columns = 72

// wrap breaks a paragraph into lines. A word that is longer, such as a link, stays whole.
func wrap(paragraph string) string {
	var text strings.Builder
	width := 0
	for i, word := range strings.Fields(paragraph) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case width+1+n > columns:
			text.WriteByte('\n')
			width = 0
		default:
			text.WriteByte(' ')
			width++
		}
		text.WriteString(word)
		width += n
	}
	return text.String()
}

// maxName bounds what is taken of a name.
const maxName = 200

// oneLine makes one line of a text, without anything that only steers how text is
// shown: a name must not add lines or turn the direction of what follows.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.C, r) && r != '\u200c' && r != '\u200d': // joiners belong to some scripts' words
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxName {
		s = string(runes[:maxName]) + "…"
	}
	return s
}

func instant(at time.Time) string { return at.UTC().Format("2 January 2006, 15:04 UTC") }
func month(at time.Time) string   { return at.UTC().Format("January 2006") }
