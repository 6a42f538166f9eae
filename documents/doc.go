// Package documents draws what a customer downloads: invoices as PDF. A document is a
// pure function from what the database has frozen to bytes. The same data gives the same
// bytes: dates are the invoice's own, nothing is taken from a clock, and no order is left
// to chance.
//
// The page is A4, with a margin that Letter paper leaves too. Amounts stand under each
// other by their decimal points, in the lines as in the totals, so that a column can be
// added up by eye although usage is counted in micro-dollars and charged in cents. Text
// can be selected and searched.
//
// Fonts are embedded, of each only the glyphs that are used: Latin, Greek, Cyrillic,
// Armenian, Georgian, Hebrew, Arabic (in its joined forms), Lao, Thai, Chinese, Japanese and
// Korean. What runs from right to left is put in its order on the page, within a page that
// runs from left to right. Scripts that have to be shaped by tables, such as Devanagari, are
// not covered: their characters show as a replacement mark.
package documents
