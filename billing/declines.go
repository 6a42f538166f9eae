package billing

import (
	"slices"
	"strings"
)

// The sentences of R44, one for each category there and one for a decline
// without a reason. Each says what to do. A customer may compare what two cards
// get, so every code of a category reads the same to the letter.
const (
	MessageInsufficientFunds = "There is not enough money in the account behind this card. Add funds, or use another card."
	MessageAddress           = "The billing address is incomplete or does not match the one your bank has. Correct it, the postal code included, and try again."
	MessageExpired           = "The card has expired, or its expiry date is wrong. Check the date, or use another card."
	MessageNotActivated      = "The card is not active. If it is new, activate it with your bank and try again; if not, use another card."
	MessageWrongCVC          = "The security code (CVC) or another number of the card is wrong. Check the card number and the CVC, and enter the card again."
	MessageUnsupportedCard   = "We only accept credit or debit cards. Prepaid and virtual cards do not work; use a card that is tied to a bank account."
	MessageRecurringPayments = "The bank does not allow recurring payments with this card. Ask your bank to allow them, or use another card."
	MessageVerificationHold  = "A $0 verification of this card is waiting in your banking app. Approve it there, then try again."
	MessageFrozen            = "The card is frozen or blocked. Unblock it in your banking app or with your bank, or use another card."
	MessageSpendingLimit     = "The card has reached its spending limit. Raise the limit with your bank, wait until it is renewed, or use another card."
	MessageSecurityStep      = "Your bank wants an additional security step. Complete it when your bank asks for it, then try again."
	MessageTryLater          = "The bank could not process the payment just now. See in your billing history whether you already paid; if not, try again later."
	MessageDeclined          = "The card was declined. Contact your bank, or use another card."
)

// publicCodeWithoutReason stands in for every code that a customer must not see.
const publicCodeWithoutReason = "card_declined"

// DeclineClass says what the system may do with a card after a decline (R27).
// The values are stable: they are stored and travel through histories.
type DeclineClass string

const (
	// Never charge this card again: no retry can get better.
	Never DeclineClass = "never"
	// FixData first: the customer has to correct something.
	FixData DeclineClass = "fix_data"
	// BackOff and try again on a widening schedule.
	BackOff DeclineClass = "back_off"
	// Sparingly: the bank gave no reason, so few tries, far apart.
	Sparingly DeclineClass = "sparingly"
	// LookUp the payment that seems to exist already; do not charge.
	LookUp DeclineClass = "look_up"
	// Authenticate: the customer has to approve with the bank.
	Authenticate DeclineClass = "authenticate"
)

// Decline is what a decline code means.
type Decline struct {
	// Code is Stripe's, for the database, the metrics and support.
	Code string
	// PublicCode is what a customer or a customer's program may see. It is Code,
	// except that a code which tells what the bank or we suspect of the card, or
	// which this table does not know and which might, becomes card_declined.
	PublicCode string
	// Message is the sentence that says what to do (R44).
	Message string
	Class   DeclineClass
	// Known is false for a code outside the table; the caller counts those.
	Known bool
}

// DeclineFor gives the meaning of a Stripe decline code, or of the error code
// where Stripe gives no decline code (R44). An unknown code, the empty one
// included, is declined in general, to be retried sparingly, with Known false.
func DeclineFor(code string) Decline {
	at, found := slices.BinarySearchFunc(declines[:], code, func(row declineRow, code string) int {
		return strings.Compare(row.code, code)
	})
	if !found {
		return Decline{Code: code, PublicCode: publicCodeWithoutReason, Message: MessageDeclined, Class: Sparingly}
	}
	return declines[at].decline()
}

// Declines gives every row of the table, sorted by code.
func Declines() []Decline {
	rows := make([]Decline, len(declines))
	for i, row := range declines {
		rows[i] = row.decline()
	}
	return rows
}

func (row declineRow) decline() Decline {
	public := row.code
	if row.secret {
		public = publicCodeWithoutReason
	}
	return Decline{Code: row.code, PublicCode: public, Message: row.message, Class: row.class, Known: true}
}
