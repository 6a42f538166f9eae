// Package money counts United States dollars in whole micro-dollars and never
// in anything else (R1).
//
// A price for one token is far below a cent, and a ledger has to hold it
// exactly; a card is charged in whole cents, and Stripe takes nothing finer.
// USD is therefore a signed 64-bit count of micro-dollars, good for a little
// over nine trillion dollars either way, and [USD.Cents] is the one door from
// the fine unit to the coarse one. Floating point appears nowhere.
//
// Arithmetic that does not fit is [ErrOverflow], never a wrapped number: a
// wrapped sum is a balance with the wrong sign. The functions return an error
// rather than saturate, because a saturated total no longer equals its parts.
//
// [Split] divides an amount so that the parts sum to it: each part is rounded
// down and the micro-dollars left over go, one each, to the largest remainders.
package money
