package billing

import (
	"fmt"
	"math"
	"time"

	"github.com/paystage/paystage/money"
)

const (
	// MinPurchaseCents is the least credit purchase, $5.00 (R2).
	MinPurchaseCents int64 = 500
	// DefaultMaxPurchaseCents is the most for one purchase, $10,000.00, unless
	// configured otherwise (R2).
	DefaultMaxPurchaseCents int64 = 1_000_000

	// SlowAfter is how long after its creation a pending purchase is shown as
	// slow (R18).
	SlowAfter = 60 * time.Second
	// OverdueAfter is how long after the bank's approval an unfinished purchase
	// alerts support (R18).
	OverdueAfter = 15 * time.Minute

	// mostCents is the largest amount that money can hold at all (R1).
	mostCents = math.MaxInt64 / int64(money.Cent)
)

// CheckPurchaseAmount refuses an amount in cents that cannot be bought: zero or
// less is invalid_amount, under [MinPurchaseCents] amount_too_small, over max
// (in cents, [DefaultMaxPurchaseCents] unless configured) amount_too_large (R2).
// The error is a [*Refusal].
func CheckPurchaseAmount(cents, max int64) error {
	most := min(max, mostCents)
	switch {
	case cents <= 0:
		return &Refusal{
			Code:    CodeInvalidAmount,
			Message: fmt.Sprintf("The amount must be more than zero. Choose at least %s.", dollars(MinPurchaseCents)),
		}
	case cents < MinPurchaseCents:
		return &Refusal{
			Code:    CodeAmountTooSmall,
			Message: fmt.Sprintf("The least credit purchase is %s. Choose a larger amount.", dollars(MinPurchaseCents)),
		}
	case cents > most:
		return &Refusal{
			Code:    CodeAmountTooLarge,
			Message: fmt.Sprintf("The most for one credit purchase is %s. Choose a smaller amount.", dollars(most)),
		}
	}
	return nil
}

// Slow reports whether a purchase created at createdAt and still pending at now
// is to be shown as slow (R18). The sixtieth second counts, so that a timer set
// for it finds it true.
func Slow(createdAt, now time.Time) bool {
	return !now.Before(createdAt.Add(SlowAfter))
}

// Overdue reports whether an unfinished purchase that the bank approved at
// approvedAt is due for an alert to support at now (R18). The fifteenth minute
// counts, so that a timer set for it finds it true. The zero time means not
// approved yet, and is never overdue.
func Overdue(approvedAt, now time.Time) bool {
	return !approvedAt.IsZero() && !now.Before(approvedAt.Add(OverdueAfter))
}

// dollars shows an amount in cents between zero and mostCents.
func dollars(cents int64) string {
	return (money.Cent * money.USD(cents)).String()
}
