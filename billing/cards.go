package billing

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
