package billing_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/paystage/paystage/billing"
)

// published is what Stripe lists for cards, typed in apart from the table so
// that a row cannot go missing from both, with the class where the facts that
// the rules rest on settle it.
var published = map[string]billing.DeclineClass{
	"lost_card": billing.Never, "stolen_card": billing.Never, "pickup_card": billing.Never,
	"fraudulent": billing.Never, "merchant_blacklist": billing.Never, "do_not_try_again": billing.Never,
	"revocation_of_authorization": billing.Never, "revocation_of_all_authorizations": billing.Never,
	"stop_payment_order": billing.Never, "invalid_account": billing.Never, "card_not_supported": billing.Never,
	"currency_not_supported": billing.Never, "restricted_card": billing.Never, "service_not_allowed": billing.Never,
	"transaction_not_allowed": billing.Never, "previously_declined_do_not_retry": billing.Never,

	"expired_card": billing.FixData, "incorrect_number": billing.FixData, "incorrect_cvc": billing.FixData,
	"invalid_cvc": billing.FixData, "incorrect_zip": billing.FixData, "incorrect_address": billing.FixData,
	"invalid_expiry_month": billing.FixData, "invalid_expiry_year": billing.FixData, "invalid_number": billing.FixData,

	"insufficient_funds": billing.BackOff, "try_again_later": billing.BackOff, "processing_error": billing.BackOff,
	"issuer_not_available": billing.BackOff, "reenter_transaction": billing.BackOff,
	"card_velocity_exceeded": billing.BackOff, "withdrawal_count_limit_exceeded": billing.BackOff,

	"do_not_honor": billing.Sparingly, "generic_decline": billing.Sparingly, "call_issuer": billing.Sparingly,

	"duplicate_transaction": billing.LookUp,

	"authentication_required": billing.Authenticate, "authentication_not_handled": billing.Authenticate,
	"payment_intent_authentication_failure": billing.Authenticate,
	"setup_intent_authentication_failure":   billing.Authenticate,

	"approve_with_id": "", "card_decline_rate_limit_exceeded": "", "card_declined": "", "incorrect_pin": "",
	"invalid_amount": "", "invalid_pin": "", "live_mode_test_card": "", "new_account_information_available": "",
	"no_action_taken": "", "not_permitted": "", "offline_pin_required": "", "online_or_offline_pin_required": "",
	"pin_try_exceeded": "", "security_violation": "", "testmode_decline": "",
}

// suspicions are the codes that must read exactly as a decline without a reason.
var suspicions = []string{
	"lost_card", "stolen_card", "pickup_card", "fraudulent", "merchant_blacklist", "highest_risk_level",
}

// sentences are the categories of R44 and the generic one.
var sentences = map[string]string{
	"not enough funds":              billing.MessageInsufficientFunds,
	"address":                       billing.MessageAddress,
	"card expired":                  billing.MessageExpired,
	"card not activated":            billing.MessageNotActivated,
	"wrong CVC":                     billing.MessageWrongCVC,
	"unsupported card type":         billing.MessageUnsupportedCard,
	"recurring not supported":       billing.MessageRecurringPayments,
	"$0 verification hold":          billing.MessageVerificationHold,
	"frozen or blocked":             billing.MessageFrozen,
	"spending limit":                billing.MessageSpendingLimit,
	"additional security step":      billing.MessageSecurityStep,
	"try again later":               billing.MessageTryLater,
	"generic, and for unknown ones": billing.MessageDeclined,
}

func TestEveryPublishedDeclineIsInTheTable(t *testing.T) {
	for code, class := range published {
		got := billing.DeclineFor(code)
		if !got.Known {
			t.Errorf("%s is missing", code)
		} else if class != "" && got.Class != class {
			t.Errorf("%s is %s, want %s", code, got.Class, class)
		}
	}
}

func TestEveryDeclineRow(t *testing.T) {
	rows := billing.Declines()
	if !slices.IsSortedFunc(rows, func(a, b billing.Decline) int { return strings.Compare(a.Code, b.Code) }) {
		t.Fatal("the table is not sorted, so the search misses rows")
	}
	classes := []billing.DeclineClass{
		billing.Never, billing.FixData, billing.BackOff, billing.Sparingly, billing.LookUp, billing.Authenticate,
	}
	seen := map[string]bool{}
	for _, row := range append(rows, billing.DeclineFor("a_code_of_tomorrow")) {
		if seen[row.Code] {
			t.Errorf("%s stands twice", row.Code)
		}
		seen[row.Code] = true
		if row.Known && billing.DeclineFor(row.Code) != row {
			t.Errorf("%s is found as %v", row.Code, billing.DeclineFor(row.Code))
		}
		if !slices.Contains(slices.Collect(maps.Values(sentences)), row.Message) {
			t.Errorf("%s: %q is not a sentence of R44", row.Code, row.Message)
		}
		if !slices.Contains(classes, row.Class) {
			t.Errorf("%s: class %q", row.Code, row.Class)
		}
		want := row.Code
		if slices.Contains(suspicions, row.Code) || !row.Known {
			want = "card_declined"
		}
		if row.PublicCode != want {
			t.Errorf("%s is shown as %s, want %s", row.Code, row.PublicCode, want)
		}
	}
}

func TestEverySentenceIsReachable(t *testing.T) {
	used := map[string]bool{}
	for _, row := range billing.Declines() {
		used[row.Message] = true
	}
	for category, sentence := range sentences {
		if !used[sentence] {
			t.Errorf("no code leads to %s", category)
		}
	}
}

func TestNothingPublicTellsASuspicion(t *testing.T) {
	generic := billing.DeclineFor("card_declined")
	for _, code := range suspicions {
		got := billing.DeclineFor(code)
		if got.Message != generic.Message || got.PublicCode != generic.PublicCode {
			t.Errorf("%s reads %s %q, unlike the generic decline", code, got.PublicCode, got.Message)
		}
	}
	for _, row := range append(billing.Declines(), billing.DeclineFor("reported_stolen")) {
		public := strings.ToLower(row.PublicCode + " " + row.Message)
		for _, word := range []string{"lost", "stolen", "theft", "fraud", "pickup", "suspect", "blacklist", "risk", "report"} {
			if strings.Contains(public, word) {
				t.Errorf("%s tells %q: %s", row.Code, word, public)
			}
		}
	}
}

func TestUnknownDeclines(t *testing.T) {
	for _, code := range []string{"", "a_code_of_tomorrow", "INSUFFICIENT_FUNDS", strings.Repeat("x", 10_000)} {
		want := billing.Decline{
			Code: code, PublicCode: "card_declined",
			Message: billing.MessageDeclined, Class: billing.Sparingly,
		}
		if got := billing.DeclineFor(code); got != want {
			t.Errorf("%.40q: got %v", code, got)
		}
	}
}

func TestDeclinesAreTheCallersOwn(t *testing.T) {
	billing.Declines()[0] = billing.Decline{}
	if billing.Declines()[0].Code == "" {
		t.Error("a caller changed the table")
	}
}
