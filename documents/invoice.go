package documents

import (
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"

	"github.com/paystage/paystage/models"
)

// Invoice is what an invoice is drawn from.
type Invoice struct {
	models.Invoice
	Seller models.Seller
	// Lines are those of the invoice in their order. Where they are not all, the last
	// row of the document holds the rest.
	Lines []models.InvoiceLine
	// Note is the credit note of a void invoice, nil where there is none.
	Note *models.CreditNote
	// AsOf is set on a view of usage that is not invoiced yet: the instant it is of.
	AsOf *time.Time
}

// The styles of an invoice.
var (
	styleBrand  = style{15, true, inkAccent}
	styleTitle  = style{20, true, inkText}
	styleDue    = style{15, true, inkText}
	styleLabel  = style{7.5, true, inkNote}
	styleBody   = style{9, false, inkText}
	styleStrong = style{9, true, inkText}
	styleNote   = style{7.5, false, inkNote}
	styleTotal  = style{9, true, inkText}
)

const (
	quantityRight = 150.0
	quantityWidth = 42.0
	// rowGap stands above and below what a row says.
	rowGap = 1.1
	// nameLines bounds how many lines a name takes.
	nameLines = 4
)

// WriteInvoice draws an invoice as PDF. As each page says how many there are, one of
// several pages is drawn twice.
func WriteInvoice(w io.Writer, i Invoice) error {
	pages := 1
	for {
		d := newInvoiceDrawing(i, pages)
		d.draw()
		if d.failed != nil {
			return fmt.Errorf("draw invoice: %w", d.failed)
		}
		if drawn := d.pdf.PageCount(); drawn != pages {
			pages = drawn
			continue
		}
		if err := d.pdf.Output(w); err != nil {
			return fmt.Errorf("draw invoice: %w", err)
		}
		return nil
	}
}

// invoiceDrawing is an invoice on its way onto paper.
type invoiceDrawing struct {
	sheet
	Invoice
	pages  int
	column column
	rest   int64 // what the lines leave out
}

func newInvoiceDrawing(i Invoice, pages int) *invoiceDrawing {
	pdf := fpdf.New("P", "mm", "A4", "")
	pdf.SetAutoPageBreak(false, 0)
	pdf.SetMargins(0, 0, 0)
	pdf.SetCatalogSort(true)
	made := i.IssuedAt.UTC()
	if i.AsOf != nil {
		made = i.AsOf.UTC()
	}
	pdf.SetCreationDate(made)
	pdf.SetModificationDate(made)
	pdf.SetProducer("Paystage", true)
	pdf.SetLang("en")
	d := &invoiceDrawing{sheet: sheet{pdf: pdf, loaded: map[font]bool{}, widths: map[glyph]float64{}}, Invoice: i, pages: pages}
	pdf.SetTitle(d.title(), true)
	pdf.SetAuthor(printable(i.Seller.Name), true)
	d.rest = d.UsageMicros
	micros := []int64{d.TotalMicros, d.UsageMicros, d.CarriedInMicros, d.FreeMicros, d.PurchasedMicros, d.CarriedOutMicros}
	for _, l := range i.Lines {
		d.rest -= l.AmountMicros
		micros = append(micros, l.AmountMicros)
	}
	for _, section := range sections {
		micros = append(micros, d.sum(section.name))
	}
	d.column = d.amounts(finest(append(micros, d.rest)...), styleStrong)
	return d
}

func (d *invoiceDrawing) title() string {
	if d.AsOf != nil {
		return "Current usage, not an invoice"
	}
	return "Invoice " + d.Number
}

func (d *invoiceDrawing) draw() {
	d.page()
	d.head()
	d.parties()
	d.standing()
	d.tableHead()
	if d.Kind == models.InvoiceOfPurchase {
		d.row(row{name: d.Description, quantity: "1", micros: d.TotalMicros})
	}
	for _, section := range sections {
		d.section(section.name, section.title)
	}
	if d.rest != 0 && d.Kind != models.InvoiceOfPurchase {
		d.row(row{name: "Further lines", note: "listed with the invoice, not here", micros: d.rest})
	}
	if len(d.Lines) == 0 && d.Kind != models.InvoiceOfPurchase && d.rest == 0 {
		d.row(row{name: "Nothing was used"})
	}
	d.totals()
	d.remarks()
}

