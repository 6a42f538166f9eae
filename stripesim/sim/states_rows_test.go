package sim_test

// Stripe's pages that the rows come from.
const (
	pageLifecycle = "https://docs.stripe.com/payments/paymentintents/lifecycle"
	pageConfirm   = "https://docs.stripe.com/api/payment_intents/confirm"
	pageCancel    = "https://docs.stripe.com/api/payment_intents/cancel"
	pageUpdate    = "https://docs.stripe.com/api/payment_intents/update"
	pageOff       = "https://docs.stripe.com/payments/save-and-reuse?platform=web#charge-saved-payment-method"
	pageTesting   = "https://docs.stripe.com/testing"
	pageSetup     = "https://docs.stripe.com/payments/setupintents/lifecycle"
	pageSetupDo   = "https://docs.stripe.com/api/setup_intents/confirm"
	pageSetupEnd  = "https://docs.stripe.com/api/setup_intents/cancel"
	pageRefund    = "https://docs.stripe.com/refunds"
	pageRefundNew = "https://docs.stripe.com/api/refunds/create"
	pageRefundEnd = "https://docs.stripe.com/api/refunds/cancel"
	pageDispute   = "https://docs.stripe.com/disputes/how-disputes-work"
	pageEvidence  = "https://docs.stripe.com/testing#disputes"
	pageClose     = "https://docs.stripe.com/api/disputes/close"
	pageAttach    = "https://docs.stripe.com/api/payment_methods/attach"
	pageDetach    = "https://docs.stripe.com/api/payment_methods/detach"
	pageMandate   = "https://docs.stripe.com/india-recurring-payments"
)

// row is one transition: an object in a state, a call, what the call says and how
// the object stands then.
type row struct {
	object, state, call string
	code                string // of the error; empty is no error, refused is one without a code
	then                string
	page                string
}

const refused = "refused"

