package letters

import (
	"time"

	"github.com/paystage/paystage/money"
)

// Authorization is a payment that waits for the customer's approval (R36).
type Authorization struct {
	Amount money.USD
	// InvoiceNumber is what is paid; empty for a purchase of credits.
	InvoiceNumber string
	// Link shows the payment and leads on to the bank; it ends at Until.
	Link  string
	Until time.Time
}

// what names the thing paid, as the end of "a payment of $25.00 ".
func (a Authorization) what() string {
	if a.InvoiceNumber != "" {
		return "for invoice " + oneLine(a.InvoiceNumber)
	}
	return "for credits"
}

func (a Authorization) facts(to Reader) []fact {
	facts := []fact{{"To", to.Company}, {"Amount", a.Amount.String()}}
	if a.InvoiceNumber != "" {
		facts = append(facts, fact{"Invoice", a.InvoiceNumber})
	}
	return append(facts, fact{"Open until", instant(a.Until)})
}

func (a Authorization) action() string { return "Review the payment of " + a.Amount.String() }

// AuthorizationAsked asks the customer to approve a payment with the bank: what is
// paid, to whom, how much, and until when (R37).
func AuthorizationAsked(to Reader, a Authorization) Letter {
	return write(to, page{
		subject: "Please approve your payment of " + a.Amount.String(),
		paragraphs: []string{
			"Your bank wants you to approve a payment of " + a.Amount.String() + " to " + oneLine(to.Company) + " " + a.what() + ". Nothing was charged yet.",
			"The link shows you the payment once more and then leads to your bank. It works once, until " + instant(a.Until) + ".",
		},
		action: a.action(), link: a.Link,
		after: []string{"If you don't want this payment, do nothing: " + a.otherwise() + " We never ask for your card number or a password by email."},
		facts: a.facts(to),
	})
}

// otherwise says what happens if nobody approves (R38).
func (a Authorization) otherwise() string {
	if a.InvoiceNumber != "" {
		return "the link ends by itself, nothing is charged, and the invoice becomes past due."
	}
	return "the link ends by itself, and nothing is charged."
}

// AuthorizationReminder asks again, and ends no earlier link (R38).
func AuthorizationReminder(to Reader, a Authorization) Letter {
	return write(to, page{
		subject: "Reminder: your payment of " + a.Amount.String() + " waits for your approval",
		paragraphs: []string{
			"A payment of " + a.Amount.String() + " to " + oneLine(to.Company) + " " + a.what() + " still waits for your approval. Nothing was charged yet.",
			"You can approve it until " + instant(a.Until) + ". If you did so a moment ago, there is nothing to do.",
		},
		action: a.action(), link: a.Link,
		after: []string{"If you don't want this payment, do nothing: " + a.otherwise()},
		facts: a.facts(to),
	})
}

// AuthorizationExpired says that a purchase ended because nobody approved it. That of
// an invoice ends in PastDue.
func AuthorizationExpired(to Reader, p Purchase) Letter {
	return write(to, page{
		subject: "Your payment of " + p.Amount.String() + " was not approved in time",
		paragraphs: []string{
			"Your payment of " + p.Amount.String() + " for credits was not approved with your bank in time, so it has ended. Nothing was charged.",
			"If you still want the credits, buy them again on your billing page.",
		},
		facts: p.facts(),
	})
}
