package billing

import "time"

// MessageCardNotAccepted refuses a card by its kind, in the words of R39.
const MessageCardNotAccepted = "We only accept credit or debit cards"

// CheckCard refuses a card by Stripe's brand and funding (R39): Visa, Mastercard
// or American Express, credit or debit. It is asked when a card is saved, and
// the database holds no other card, so that none is charged. The error is a
// [*Refusal] with code unsupported_card.
//
// Funding "unknown" is accepted: Stripe says it where the bank has published
// nothing about the card's number range, which is so for some ordinary credit
// and debit cards. Refusing it would turn those away with a sentence that is
// wrong about them, while a prepaid card among them still meets its bank at
// each charge. A brand that is unknown is refused, as is any value that Stripe
// does not document.
func CheckCard(brand, funding string) error {
	if acceptedBrand(brand) && acceptedFunding(funding) {
		return nil
	}
	return &Refusal{Code: CodeUnsupportedCard, Message: MessageCardNotAccepted}
}

func acceptedBrand(brand string) bool {
	return brand == "visa" || brand == "mastercard" || brand == "amex"
}

func acceptedFunding(funding string) bool {
	return funding == "credit" || funding == "debit" || funding == "unknown"
}

// FailedCheck is the decline code that a card gets whose bank found the address or
// the security code wrong, in Stripe's words of its checks; "" if it found neither
// (R41). Banks that don't check, or not yet, say nothing about the customer.
func FailedCheck(line1, postalCode, cvc string) string {
	const fail = "fail"
	switch fail {
	case line1:
		return "incorrect_address"
	case postalCode:
		return "incorrect_zip"
	case cvc:
		return "incorrect_cvc"
	}
	return ""
}

// CodeMandateInactive is the decline code, of our own, for a card whose bank did not
// take the mandate that the law of its country asks for (R36, R39).
const CodeMandateInactive = "mandate_inactive"

// MandateCents is the most that one charge may be under a mandate without the
// customer's approval, as far as we are concerned: the most for one purchase (R2).
const MandateCents = DefaultMaxPurchaseCents

// CardSetupWindow is how long a customer has to answer the bank that is to verify a
// card (R40).
const CardSetupWindow = 24 * time.Hour
