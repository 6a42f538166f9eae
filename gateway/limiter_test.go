package gateway_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/models"
	"pgregory.net/rapid"
)

func take(t testing.TB, l *gateway.Local, rpm int64, at time.Time) gateway.Taken {
	t.Helper()
	taken, err := l.Take(t.Context(), gateway.Bucket{Account: "a", Class: models.ClassLLM}, rpm, at)
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

func TestLocalLimiter(t *testing.T) {
	l := gateway.NewLocal()
	for n := range int64(60) {
		if got := take(t, l, 60, noon); !got.OK || got.Remaining != 59-n || got.Limit != 60 {
			t.Fatalf("request %d: %+v", n+1, got)
		}
	}
	if got := take(t, l, 60, noon); got.OK || got.RetryAfter != time.Second || got.Reset != time.Minute || got.Remaining != 0 {
		t.Errorf("the one too many: %+v", got)
	}
	if got := take(t, l, 60, noon.Add(time.Second)); !got.OK {
		t.Errorf("after Retry-After: %+v", got)
	}
	// A raised limit is in force at once: it fills faster and holds more.
	if got := take(t, l, 600, noon.Add(2*time.Second)); !got.OK || got.Limit != 600 || got.Remaining != 0 {
		t.Errorf("raised: %+v", got)
	}
	if got := take(t, l, 600, noon.Add(3*time.Second)); !got.OK || got.Remaining != 9 {
		t.Errorf("a second after it was raised: %+v", got)
	}
	if got := take(t, l, 0, noon.Add(time.Hour)); got.OK || got.RetryAfter <= 0 {
		t.Errorf("no requests at all: %+v", got)
	}
}

// Whatever the times of the requests, no more than the limit at once and as many
// again per minute are admitted, and whoever waits for Retry-After is.
func TestLocalLimiterNeverAdmitsMore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := gateway.NewLocal()
		rpm := rapid.Int64Range(1, 100).Draw(rt, "rpm")
		now, admitted := noon, int64(0)
		for range rapid.IntRange(1, 300).Draw(rt, "requests") {
			now = now.Add(time.Duration(rapid.Int64Range(0, 40_000).Draw(rt, "pause")) * time.Millisecond)
			got := take(t, l, rpm, now)
			if got.OK {
				admitted++
			} else if again := take(t, l, rpm, now.Add(got.RetryAfter+time.Microsecond)); !again.OK {
				rt.Fatalf("refused after Retry-After: %+v, then %+v", got, again)
			} else {
				now, admitted = now.Add(got.RetryAfter+time.Microsecond), admitted+1
			}
			if most := rpm + int64(now.Sub(noon).Minutes()*float64(rpm)) + 1; admitted > most {
				rt.Fatalf("%d admitted in %s at %d a minute", admitted, now.Sub(noon), rpm)
			}
		}
	})
}

// Buckets that nobody uses are forgotten; those in use are not.
func TestLocalLimiterForgetsOnlyWhatIsFull(t *testing.T) {
	l := gateway.NewLocal()
	for i := range 1000 {
		bucket := gateway.Bucket{Account: fmt.Sprint(i), Class: models.ClassLLM}
		if _, err := l.Take(t.Context(), bucket, 60, noon); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Len(); n != 1000 {
		t.Fatalf("%d buckets", n)
	}
	now := noon
	for range 60 * 3 { // used each second, at its limit: never forgotten
		now = now.Add(time.Second)
		take(t, l, 60, now)
	}
	if got := take(t, l, 60, now); !got.OK || got.Remaining != 58 {
		t.Errorf("a bucket in use was filled anew: %+v", got)
	}
	for i := range 1000 { // touches every shard
		bucket := gateway.Bucket{Account: fmt.Sprint("other", i), Class: models.ClassLLM}
		if _, err := l.Take(t.Context(), bucket, 60, now); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Len(); n > 1010 {
		t.Errorf("%d buckets after three minutes, of which 1001 are in use", n)
	}
}
