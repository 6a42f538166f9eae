package billing

// Codes of refusals. They are part of the public contract and never change.
const (
	CodeInvalidAmount     = "invalid_amount"
	CodeAmountTooSmall    = "amount_too_small"
	CodeAmountTooLarge    = "amount_too_large"
	CodeUnsupportedCard   = "unsupported_card"
	CodeIncompleteAddress = "incomplete_address"
	CodeInvalidThreshold  = "invalid_threshold"
	CodeInvalidCap        = "invalid_cap"
	CodeCardRequired      = "card_required"
	CodeNewCardRequired   = "new_card_required"
)

// Refusal is the error of every check in this package: the caller asked for
// something that the rules do not allow. Trying the same again is of no use.
type Refusal struct {
	// Code is stable and meant for programs.
	Code string
	// Message is a sentence for the customer and says what to do.
	Message string
	// Missing names, for incomplete_address alone, the address fields to
	// complete, by their JSON names and in the order of a form.
	Missing []string
}

// Error is the code and the sentence. Neither holds what the customer typed,
// except an amount, so it may be logged (I9).
func (r *Refusal) Error() string {
	return r.Code + ": " + r.Message
}
