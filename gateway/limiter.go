package gateway

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/paystage/paystage/models"
	"golang.org/x/time/rate"
)

// Bucket names what is counted together: an account's requests to one model that
// has a limit of its own, or else of one class.
type Bucket struct {
	Account string
	Class   models.Class
	// Model is "" where the whole class counts.
	Model string
}

// Taken is a limiter's answer.
type Taken struct {
	OK bool
	// Limit is the requests per minute, Remaining how many could be made at once now.
	Limit     int64
	Remaining int64
	// Reset is when all of Limit can be made at once again, RetryAfter when one can;
	// RetryAfter is 0 where one can now.
	Reset      time.Duration
	RetryAfter time.Duration
}

// Limiter counts requests. An error means that it could not count this one and is
// to fail closed.
//
// A limit of n requests per minute is a bucket that holds n and gets n/60 a second:
// n may be made at once after a minute's rest, and n in any minute after that.
type Limiter interface {
	Take(ctx context.Context, bucket Bucket, rpm int64, now time.Time) (Taken, error)
}

const (
	minute      = time.Minute
	localShards = 64
)

// Local is the limiter of one process. Its zero value is not ready; NewLocal makes
// one. It is safe for concurrent use.
//
// It remembers the buckets of the last minute or two. One that was not used for a
// minute is full again, so forgetting it changes nothing.
type Local struct {
	seed   maphash.Seed
	shards [localShards]localShard
}

type localShard struct {
	mu sync.Mutex
	// young has what was used since turned, old what was used in the minute before.
	young, old map[Bucket]*rate.Limiter
	turned     time.Time
}

// NewLocal makes the limiter of one process.
func NewLocal() *Local { return &Local{seed: maphash.MakeSeed()} }

// Take takes one request out of a bucket. It never fails.
func (l *Local) Take(_ context.Context, bucket Bucket, rpm int64, now time.Time) (Taken, error) {
	if rpm <= 0 {
		return Taken{Reset: minute, RetryAfter: minute}, nil
	}
	part := &l.shards[maphash.String(l.seed, bucket.Account)%localShards]
	part.mu.Lock()
	defer part.mu.Unlock()
	part.turn(now)
	limiter := part.limiter(bucket, rpm, now)
	ok := limiter.AllowN(now, 1)
	tokens := limiter.TokensAt(now)
	perSecond := float64(limiter.Limit())
	taken := Taken{OK: ok, Limit: rpm, Remaining: max(0, int64(tokens)), Reset: seconds((float64(rpm) - tokens) / perSecond)}
	if !ok {
		taken.RetryAfter = max(time.Millisecond, seconds((1-tokens)/perSecond))
	}
	return taken, nil
}

// turn forgets what was not used for a minute.
func (s *localShard) turn(now time.Time) {
	switch idle := now.Sub(s.turned); {
	case idle < minute && s.young != nil:
		return
	case idle < 2*minute:
		s.old = s.young
	default:
		s.old = nil
	}
	s.young, s.turned = map[Bucket]*rate.Limiter{}, now
}

// limiter is a bucket's, with the limit that is in force now.
func (s *localShard) limiter(bucket Bucket, rpm int64, now time.Time) *rate.Limiter {
	found := s.young[bucket]
	if found == nil {
		if found = s.old[bucket]; found == nil {
			found = rate.NewLimiter(rate.Limit(float64(rpm)/minute.Seconds()), int(rpm))
		}
		s.young[bucket] = found
	}
	if found.Burst() != int(rpm) {
		found.SetLimitAt(now, rate.Limit(float64(rpm)/minute.Seconds()))
		found.SetBurstAt(now, int(rpm))
	}
	return found
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Len is how many buckets are remembered.
func (l *Local) Len() int {
	n := 0
	for i := range l.shards {
		part := &l.shards[i]
		part.mu.Lock()
		n += len(part.young)
		for bucket := range part.old {
			if part.young[bucket] == nil {
				n++
			}
		}
		part.mu.Unlock()
	}
	return n
}
