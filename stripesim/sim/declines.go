package sim

import "net/http"

// declineMessages are the sentences that Stripe shows for a decline code; a code
// that is not here reads as a generic decline.
var declineMessages = map[string]string{
	"authentication_required":         "Your card was declined. This transaction requires authentication.",
	"card_not_supported":              "Your card is not supported.",
	"card_velocity_exceeded":          "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
	"currency_not_supported":          "Your card does not support this currency.",
	"duplicate_transaction":           "A transaction with identical amount and credit card information was submitted very recently.",
	"expired_card":                    "Your card has expired.",
	"incorrect_address":               "Your card's address is incorrect.",
	"incorrect_cvc":                   "Your card's security code is incorrect.",
	"incorrect_number":                "Your card number is incorrect.",
	"incorrect_zip":                   "The zip code you supplied failed validation.",
	"insufficient_funds":              "Your card has insufficient funds.",
	"invalid_account":                 "The account the card is connected to is invalid.",
	"invalid_cvc":                     "Your card's security code is invalid.",
	"invalid_expiry_month":            "Your card's expiration month is invalid.",
	"invalid_expiry_year":             "Your card's expiration year is invalid.",
	"processing_error":                "An error occurred while processing your card. Try again in a little bit.",
	"test_mode_live_card":             "Your card was declined. Your request was in test mode, but used a non test (live) card. For a list of valid test cards, visit: https://stripe.com/docs/testing.",
	"transaction_not_allowed":         "Your card does not support this type of purchase.",
	"withdrawal_count_limit_exceeded": "You have exceeded the balance or credit limit available on your card.",
}

// ownErrorCodes are the decline codes that are an error code as well; every
// other decline has the error code card_declined.
var ownErrorCodes = map[string]bool{
	"authentication_required": true, "expired_card": true, "incorrect_address": true, "incorrect_cvc": true,
	"incorrect_number": true, "incorrect_zip": true, "invalid_cvc": true, "invalid_expiry_month": true,
	"invalid_expiry_year": true, "processing_error": true,
}

// declined is the card error of a decline code.
func declined(declineCode string) problem {
	p := problem{Type: typeCard, Code: "card_declined", DeclineCode: declineCode, Message: "Your card was declined."}
	if message, known := declineMessages[declineCode]; known {
		p.Message = message
	}
	if ownErrorCodes[declineCode] {
		p.Code = declineCode
	}
	p.DocURL = docURL(p.Code)
	return p
}

func cardRefusal(declineCode, param string) *refusal {
	p := declined(declineCode)
	p.Param = param
	return newRefusal(http.StatusPaymentRequired, p)
}
