package web

import (
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

// Approval is what is known where a customer follows the link to approve a payment.
// It names no person: whoever holds the link sees it, and the bank asks for the rest (F42).
type Approval struct {
	Company       string
	Authorization models.Authorization
	// Heard is what Stripe says of the payment where the authorization has not ended yet;
	// the zero value is that it was not asked, or nothing new.
	Heard Heard
}

// Heard is what is known of a bank's answer before it is settled.
type Heard string

// What may be heard.
const (
	HeardNothing  Heard = ""
	HeardApproved Heard = "approved"
	HeardRefused  Heard = "refused"
	// HeardProcessing: the bank has its customer's word, and takes its time.
	HeardProcessing Heard = "processing"
)

// Page is what the link shows: what is paid, to whom, how much, and the one step that
// there is, or how it ended (R37).
func (a Approval) Page() Page {
	p := a.words()
	p.Company, p.Facts = a.Company, a.facts()
	return p
}

func (a Approval) facts() []Fact {
	facts := []Fact{{"To", a.Company}, {"For", "credits"}, {"Amount", cents(a.Authorization.AmountCents)}}
	if a.Authorization.InvoiceNumber != nil {
		facts[1].Value = "invoice " + *a.Authorization.InvoiceNumber
	}
	if !a.Authorization.Ended() && a.Heard == HeardNothing {
		facts = append(facts, Fact{"Open until", a.Authorization.ExpiresAt.UTC().Format("2 January 2006, 15:04 UTC")})
	}
	return facts
}

// words are the page of each state.
func (a Approval) words() Page {
	switch {
	case a.Authorization.State == models.AuthorizationApproved || a.Heard == HeardApproved:
		return Page{Tone: Good, Title: "The payment is approved",
			Text: []string{"Your bank has approved it. There is nothing left to do, and this link does nothing more."}}
	case a.Authorization.State == models.AuthorizationRefused || a.Heard == HeardRefused:
		return Page{Tone: Over, Title: "The payment was not approved",
			Text: []string{"Nothing was charged, and this link does nothing more.", a.again("Ask your bank why, or use another card.")}}
	case a.Heard == HeardProcessing:
		return Page{Tone: Asking, Title: "Your bank is working on it",
			Text: []string{"You have answered your bank, and it has not told us the outcome yet. You don't need to do anything; please don't pay again meanwhile."}}
	case a.Authorization.State == models.AuthorizationExpired:
		return Page{Tone: Over, Title: "The time to approve is over",
			Text: []string{"Nothing was charged, and this link does nothing more.", a.again("")}}
	case a.Authorization.State == models.AuthorizationCanceled || a.Authorization.State == models.AuthorizationReplaced || a.Authorization.Closing != nil:
		return Page{Tone: Over, Title: "The payment was called off",
			Text: []string{"Nothing is charged by this link any more.", a.again("")}}
	case a.Authorization.State == models.AuthorizationOpened:
		return Page{Tone: Asking, Title: "Your bank is still waiting for you",
			Lead:   []string{"You went on to your bank, and it has no answer from you yet. Nothing was charged."},
			Action: "Go on to your bank",
			Note:   "If you have just answered there, give it a moment and load this page again."}
	}
	return Page{Tone: Asking, Title: "Approve this payment with your bank",
		Lead:   []string{"Your bank wants you to approve this payment. Nothing was charged yet."},
		Action: "Approve with your bank",
		Note:   "We send you to your bank, which asks you for its own security step. We never ask for your card number or a password. If you don't want this payment, close this page: nothing is charged."}
}

// again says how to pay after all.
func (a Approval) again(first string) string {
	next := "If you still want the credits, buy them again on your billing page."
	if a.Authorization.Purpose == models.AuthorizeInvoice {
		next = "The invoice is still to be paid: pay it on your billing page, with this card or another one."
	}
	if first == "" {
		return next
	}
	return first + " " + next
}

// DeadLink is why a link opens nothing.
type DeadLink string

// The reasons.
const (
	// LinkInvalid: it was not made by us, or was changed or cut on its way.
	LinkInvalid DeadLink = "invalid"
	// LinkExpired: it is ours, and its time is over.
	LinkExpired DeadLink = "expired"
	// LinkReplaced: a newer one was sent.
	LinkReplaced DeadLink = "replaced"
	// LinkOtherPurpose: it is ours, and for another page.
	LinkOtherPurpose DeadLink = "other_purpose"
)

// Page says that a link opens nothing, and what to do next. It says nothing of what the
// link was about.
func (d DeadLink) Page(company string) Page {
	const help = "If you can't find it, sign in to your billing page, which shows how your payments stand, or write to support: they can send a new link."
	nothing := "Nothing was charged by opening it."
	p := Page{Company: company, Tone: Over}
	switch d {
	case LinkExpired:
		p.Title, p.Text = "This link has expired", []string{nothing, "Look for a newer mail from us: a later link may still be good. " + help}
	case LinkReplaced:
		p.Title, p.Text = "This link was replaced by a newer one", []string{nothing, "Open the link in the newest mail from us. " + help}
	case LinkOtherPurpose:
		p.Title, p.Text = "This link is for another page", []string{nothing, "Open the link as it stands in our mail, without changing it. " + help}
	case LinkInvalid:
		p.Title, p.Text = "This link does not work", []string{nothing,
			"It may have been cut or changed on its way. Open the link in our mail itself, or copy it whole. " + help}
	}
	return p
}

// NotNow says that the bank can't be reached at this moment, and that trying again is safe.
func NotNow(company string) Page {
	return Page{Company: company, Tone: Over, Title: "Your bank can't be reached just now",
		Text:   []string{"Nothing was charged. Try again in a minute: it is one payment, however often you try."},
		Action: "Try again"}
}

// BackFromBank is where a bank sends a customer back to who came from the checkout, or
// from putting a card.
func BackFromBank(company string) Page {
	return Page{Company: company, Tone: Good, Title: "Back from your bank", Text: []string{
		"Your bank has told us its answer. You can close this page and go back to where you came from: your purchase or your card shows there how it goes on.",
		"Please don't pay again."}}
}

// cents writes an amount.
func cents(n int64) string { return (money.Cent * money.USD(n)).String() }
