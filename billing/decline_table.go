package billing

// declineRow is one row of the decline table.
type declineRow struct {
	code    string
	message string
	class   DeclineClass
	// secret rows show the customer neither the code nor anything else that
	// sets them apart from a decline without a reason.
	secret bool
}

// declines maps every decline code that Stripe publishes for cards, and the
// error codes that it sends in their place, to a sentence of R44 and a class.
// It is sorted by code, for the search. Nothing writes to it.
//
// Stripe's own advice decides where the rules leave room. A PIN cannot be given
// on the web, so the codes that ask for one are a security step that only the
// bank can take away. merchant_blacklist and highest_risk_level are our side's
// suspicion, and Stripe asks that they read as a generic decline.
var declines = [...]declineRow{
	{"approve_with_id", MessageSecurityStep, Sparingly, false},
	{"authentication_not_handled", MessageSecurityStep, Authenticate, false},
	{"authentication_required", MessageSecurityStep, Authenticate, false},
	{"call_issuer", MessageDeclined, Sparingly, false},
	{"card_decline_rate_limit_exceeded", MessageTryLater, BackOff, false},
	{"card_declined", MessageDeclined, Sparingly, false}, // the error code, where Stripe gives no decline code
	{"card_not_supported", MessageUnsupportedCard, Never, false},
	{"card_velocity_exceeded", MessageSpendingLimit, BackOff, false},
	{"currency_not_supported", MessageUnsupportedCard, Never, false},
	{"do_not_honor", MessageDeclined, Sparingly, false},
	{"do_not_try_again", MessageDeclined, Never, false},
	{"duplicate_transaction", MessageTryLater, LookUp, false},
	{"expired_card", MessageExpired, FixData, false},
	{"fraudulent", MessageDeclined, Never, true},
	{"generic_decline", MessageDeclined, Sparingly, false},
	{"highest_risk_level", MessageDeclined, Never, true},
	{"incorrect_address", MessageAddress, FixData, false},
	{"incorrect_cvc", MessageWrongCVC, FixData, false},
	{"incorrect_number", MessageWrongCVC, FixData, false},
	{"incorrect_pin", MessageSecurityStep, Sparingly, false},
	{"incorrect_zip", MessageAddress, FixData, false},
	{"india_recurring_payment_mandate_canceled", MessageRecurringPayments, Never, false},
	{"insufficient_funds", MessageInsufficientFunds, BackOff, false},
	{"invalid_account", MessageNotActivated, Never, false},
	{"invalid_amount", MessageSpendingLimit, Sparingly, false},
	{"invalid_cvc", MessageWrongCVC, FixData, false},
	{"invalid_expiry_month", MessageExpired, FixData, false},
	{"invalid_expiry_year", MessageExpired, FixData, false},
	{"invalid_number", MessageWrongCVC, FixData, false},
	{"invalid_pin", MessageSecurityStep, Sparingly, false},
	{"issuer_not_available", MessageTryLater, BackOff, false},
	{"live_mode_test_card", MessageUnsupportedCard, Never, false},
	{"lost_card", MessageDeclined, Never, true},
	{"mandate_inactive", MessageRecurringPayments, Never, false}, // our own, of a card set up with a mandate (R36)
	{"merchant_blacklist", MessageDeclined, Never, true},
	{"mobile_device_authentication_required", MessageSecurityStep, Authenticate, false},
	{"new_account_information_available", MessageWrongCVC, FixData, false},
	{"no_action_taken", MessageDeclined, Sparingly, false},
	{"not_permitted", MessageRecurringPayments, Sparingly, false},
	{"offline_pin_required", MessageSecurityStep, Sparingly, false},
	{"online_or_offline_pin_required", MessageSecurityStep, Sparingly, false},
	{"payment_intent_authentication_failure", MessageSecurityStep, Authenticate, false},
	{"payment_intent_mandate_invalid", MessageRecurringPayments, Never, false},
	{"pickup_card", MessageDeclined, Never, true},
	{"pin_try_exceeded", MessageFrozen, Never, false},
	{"previously_declined_do_not_retry", MessageDeclined, Never, false},
	{"processing_error", MessageTryLater, BackOff, false},
	{"reenter_transaction", MessageTryLater, BackOff, false},
	{"restricted_card", MessageFrozen, Never, false},
	{"revocation_of_all_authorizations", MessageRecurringPayments, Never, false},
	{"revocation_of_authorization", MessageRecurringPayments, Never, false},
	{"security_violation", MessageDeclined, Sparingly, false},
	{"service_not_allowed", MessageRecurringPayments, Never, false},
	{"setup_intent_authentication_failure", MessageVerificationHold, Authenticate, false},
	{"stolen_card", MessageDeclined, Never, true},
	{"stop_payment_order", MessageRecurringPayments, Never, false},
	{"testmode_decline", MessageUnsupportedCard, Never, false},
	{"transaction_not_allowed", MessageRecurringPayments, Never, false},
	{"transaction_not_approved", MessageSecurityStep, Authenticate, false},
	{"try_again_later", MessageTryLater, BackOff, false},
	{"unsupported_card", MessageUnsupportedCard, Never, false}, // our own, of CheckCard (R39)
	{"withdrawal_count_limit_exceeded", MessageSpendingLimit, BackOff, false},
}
