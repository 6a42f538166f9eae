// Package billing is the law of Paystage: what an amount, a card, a decline or
// a lifetime of payments means. It is made of pure functions and tables; time
// and configuration are arguments, and nothing here reads a clock, a database
// or the network. A workflow, an activity and a test therefore get the same
// answer, and a rule is changed in one place.
//
// # Purchases
//
// Credits are bought from $5.00 up to $10,000.00 unless the limit is configured
// otherwise, in whole cents (R2): [CheckPurchaseAmount]. A purchase still going
// after 60 seconds is slow, and one whose tier has not arrived 15 minutes after
// the bank's approval is overdue and alerts support; neither ends it (R18):
// [Slow], [Overdue].
//
// # Tiers
//
// Lifetime spend, money actually paid less what was refunded or lost in a
// dispute, makes the Build Tier, down as well as up (R12, R13): [TierFor].
// Free credits never count, so under $5 an account is Limited and has no API
// access whatever it holds. The tier makes the rate limits
// ([RateLimitsFor]), how far the balance may go below zero ([BalanceLimit],
// R7) and which of the models with a minimum tier may be used ([ModelsFor],
// R14). [EntitlementFor] puts these together into what the gateways are told
// (R22).
//
// # Cards
//
// Credit and debit cards on Visa, Mastercard and American Express are taken,
// prepaid cards and everything else are not (R39): [CheckCard]. The billing
// address must be complete ([CheckAddress]), and the same card cannot come back
// with another one ([SameAddress], R41). What its bank finds wrong when it verifies the
// card is a decline ([FailedCheck]). Tax numbers have the format of their kind
// ([CheckTaxID]).
//
// # Territories
//
// Where the customer has to approve a charge that is made without them, with what
// notice, and under what mandate, is a table with its sources: [TerritoryRule]. Of the
// account's territory and that of the card's bank the stricter counts: [ChargeRule]
// (R36).
//
// # Declines
//
// Every decline ends in a sentence that says what to do (R44), and in a class
// that says what the system may do with the card next (R27): [DeclineFor]. What
// a bank suspects of a card is not told to whoever holds it: a lost or stolen
// card and a suspected fraud read exactly like a decline without a reason.
//
// # Auto-recharge
//
// Credits are bought in increments until the balance, with what is in flight, meets
// the threshold (R25). What that takes now is worked out before anything is charged,
// and a large plan has to be confirmed: [PlanRecharge]. What a loop does next, and
// why not, is one function of all that decides, so that what is shown is what will
// happen: [NextRecharge], [DescribeRecharge] (R26). What a decline means for its card
// follows from the decline's class: [AfterDecline] (R27).
//
// # Unpaid invoices
//
// What is due on an invoice is charged at once, and after a failed try again on the
// days of a schedule, 1, 3, 5 and 7 unless configured otherwise; then it is past due
// (R33). A card that was put is tried at once, and one that no repeat makes better is
// not charged: [NextDunning], [AfterFailure], [CheckInvoicePayment].
//
// # Refusals
//
// A check that says no returns a [*Refusal]: a code that never changes, for
// programs, and a sentence for people. The numbers in parentheses here and in
// the code, R2 or R44, are those of the billing rules.
package billing
