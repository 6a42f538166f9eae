// Package letters writes what customers are told by email. Each letter is a pure
// function from what is known to a [Letter]: a subject, a text, and the same as
// HTML. Who sends it, when and how often is not known here.
//
// All letters are one page in one layout. A page is a heading, paragraphs, at most
// one link, and the figures that the reader may have to look up; the two templates
// turn it into text that stands on its own and into HTML that a screen reader reads
// in the same order: one language, one heading, figures as a table with row headers,
// and a link that says what it does.
//
// What comes from outside is made one line before it is written (names, numbers) and
// escaped by html/template, so that no name can forge a header, a line or a link.
// A letter names its reader, the account and the matter, and nothing else of them:
// no address, no card number, no tax ID. A decline reads as [billing.DeclineFor] has
// it (R44), so that page, API and mail say the same.
package letters