// page begins a page: its bar, and what stands at its foot.
func (d *invoiceDrawing) page() {
	d.pdf.AddPage()
	d.pdf.SetFillColor(inkAccent.r, inkAccent.g, inkAccent.b)
	d.pdf.Rect(0, 0, pageWidth, 3, "F")
	number := fmt.Sprintf("Page %d of %d", d.pdf.PageNo(), d.pages)
	d.textRight(right, foot, number, styleNote)
	width := right - left - d.width(number, styleNote) - 5
	if line := d.lines(d.Seller.Name+" · "+d.title(), width, styleNote, 1); len(line) > 0 {
		d.text(left, foot, line[0], styleNote)
	}
	d.y = top
}

// head is who sells, and what this is.
func (d *invoiceDrawing) head() {
	title := "Invoice"
	if d.AsOf != nil {
		title = "Current usage"
	}
	d.textRight(right, top+styleBrand.leading(), title, styleTitle)
	d.paragraph(left, 100, d.Seller.Name, styleBrand, 2)
	d.y += 1
	for _, line := range d.Seller.Details {
		d.paragraph(left, 100, line, styleNote, 2)
	}
	d.y = max(d.y, top+8) + 10
}

// fact is one of the figures at the head.
type fact struct{ label, value string }

func (d *invoiceDrawing) facts() []fact {
	var facts []fact
	if d.AsOf != nil {
		facts = append(facts, fact{"Not final, as of", instant(*d.AsOf)})
	} else {
		facts = append(facts, fact{"Invoice number", d.Number}, fact{"Issued", day(d.IssuedAt)})
	}
	if d.Period != nil {
		last := d.Period.AddDate(0, 1, -1)
		facts = append(facts, fact{"Period", fmt.Sprintf("%s to %s", day(*d.Period), day(last))})
	}
	if d.PurchaseID != nil {
		facts = append(facts, fact{"Purchase", *d.PurchaseID})
	}
	return append(facts, fact{"Account", d.AccountID})
}

// parties are whom it is made out to, at the left, and the facts, at the right.
func (d *invoiceDrawing) parties() {
	begin, middle := d.y, 110.0
	d.text(left, d.y, "BILL TO", styleLabel)
	for _, p := range billTo(d.BillTo) {
		d.paragraph(left, middle-left-8, p.text, p.style, p.most)
	}
	ended := d.y
	d.y = begin - styleLabel.leading()
	for _, f := range d.facts() {
		d.y += styleLabel.leading() + 1
		d.text(middle, d.y, strings.ToUpper(f.label), styleLabel)
		d.paragraph(middle, right-middle, f.value, styleBody, 2)
	}
	d.y = max(ended, d.y) + 10
}

// styled is a text with how it looks.
type styled struct {
	text  string
	style style
	most  int
}

// billTo are the lines of whom it is made out to. Invoices from before that was kept
// have none, and say so by the account alone.
func billTo(to *models.BillTo) []styled {
	if to == nil {
		return []styled{{"The holder of the account", styleBody, 1}}
	}
	var all []styled
	add := func(text string, st style, most int) {
		if strings.TrimSpace(text) != "" {
			all = append(all, styled{text, st, most})
		}
	}
	if to.Organization != "" {
		add(to.Organization, styleStrong, nameLines)
		add(to.Name, styleBody, nameLines)
	} else {
		add(to.Name, styleStrong, nameLines)
	}
	if a := to.Address; a != nil {
		add(a.Line1, styleBody, 3)
		add(strings.Join(strings.Fields(a.City+" "+a.State+" "+a.PostalCode), " "), styleBody, 2)
		add(a.Country, styleBody, 1)
	} else {
		add(to.Territory, styleBody, 1)
	}
	if to.TaxID != nil {
		add("Tax ID: "+to.TaxID.Value+" ("+strings.ToUpper(strings.ReplaceAll(to.TaxID.Type, "_", " "))+")", styleBody, 2)
	}
	for line := range strings.Lines(to.Details) {
		add(line, styleBody, 2)
	}
	add(to.Email, styleNote, 2)
	return all
}

