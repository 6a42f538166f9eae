package redislimit_test

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/gateway/redislimit"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/testenv"
)

func limiter(t *testing.T, url string, whenDown redislimit.WhenDown) *redislimit.Limiter {
	t.Helper()
	l, err := redislimit.New(url, whenDown, 20*time.Second, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func bucket(account string) gateway.Bucket {
	return gateway.Bucket{Account: account, Class: models.ClassLLM}
}

// Several gateways that ask at once admit together what one would.
func TestGatewaysShareOneLimit(t *testing.T) {
	redis := testenv.OwnRedis(t)
	gateways := []*redislimit.Limiter{limiter(t, redis.URL, redislimit.Closed), limiter(t, redis.URL, redislimit.Open)}
	var admitted atomic.Int64
	began := time.Now()
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			for range 10 {
				got, err := gateways[i%2].Take(t.Context(), bucket("a"), 60, time.Now())
				switch {
				case err != nil:
					t.Error(err)
				case got.OK:
					admitted.Add(1)
				case got.RetryAfter <= 0 || got.RetryAfter > 2*time.Second || got.Limit != 60:
					t.Errorf("%+v", got)
				}
			}
		})
	}
	all.Wait()
	// One a second comes back while this runs.
	if n := admitted.Load(); n < 60 || n > 60+int64(time.Since(began).Seconds())+1 {
		t.Errorf("%d of 400 were admitted at 60 a minute", n)
	}
	got, err := gateways[0].Take(t.Context(), bucket("b"), 60, time.Now())
	if err != nil || !got.OK || got.Remaining != 59 {
		t.Errorf("another account: %+v, %v", got, err)
	}
	if got, err := gateways[0].Take(t.Context(), bucket("b"), 0, time.Now()); err != nil || got.OK {
		t.Errorf("no requests at all: %+v, %v", got, err)
	}
}

func TestRedisGone(t *testing.T) {
	redis := testenv.OwnRedis(t)
	open, closed := limiter(t, redis.URL, redislimit.Open), limiter(t, redis.URL, redislimit.Closed)
	redis.Stop()
	now := time.Now()
	for n := range int64(5) {
		if got, err := open.Take(t.Context(), bucket("a"), 3, now); err != nil || got.OK != (n < 3) {
			t.Errorf("open, request %d: %+v, %v", n+1, got, err)
		}
		if _, err := closed.Take(t.Context(), bucket("a"), 3, now); !errors.Is(err, redislimit.ErrUnavailable) {
			t.Errorf("closed: %v", err)
		}
	}
	redis.Start()
	// Within a second of the failure it is left alone, and then asked again.
	if _, err := closed.Take(t.Context(), bucket("a"), 3, now.Add(999*time.Millisecond)); !errors.Is(err, redislimit.ErrUnavailable) {
		t.Errorf("it was asked: %v", err)
	}
	if got, err := closed.Take(t.Context(), bucket("a"), 3, now.Add(time.Second)); err != nil || !got.OK || got.Remaining != 2 {
		t.Errorf("when it is back: %+v, %v", got, err)
	}
}

func TestSettingsRefused(t *testing.T) {
	if _, err := redislimit.New("http://127.0.0.1", redislimit.Open, redislimit.DefaultWithin, nil); err == nil {
		t.Error("not a URL of Redis")
	}
	if _, err := redislimit.New("redis://127.0.0.1", "sometimes", redislimit.DefaultWithin, nil); err == nil {
		t.Error("not a way to fail")
	}
}
