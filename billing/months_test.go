package billing_test

import (
	"testing"
	"time"

	"github.com/paystage/paystage/billing"
)

// R29, F36: a month is due on the 3rd of the next at 00:00 UTC, whatever the zone of
// who asks, the length of the month and the year.
func TestMonthsAreDueOnThe3rd(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]string{
		"2026-11-02T23:59:59.999999Z": "2026-09", "2026-11-03T00:00:00Z": "2026-10",
		"2026-11-02T16:00:00-08:00": "2026-10", "2026-11-02T15:59:59-08:00": "2026-09",
		"2026-03-03T00:00:00Z": "2026-02", "2024-03-02T23:59:59Z": "2024-01", "2024-03-03T00:00:00Z": "2024-02",
		"2027-01-03T00:00:00Z": "2026-12", "2027-01-02T00:00:00Z": "2026-11", "2026-10-31T12:00:00Z": "2026-09",
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		month := billing.LastDueMonth(now)
		if got := billing.PeriodText(month); got != want {
			t.Errorf("at %s: %s, want %s", at, got, want)
		}
		if due := billing.DueAt(month); due.After(now) || !billing.DueAt(month.AddDate(0, 1, 0)).After(now) {
			t.Errorf("at %s: %s is due at %s", at, want, due)
		}
	}
}
