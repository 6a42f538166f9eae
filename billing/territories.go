package billing

import (
	"slices"
	"strings"
)

// Approval says when the law has the customer approve a charge that is made without
// them there (R36). The values are stable: callers see them.
type Approval string

const (
	// ApprovalNone: the law asks for none. A bank that wants one all the same gets it.
	ApprovalNone Approval = "none"
	// ApprovalOnDemand: when the bank asks for it.
	ApprovalOnDemand Approval = "on_demand"
	// ApprovalAlways: for each charge, unless a mandate covers it.
	ApprovalAlways Approval = "always"
)

// Amount is money in the smallest unit of a currency, by Stripe's name for it.
type Amount struct {
	Minor    int64
	Currency string
}

// Territory is what the law of one territory says of charges without the customer.
type Territory struct {
	// Code is ISO 3166-1 alpha-2; "" is every territory without a rule of its own.
	Code     string
	Approval Approval
	// Mandate: the card has to be set up with a mandate.
	Mandate bool
	// NoticeHours is how long before a charge the customer is told of it. Stripe
	// sends the notice and waits.
	NoticeHours int
	// ApproveAbove is the amount above which the customer approves each charge,
	// mandate or not; nil for none.
	ApproveAbove *Amount
	// Source says where the rule stands.
	Source string
}

// Where the rules stand.
const (
	sourceIndia = "Reserve Bank of India, RBI/2019-20/47 and RBI/2022-23/73; https://docs.stripe.com/india-recurring-payments"
	sourceEEA   = "Directive (EU) 2015/2366 (PSD2), article 97, and Delegated Regulation (EU) 2018/389; https://docs.stripe.com/strong-customer-authentication"
	sourceParts = "Part of a member state (TFEU articles 349 and 355), so as " + sourceEEA
	sourceGB    = "Payment Services Regulations 2017, regulation 100; https://docs.stripe.com/strong-customer-authentication"
	sourceNone  = "No rule for charges without the customer is known; R36"
)

// territories are the rules of R36, sorted by code for the search. Nothing writes to
// them. India's limit was raised from 5,000 INR to 15,000 in June 2022.
var territories = [...]Territory{
	{Code: "AT", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "AX", Approval: ApprovalOnDemand, Source: sourceParts},
	{Code: "BE", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "BG", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "CY", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "CZ", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "DE", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "DK", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "EE", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "ES", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "FI", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "FR", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "GB", Approval: ApprovalOnDemand, Source: sourceGB},
	{Code: "GF", Approval: ApprovalOnDemand, Source: sourceParts},
	{Code: "GP", Approval: ApprovalOnDemand, Source: sourceParts},
	{Code: "GR", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "HR", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "HU", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "IE", Approval: ApprovalOnDemand, Source: sourceEEA},
	{
		Code: "IN", Approval: ApprovalAlways, Mandate: true, NoticeHours: 24,
		ApproveAbove: &Amount{Minor: 15_000_00, Currency: "inr"}, Source: sourceIndia,
	},
	{Code: "IS", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "IT", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "LI", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "LT", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "LU", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "LV", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "MF", Approval: ApprovalOnDemand, Source: sourceParts},
	{Code: "MQ", Approval: ApprovalOnDemand, Source: sourceParts},
	{Code: "MT", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "NL", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "NO", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "PL", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "PT", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "RE", Approval: ApprovalOnDemand, Source: sourceParts},
	{Code: "RO", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "SE", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "SI", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "SK", Approval: ApprovalOnDemand, Source: sourceEEA},
	{Code: "YT", Approval: ApprovalOnDemand, Source: sourceParts},
}

// Territories gives every territory that has a rule of its own, sorted by code.
func Territories() []Territory { return slices.Clone(territories[:]) }

// TerritoryRule is the rule of one territory, by its code.
func TerritoryRule(code string) Territory {
	at, found := slices.BinarySearchFunc(territories[:], normalCountry(code), func(t Territory, code string) int {
		return strings.Compare(t.Code, code)
	})
	if !found {
		return Territory{Approval: ApprovalNone, Source: sourceNone}
	}
	return territories[at]
}

// strictness orders what the law may ask for, the least first.
var strictness = []Approval{ApprovalNone, ApprovalOnDemand, ApprovalAlways}

// ChargeRule is the rule for an account's charges: the strictest of the territories
// that have a say, the account's own first and then that of the card's bank. A
// territory that support set for the account has the only say (R36).
func ChargeRule(setBySupport *string, account, issuer string) Territory {
	if setBySupport != nil {
		return TerritoryRule(*setBySupport)
	}
	rule := TerritoryRule(account)
	if other := TerritoryRule(issuer); slices.Index(strictness, other.Approval) > slices.Index(strictness, rule.Approval) {
		return other
	}
	return rule
}
