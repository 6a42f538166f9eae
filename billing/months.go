package billing

import "time"

const (
	// LeastChargeCents is Stripe's least charge in US dollars. What is owed under it is
	// carried to the next invoice (R3).
	LeastChargeCents = 50
	// BillingDay is the day of the month on which the month before is billed, at 00:00
	// UTC (R29).
	BillingDay = 3
)

// LastDueMonth is the newest month that is to be billed by now.
func LastDueMonth(now time.Time) time.Time {
	return PeriodOf(now.UTC().AddDate(0, 0, 1-BillingDay)).AddDate(0, -1, 0)
}

// DueAt is when a month is billed.
func DueAt(period time.Time) time.Time { return PeriodOf(period).AddDate(0, 1, BillingDay-1) }
