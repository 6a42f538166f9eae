package letters

import (
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/money"
)

// Purchase is what a letter says of a purchase.
type Purchase struct {
	ID     string
	Amount money.USD
}

func (p Purchase) facts() []fact {
	return []fact{{"Purchase", p.ID}, {"Amount", p.Amount.String()}}
}

// PurchaseApproved confirms that the bank approved (R24).
func PurchaseApproved(to Reader, p Purchase) Letter {
	return write(to, page{
		subject: "Your payment of " + p.Amount.String() + " was approved",
		paragraphs: []string{
			"Your bank approved the payment of " + p.Amount.String() + " for credits. The credits are yours.",
			"It can take up to 15 minutes until your new limits and models are open at our API. You don't need to do anything, and please don't pay again meanwhile.",
		},
		facts: p.facts(),
	})
}

// PurchaseDeclined says that the bank declined, and what to do (R44). code is
// Stripe's; what it must not tell it doesn't.
func PurchaseDeclined(to Reader, p Purchase, code string) Letter {
	return write(to, page{
		subject: "Your payment of " + p.Amount.String() + " was declined",
		paragraphs: []string{
			"Your bank declined the payment of " + p.Amount.String() + " for credits. Nothing was charged.",
			billing.DeclineFor(code).Message,
			"When that is done, buy the credits again on your billing page.",
		},
		facts: p.facts(),
	})
}
