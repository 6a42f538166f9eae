package letters

import (
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/money"
)

// Invoice is what a letter says of a monthly invoice.
type Invoice struct {
	Number string
	// Period is the first instant of the month that it covers.
	Period time.Time
	// Used is what was used, Credits what credits paid of it, Due what is charged.
	Used, Credits, Due money.USD
	// CarriedIn and CarriedOut are what came from the invoice before and what goes on
	// to the next one, as too little to charge (R3).
	CarriedIn, CarriedOut money.USD
}

// facts leave out what is nothing, but never what is due.
func (i Invoice) facts() []fact {
	facts := []fact{{"Invoice", i.Number}, {"Month", month(i.Period)}, {"Used", i.Used.String()}}
	for _, f := range []struct {
		label  string
		amount money.USD
	}{{"Carried over from the month before", i.CarriedIn}, {"Paid by credits", i.Credits}, {"Carried over to the next invoice", i.CarriedOut}} {
		if f.amount != 0 {
			facts = append(facts, fact{f.label, f.amount.String()})
		}
	}
	return append(facts, fact{"Due", i.Due.String()})
}

// InvoiceIssued tells of a new invoice: what is charged for it, or that nothing is (R31, R32).
func InvoiceIssued(to Reader, i Invoice) Letter {
	subject := "Your invoice for " + month(i.Period) + ": " + i.Due.String() + " due"
	words := []string{
		"Your invoice " + oneLine(i.Number) + " for " + month(i.Period) + " is ready. " + i.Due.String() + " are due.",
		"We charge the amount to your card now, so you don't need to do anything. Should your bank want your approval, you get another mail with a link.",
	}
	if i.Due == 0 {
		subject = "Your invoice for " + month(i.Period) + ": nothing due"
		words = []string{
			"Your invoice " + oneLine(i.Number) + " for " + month(i.Period) + " is ready. Nothing is due, and nothing is charged.",
			"It is a record of what you used.",
		}
	}
	if i.CarriedOut != 0 {
		words = append(words, i.CarriedOut.String()+" are too little to charge, so they go on to your next invoice.")
	}
	return write(to, page{
		subject: subject, paragraphs: words,
		after: []string{"You can see the invoice with all its lines, and download it as PDF, on your billing page."},
		facts: i.facts(),
	})
}

// Owed is an invoice that is not paid yet.
type Owed struct {
	Number string
	Due    money.USD
	// Link leads to a page that pays it; empty is to the billing page by hand.
	Link string
}

func (o Owed) facts() []fact { return []fact{{"Invoice", o.Number}, {"Due", o.Due.String()}} }

func (o Owed) action() string { return "Pay " + o.Due.String() + " for invoice " + oneLine(o.Number) }

// byHand says where to pay, where no link does.
func (o Owed) byHand() string {
	if o.Link != "" {
		return "You can pay at once by the link, with your card or another one."
	}
	return "You can pay at once on your billing page, with your card or another one."
}

// InvoicePaymentFailed says that the card was declined, what to do, and when it is
// tried again (R33, R44). code is Stripe's.
func InvoicePaymentFailed(to Reader, o Owed, code string, next time.Time) Letter {
	return write(to, page{
		subject: "The payment of your invoice " + oneLine(o.Number) + " failed",
		paragraphs: []string{
			"We could not charge " + o.Due.String() + " for invoice " + oneLine(o.Number) + ".",
			billing.DeclineFor(code).Message,
			"We try again on " + instant(next) + ". A new card is charged as soon as you have entered it. " + o.byHand(),
		},
		action: o.action(), link: o.Link,
		after: []string{"If the last try fails too, the invoice is past due and your access is suspended until it is paid."},
		facts: append(o.facts(), fact{"Next try", instant(next)}),
	})
}

// InvoicePastDue says that an invoice was not paid in time, and what follows (R33, R34).
func InvoicePastDue(to Reader, o Owed) Letter {
	return write(to, page{
		subject: "Your invoice " + oneLine(o.Number) + " is past due",
		paragraphs: []string{
			"Your invoice " + oneLine(o.Number) + " over " + o.Due.String() + " could not be charged, and is past due. Your access to our API is suspended until it is paid.",
			o.byHand() + " A new card is charged as soon as you have entered it. Credits cannot pay it, neither those that you have nor new ones.",
			"Your access is restored as soon as the payment is approved.",
		},
		action: o.action(), link: o.Link,
		facts: o.facts(),
	})
}

// Restored says that the account has access again.
func Restored(to Reader) Letter {
	return write(to, page{
		subject: "Your access is restored",
		paragraphs: []string{
			"Everything that was past due is paid, thank you. Your access to our API is restored.",
			"It can take a few seconds until every part of it has heard of that. You don't need to do anything.",
		},
	})
}

// InvoicePaid confirms the payment of an invoice.
func InvoicePaid(to Reader, o Owed) Letter {
	return write(to, page{
		subject: "Your invoice " + oneLine(o.Number) + " is paid",
		paragraphs: []string{
			"Your payment of " + o.Due.String() + " for invoice " + oneLine(o.Number) + " was approved. Thank you; nothing is left to do.",
		},
		facts: []fact{{"Invoice", o.Number}, {"Paid", o.Due.String()}},
	})
}