// standing says in one line what is due, or became of it.
func (d *invoiceDrawing) standing() {
	words, st := dollars(d.DueCents*10_000)+" due", styleDue
	note := "Charged to your card. Credits bought after this invoice cannot pay it."
	switch {
	case d.AsOf != nil:
		words = dollars(d.TotalMicros) + " not yet invoiced"
		note = "A view of what was used so far, and no invoice. It changes until the month is invoiced on the 3rd of the next one."
	case d.Status == string(models.InvoiceVoid):
		words, st.ink, note = "Void", inkAlert, "Nothing is due."
		if d.Note != nil {
			note = fmt.Sprintf("Taken back by credit note %s of %s over %s. Nothing is due.", d.Note.Number, day(d.Note.IssuedAt), dollars(d.Note.AmountMicros))
		}
	case d.Kind == models.InvoiceOfPurchase:
		words, note = dollars(d.TotalMicros)+" paid", "Paid by card on "+day(d.IssuedAt)+"."
	case d.DueCents == 0:
		words, note = "Nothing due", "This invoice is a record of what was used. Nothing is charged for it."
	case d.Status == string(models.InvoicePaid) && d.PaidAt != nil:
		words, note = dollars(d.DueCents*10_000)+" paid", "Paid by card on "+day(*d.PaidAt)+"."
	case d.Status == string(models.InvoicePastDue):
		words, st.ink = dollars(d.DueCents*10_000)+" past due", inkAlert
		note = "Please pay by card on your billing page. Credits cannot pay a past due amount."
	case d.Status == string(models.InvoiceUncollectible):
		words, note = dollars(d.DueCents*10_000)+" not collected", "This amount was written off."
	}
	d.text(left, d.y, words, st)
	d.y += 1
	d.paragraph(left, right-left, note, styleNote, 2)
	d.y += 8
}

// tableHead stands above the lines, on each page that has some.
func (d *invoiceDrawing) tableHead() {
	d.text(left, d.y, "DESCRIPTION", styleLabel)
	d.textRight(quantityRight, d.y, "QUANTITY", styleLabel)
	d.textRight(right, d.y, "AMOUNT (USD)", styleLabel)
	d.y += 1.8
	d.rule(left, right, 0.4, inkText)
}

// room has this much room below, on a new page if need be.
func (d *invoiceDrawing) room(height float64, inTable bool) {
	if d.y+height <= bottom {
		return
	}
	d.page()
	if inTable {
		d.y += 3
		d.tableHead()
	}
}

// sections are the parts of the lines, in their order (R47: deployments apart).
var sections = []struct{ name, title string }{
	{models.SectionUsage, "Usage"}, {models.SectionDeployment, "Deployments"}, {models.SectionCreation, "Creations"},
}

func (d *invoiceDrawing) sum(section string) (micros int64) {
	for _, l := range d.Lines {
		if l.Section == section {
			micros += l.AmountMicros
		}
	}
	return micros
}

// section draws the lines of a section below its title and sum.
func (d *invoiceDrawing) section(section, title string) {
	first := true
	for _, l := range d.Lines {
		if l.Section != section {
			continue
		}
		if first {
			first = false
			d.room(styleStrong.leading()+4*styleBody.leading(), true)
			d.y += styleStrong.leading() + 1
			d.text(left, d.y, title, styleStrong)
			d.amount(d.column, d.y, d.sum(section), styleStrong)
			d.y += rowGap
			d.rule(left, right, 0.2, inkRule)
		}
		d.row(d.rowOf(l))
	}
}

// row is a line of the table.
type row struct {
	name, note, quantity string
	micros               int64
}

// rowOf says what a line is: an SKU, which names the model, for usage; a name for what
// was created.
func (d *invoiceDrawing) rowOf(l models.InvoiceLine) row {
	r := row{name: l.SKU, quantity: quantity(l), micros: l.AmountMicros}
	var notes []string
	if l.Section != models.SectionUsage && l.Name != "" {
		r.name, notes = l.Name, []string{l.SKU}
	}
	if l.Resource != "" {
		notes = append(notes, l.Resource)
	}
	if d.Period != nil && !l.Period.Equal(*d.Period) {
		notes = append(notes, "used in "+l.Period.Format("January 2006"))
	}
	r.note = strings.Join(notes, ", ")
	return r
}

