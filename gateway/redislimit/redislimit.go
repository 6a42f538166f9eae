// Package redislimit is a rate limiter that several gateways share through Redis,
// so that an account's limit is the same however many of them there are. It is a
// package of its own so that a gateway by itself links no Redis client.
package redislimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/paystage/paystage/gateway"
	"github.com/redis/go-redis/v9"
)

const (
	// DefaultWithin bounds the wait for Redis in each request.
	DefaultWithin = 100 * time.Millisecond
	// After tooMany failures in a row Redis is not asked for the time leaveAlone, so
	// that an outage costs requests no time and a slow answer only its own request.
	tooMany    = 5
	leaveAlone = time.Second
)

// ErrUnavailable: Redis does not answer.
var ErrUnavailable = errors.New("redis unavailable")

// WhenDown says what becomes of requests while Redis does not answer.
type WhenDown string

// The ways to fail.
const (
	// Open: each gateway counts by itself, so that an account may make as many times
	// its limit as there are gateways, and no more.
	Open WhenDown = "open"
	// Closed: nobody can count, and requests are refused.
	Closed WhenDown = "closed"
)

// Limiter counts in Redis. It is safe for concurrent use.
type Limiter struct {
	client *redis.Client
	shared *redis_rate.Limiter
	// alone counts while Redis is down; nil to fail closed.
	alone *gateway.Local
	log   *slog.Logger
	// within bounds the wait for an answer, failed counts failures in a row.
	within time.Duration
	failed atomic.Int32
	// retryAt is when Redis may be asked again, in Unix nanoseconds.
	retryAt atomic.Int64
}

// New makes a limiter over the Redis at a URL such as redis://:password@host:6379/0.
// It does not wait for Redis to answer. within bounds the wait in each request;
// DefaultWithin does for a Redis that is near.
func New(url string, whenDown WhenDown, within time.Duration, log *slog.Logger) (*Limiter, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("redis URL: %w", err)
	}
	// One try within the time: what comes later is no use to the request.
	options.MaxRetries = -1
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = within, within, within
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	l := &Limiter{client: client, shared: redis_rate.NewLimiter(client), within: within, log: log}
	switch whenDown {
	case Open:
		l.alone = gateway.NewLocal()
	case Closed:
	default:
		return nil, fmt.Errorf("a limiter fails %s or %s, not %q", Open, Closed, whenDown)
	}
	return l, nil
}

// Close gives the connections back.
func (l *Limiter) Close() error { return l.client.Close() }

// Take takes one request out of a bucket. The error is ErrUnavailable where Redis
// does not answer and the limiter fails closed.
func (l *Limiter) Take(ctx context.Context, bucket gateway.Bucket, rpm int64, now time.Time) (gateway.Taken, error) {
	if rpm <= 0 {
		return gateway.Taken{Reset: time.Minute, RetryAfter: time.Minute}, nil
	}
	if now.UnixNano() < l.retryAt.Load() {
		return l.down(ctx, bucket, rpm, now, nil)
	}
	limited, cancel := context.WithTimeout(ctx, l.within)
	defer cancel()
	key := "paystage:" + bucket.Account + ":" + string(bucket.Class) + ":" + bucket.Model
	result, err := l.shared.Allow(limited, key, redis_rate.PerMinute(int(rpm)))
	if err != nil && ctx.Err() != nil {
		return gateway.Taken{}, fmt.Errorf("count in redis: %w", err) // the caller has gone; Redis may be well
	}
	if err != nil {
		if l.failed.Add(1) >= tooMany {
			l.retryAt.Store(now.Add(leaveAlone).UnixNano())
		}
		return l.down(ctx, bucket, rpm, now, err)
	}
	l.failed.Store(0)
	taken := gateway.Taken{
		OK: result.Allowed > 0, Limit: rpm, Remaining: int64(max(0, result.Remaining)), Reset: result.ResetAfter,
	}
	if !taken.OK {
		taken.RetryAfter = max(time.Millisecond, result.RetryAfter)
	}
	return taken, nil
}

// down answers without Redis. why is nil where it was not asked.
func (l *Limiter) down(ctx context.Context, bucket gateway.Bucket, rpm int64, now time.Time, why error) (gateway.Taken, error) {
	if why != nil {
		l.log.Error("Redis does not answer", "fails_open", l.alone != nil, "error", why)
	}
	if l.alone == nil {
		return gateway.Taken{}, ErrUnavailable
	}
	return l.alone.Take(ctx, bucket, rpm, now)
}
