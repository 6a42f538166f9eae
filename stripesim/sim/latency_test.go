package sim

import (
	"slices"
	"testing"
	"time"
)

func TestLatencyHasItsDistribution(t *testing.T) {
	p := Pace{P50: 10 * time.Millisecond, P99: 100 * time.Millisecond}
	drawn := make([]time.Duration, 100_000)
	for i := range drawn {
		drawn[i] = p.latency()
	}
	slices.Sort(drawn)
	// Of so many draws a quantile strays by a few parts in a hundred at most.
	for quantile, want := range map[int]time.Duration{50_000: p.P50, 99_000: p.P99} {
		if got := drawn[quantile]; got < want*9/10 || got > want*11/10 {
			t.Errorf("quantile %d of 100000: %s, want about %s", quantile, got, want)
		}
	}
	if got := (Pace{}).latency(); got != 0 {
		t.Errorf("no latency ordered, %s drawn", got)
	}
}