// quantity writes what was used with its unit, time by hours.
func quantity(l models.InvoiceLine) string {
	if l.Unit == "second" {
		seconds, ok := new(big.Int).SetString(l.Quantity, 10)
		if !ok {
			return l.Quantity + " s"
		}
		rest := new(big.Int)
		hours, _ := new(big.Int).DivMod(seconds, big.NewInt(3600), rest)
		return fmt.Sprintf("%s h %02d min %02d s", grouped(hours.String()), rest.Int64()/60, rest.Int64()%60)
	}
	unit := l.Unit
	if l.Quantity != "1" {
		unit += "s"
	}
	return grouped(l.Quantity) + " " + unit
}

// row draws a line. Its note stands behind the name, or below it where both are too long.
func (d *invoiceDrawing) row(r row) {
	width := quantityRight - quantityWidth - left - 4
	names := d.lines(r.name, width, styleBody, nameLines)
	notes := d.lines(r.note, width, styleNote, nameLines)
	var behind string
	if len(names) == 1 && len(notes) == 1 && d.width(names[0], styleBody)+3+d.width(notes[0], styleNote) <= width {
		behind, notes = notes[0], nil
	}
	d.room(float64(len(names))*styleBody.leading()+float64(len(notes))*styleNote.leading()+2*rowGap+0.8, true)
	d.y += rowGap
	first := d.y + styleBody.leading()
	for _, line := range names {
		d.y += styleBody.leading()
		d.text(left, d.y, line, styleBody)
	}
	if behind != "" {
		d.text(left+d.width(names[0], styleBody)+3, first, behind, styleNote)
	}
	for _, line := range notes {
		d.y += styleNote.leading()
		d.text(left, d.y, line, styleNote)
	}
	d.textRight(quantityRight, first, r.quantity, d.fit(r.quantity, quantityWidth, styleBody))
	d.amount(d.column, first, r.micros, styleBody)
	d.y += rowGap + 0.8
	d.rule(left, right, 0.2, inkRule)
}

// totals say how the lines become what is due; they stay together (R30).
func (d *invoiceDrawing) totals() {
	type total struct {
		label  string
		micros int64
	}
	var all []total
	last := total{"Total, paid", d.TotalMicros}
	if d.Kind != models.InvoiceOfPurchase {
		all = append(all, total{"Used in all", d.UsageMicros})
		for _, t := range []total{
			{"Carried over from the invoice before", d.CarriedInMicros}, {"Paid by free credits", -d.FreeMicros},
			{"Paid by purchased credits", -d.PurchasedMicros}, {"Carried over to the next invoice", -d.CarriedOutMicros},
		} {
			if t.micros != 0 {
				all = append(all, t)
			}
		}
		last = total{"Due", d.DueCents * 10_000}
		if d.Status == string(models.InvoiceVoid) {
			last.label = "Was due, taken back"
		}
		if d.AsOf != nil {
			last = total{"Not yet invoiced", d.TotalMicros}
		}
	}
	d.room(float64(len(all)+1)*(styleBody.leading()+1)+styleTotal.leading()+8, false)
	d.y += 3
	for _, t := range all {
		d.y += styleBody.leading() + 1
		d.text(110, d.y, t.label, styleBody)
		d.amount(d.column, d.y, t.micros, styleBody)
	}
	d.y += 2.5
	d.rule(110, right, 0.4, inkText)
	d.y += styleTotal.leading() + 1
	d.text(110, d.y, last.label, styleTotal)
	if d.AsOf != nil {
		d.amount(d.column, d.y, last.micros, styleTotal)
	} else {
		d.cents(d.column, d.y, last.micros, styleTotal)
	}
	d.y += 8
}

// remarks say what a reader may wonder about.
func (d *invoiceDrawing) remarks() {
	var all []string
	if d.CarriedOutMicros != 0 {
		all = append(all, dollars(d.CarriedOutMicros)+" are too little to charge and go on to the next invoice: cards are charged whole cents, and nothing under $0.50.")
	}
	if d.Kind != models.InvoiceOfPurchase && len(d.Lines) > 0 {
		all = append(all, "Amounts are in US dollars and exact to a millionth of a dollar. Months are those of UTC.")
	}
	for _, text := range all {
		d.room(2*styleNote.leading(), false)
		d.paragraph(left, right-left, text, styleNote, 3)
	}
}

func day(at time.Time) string     { return at.UTC().Format("2 January 2006") }
func instant(at time.Time) string { return at.UTC().Format("2 January 2006, 15:04:05 UTC") }
