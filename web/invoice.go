package web

import "github.com/paystage/paystage/models"

// InvoicePayment is what is known where a customer follows the link to pay an invoice. It
// names no person and no card: whoever holds the link sees it (F42).
type InvoicePayment struct {
	Company  string
	Number   string
	DueCents int64
	Status   models.InvoiceStatus
	// Bank is how the payment in flight stands, "" if there is none.
	Bank models.BankState
	// Declined is what to do about the last payment, in the words of a decline; "" where
	// nothing was declined.
	Declined string
	// Refused is why the account's card can't be charged again, "" if it can.
	Refused string
}

// Page is what the link shows: what is paid, to whom, how much, and the one step that
// there is (R33).
func (i InvoicePayment) Page() Page {
	p := i.words()
	p.Company = i.Company
	p.Facts = []Fact{{"To", i.Company}, {"For", "invoice " + i.Number}, {"Amount", cents(i.DueCents)}}
	return p
}

// words are the page of each state.
func (i InvoicePayment) words() Page {
	switch {
	case i.Status == models.InvoicePaid:
		return Page{Tone: Good, Title: "This invoice is paid", Text: []string{"Thank you. There is nothing left to do, and this link does nothing more."}}
	case i.Status != models.InvoiceOpen && i.Status != models.InvoicePastDue:
		return Page{Tone: Over, Title: "There is nothing to pay", Text: []string{"This invoice was settled in another way. Nothing was charged, and this link does nothing more."}}
	case i.Bank == models.BankRequiresAction:
		return Page{Tone: Asking, Title: "Your bank is waiting for you", Lead: []string{"Your bank wants you to approve this payment. Nothing was charged yet."},
			Action: "Go on to your bank",
			Note:   "If you have just answered there, give it a moment and load this page again."}
	case i.Bank != "":
		return Page{Tone: Asking, Title: "The payment is under way",
			Text: []string{"Your bank has not told us the outcome yet. You don't need to do anything: load this page again in a moment to see it. Please don't pay in another way meanwhile."}}
	case i.Refused != "":
		return Page{Tone: Over, Title: "This card can't pay the invoice", Text: []string{i.Refused,
			"Enter another card on your billing page: it is charged as soon as you have, and you don't need this page any more."}}
	}
	p := Page{Tone: Asking, Title: "Pay invoice " + i.Number, Action: "Pay " + cents(i.DueCents),
		Note: "We charge the card of your account. It is one payment, however often you press. Credits can't pay an invoice."}
	if i.Status == models.InvoicePastDue {
		p.Lead = append(p.Lead, "This invoice is past due. Access is suspended until it is paid, and restored as soon as it is.")
	}
	if i.Declined != "" {
		p.Lead = append(p.Lead, "The last payment failed. "+i.Declined)
	}
	return p
}