// stateRows are the state machines of Stripe's objects. Only a public page, never
// the code of the double, is a reason for a row.
var stateRows = []row{
	{"payment_intent", "requires_payment_method", "confirm with a good card", "", "succeeded", pageLifecycle},
	{"payment_intent", "requires_payment_method", "confirm with a debit card", "", "succeeded", pageLifecycle},
	{"payment_intent", "requires_payment_method", "confirm as it is", "payment_intent_unexpected_state", "requires_payment_method", pageConfirm},
	{"payment_intent", "requires_payment_method", "confirm with a card that declines", "card_declined", "requires_payment_method", pageLifecycle},
	{"payment_intent", "requires_payment_method", "confirm where the bank asks", "", "requires_action", pageLifecycle},
	{"payment_intent", "requires_payment_method", "confirm off-session where the bank asks", "authentication_required", "requires_payment_method", pageOff},
	{"payment_intent", "requires_payment_method", "confirm where the bank asks, or fail", "authentication_required", "requires_payment_method", pageConfirm},
	{"payment_intent", "requires_payment_method", "cancel", "", "canceled", pageCancel},
	{"payment_intent", "requires_payment_method", "update the amount", "", "requires_payment_method", pageUpdate},
	{"payment_intent", "requires_payment_method", "update the method", "", "requires_confirmation", pageUpdate},
	{"payment_intent", "requires_payment_method", "refund", refused, "requires_payment_method", pageRefundNew},
	{"payment_intent", "requires_confirmation", "confirm as it is", "", "succeeded", pageLifecycle},
	{"payment_intent", "requires_confirmation", "confirm with a card that declines", "card_declined", "requires_payment_method", pageLifecycle},
	{"payment_intent", "requires_confirmation", "cancel", "", "canceled", pageCancel},
	{"payment_intent", "requires_confirmation", "update the amount", "", "requires_confirmation", pageUpdate},
	{"payment_intent", "declined", "confirm with a good card", "", "succeeded", pageLifecycle},
	{"payment_intent", "declined", "confirm as it is", "payment_intent_unexpected_state", "requires_payment_method", pageConfirm},
	{"payment_intent", "declined", "cancel", "", "canceled", pageCancel},
	{"payment_intent", "authentication_required", "confirm on-session with the same card", "", "requires_action", pageOff},
	{"payment_intent", "authentication_required", "confirm with a good card", "", "succeeded", pageOff},
	{"payment_intent", "authentication_required", "cancel", "", "canceled", pageCancel},
	{"payment_intent", "requires_action", "confirm as it is", "", "requires_action", pageConfirm},
	{"payment_intent", "requires_action", "confirm with a good card", "", "succeeded", pageConfirm},
	{"payment_intent", "requires_action", "cancel", "", "canceled", pageCancel},
	{"payment_intent", "requires_action", "the customer approves", "", "succeeded", pageLifecycle},
	{"payment_intent", "requires_action", "the customer refuses", "", "requires_payment_method", pageLifecycle},
	{"payment_intent", "requires_action", "refund", refused, "requires_action", pageRefundNew},
	{"payment_intent", "approved, without funds", "the customer approves", "", "requires_payment_method", pageTesting},
	{"payment_intent", "processing", "cancel", "payment_intent_unexpected_state", "processing", pageCancel},
	{"payment_intent", "processing", "confirm as it is", "payment_intent_unexpected_state", "processing", pageConfirm},
	{"payment_intent", "processing", "update the amount", "payment_intent_unexpected_state", "processing", pageUpdate},
	{"payment_intent", "processing", "the bank pays", "", "succeeded", pageLifecycle},
	{"payment_intent", "processing", "the bank declines", "", "requires_payment_method", pageLifecycle},
	{"payment_intent", "succeeded", "confirm as it is", "payment_intent_unexpected_state", "succeeded", pageConfirm},
	{"payment_intent", "succeeded", "cancel", "payment_intent_unexpected_state", "succeeded", pageCancel},
	{"payment_intent", "succeeded", "update the amount", "payment_intent_unexpected_state", "succeeded", pageUpdate},
	{"payment_intent", "succeeded", "update the metadata", "", "succeeded", pageUpdate},
	{"payment_intent", "succeeded", "refund", "", "succeeded", pageRefund},
	{"payment_intent", "canceled", "confirm as it is", "payment_intent_unexpected_state", "canceled", pageConfirm},
	{"payment_intent", "canceled", "cancel", "payment_intent_unexpected_state", "canceled", pageCancel},
	{"payment_intent", "canceled", "update the amount", "payment_intent_unexpected_state", "canceled", pageUpdate},

	{"setup_intent", "requires_payment_method", "confirm with a good card", "", "succeeded", pageSetup},
	{"setup_intent", "requires_payment_method", "confirm as it is", "setup_intent_unexpected_state", "requires_payment_method", pageSetupDo},
	{"setup_intent", "requires_payment_method", "confirm with a card that declines", "card_declined", "requires_payment_method", pageSetup},
	{"setup_intent", "requires_payment_method", "confirm with a card that saves and then declines", "", "succeeded", pageTesting},
	{"setup_intent", "requires_payment_method", "confirm where the bank asks", "", "requires_action", pageSetup},
	{"setup_intent", "requires_payment_method", "confirm where the bank asks on setup", "", "requires_action", pageTesting},
	{"setup_intent", "requires_payment_method", "confirm with a card already set up", "", "succeeded", pageTesting},
	{"setup_intent", "requires_payment_method", "cancel", "", "canceled", pageSetupEnd},
	{"setup_intent", "requires_confirmation", "confirm as it is", "", "succeeded", pageSetup},
	{"setup_intent", "requires_confirmation", "cancel", "", "canceled", pageSetupEnd},
	{"setup_intent", "requires_action", "the customer approves", "", "succeeded", pageSetup},
	{"setup_intent", "requires_action", "the customer refuses", "", "requires_payment_method", pageSetup},
	{"setup_intent", "requires_action", "confirm with a good card", "", "succeeded", pageSetupDo},
	{"setup_intent", "requires_action", "cancel", "", "canceled", pageSetupEnd},
	{"setup_intent", "succeeded", "confirm as it is", "setup_intent_unexpected_state", "succeeded", pageSetupDo},
	{"setup_intent", "succeeded", "cancel", "setup_intent_unexpected_state", "succeeded", pageSetupEnd},
	{"setup_intent", "canceled", "confirm as it is", "setup_intent_unexpected_state", "canceled", pageSetupDo},
	{"setup_intent", "canceled", "cancel", "setup_intent_unexpected_state", "canceled", pageSetupEnd},

	{"refund", "succeeded", "refund the rest", "", "succeeded", pageRefund},
	{"refund", "succeeded", "refund more than the rest", refused, "succeeded", pageRefundNew},
	{"refund", "succeeded", "cancel", refused, "succeeded", pageRefundEnd},
	{"refund", "succeeded", "update the metadata", "", "succeeded", "https://docs.stripe.com/api/refunds/update"},
	{"refund", "of everything", "refund the rest", "charge_already_refunded", "succeeded", pageRefundNew},
	{"refund", "pending", "time passes", "", "succeeded", "https://docs.stripe.com/testing#refunds"},
	{"refund", "that fails later", "time passes", "", "failed", "https://docs.stripe.com/testing#refunds"},
	{"refund", "pending", "cancel", refused, "pending", pageRefundEnd},

	{"dispute", "needs_response", "refund the charge", "charge_disputed", "needs_response", "https://docs.stripe.com/disputes/responding#decide"},
	{"dispute", "needs_response", "give some evidence", "", "under_review", pageDispute},
	{"dispute", "needs_response", "stage some evidence", "", "needs_response", "https://docs.stripe.com/api/disputes/update"},
	{"dispute", "needs_response", "give winning evidence, time passes", "", "won", pageEvidence},
	{"dispute", "needs_response", "give losing evidence, time passes", "", "lost", pageEvidence},
	{"dispute", "needs_response", "close", "", "lost", pageClose},
	{"dispute", "needs_response", "the time to respond passes", "", "lost", pageDispute},
	{"dispute", "under_review", "give some evidence", refused, "under_review", "https://docs.stripe.com/api/disputes/update"},
	{"dispute", "under_review", "the bank decides for the merchant", "", "won", pageDispute},
	{"dispute", "under_review", "the bank decides for the customer", "", "lost", pageDispute},
	{"dispute", "lost", "close", refused, "lost", pageClose},
	{"dispute", "warning_needs_response", "refund the charge", "", "warning_needs_response", "https://docs.stripe.com/disputes/how-disputes-work#inquiries"},
	{"dispute", "warning_needs_response", "give some evidence", "", "warning_under_review", pageDispute},
	{"dispute", "warning_needs_response", "give winning evidence, time passes", "", "warning_closed", pageEvidence},
	{"dispute", "warning_needs_response", "give evidence that escalates, time passes", "", "needs_response", pageEvidence},
	{"dispute", "warning_needs_response", "the time to respond passes", "", "warning_closed", "https://docs.stripe.com/disputes/how-disputes-work#inquiries"},

	{"payment_method", "unattached", "attach", "", "attached", pageAttach},
	{"payment_method", "unattached", "detach", refused, "unattached", pageDetach},
	{"payment_method", "attached", "attach", "", "attached", pageAttach},
	{"payment_method", "attached", "attach to another customer", refused, "attached", pageAttach},
	{"payment_method", "attached", "detach", "", "unattached", pageDetach},
	{"payment_method", "detached", "attach", refused, "unattached", pageDetach},
	{"payment_method", "detached", "pay with it", refused, "unattached", pageDetach},
	{"payment_method", "spent", "attach", refused, "unattached", pageAttach},

	{"mandate", "pending", "time passes", "", "active", pageMandate},
	{"mandate", "pending", "pay off-session", "payment_intent_mandate_invalid", "pending", pageMandate},
	{"mandate", "active", "pay off-session", "", "active", pageMandate},
	{"mandate", "active", "the customer cancels it", "", "inactive", pageMandate},
	{"mandate", "inactive", "pay off-session", "payment_intent_mandate_invalid", "inactive", pageMandate},
	{"mandate", "that is canceled at the notice", "pay off-session, a day passes", "", "inactive", pageMandate},
}
