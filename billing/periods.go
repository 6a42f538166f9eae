package billing

import "time"

const periodForm = "2006-01"

// PeriodOf gives the month of a time, in UTC, as its first instant.
func PeriodOf(at time.Time) time.Time {
	year, month, _ := at.UTC().Date()
	return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
}

// ParsePeriod reads a month such as 2026-10, false if the text is none. Years before
// 1900 are none: they are slips.
func ParsePeriod(text string) (time.Time, bool) {
	month, err := time.Parse(periodForm, text)
	return month, err == nil && month.Year() >= 1900
}

// PeriodText writes a month as ParsePeriod reads it.
func PeriodText(period time.Time) string { return period.Format(periodForm) }
