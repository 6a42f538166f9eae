package activities

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
)

const (
	// maxAtOnce is how many pushes one worker has under way to one gateway.
	maxAtOnce = 32
	// closesAfter is how many pushes in a row fail before a gateway is taken for
	// down, and probeEvery how often it is tried then.
	closesAfter = 5
	probeEvery  = time.Second
	// A push that fails is tried again after firstPause, doubling to longestPause,
	// each up to half shorter or longer, so that many do not come back at once.
	firstPause   = 100 * time.Millisecond
	longestPause = 30 * time.Second
	// busyPause is how soon a push comes back that found no room. One that found the
	// gateway down comes back after longestPause: once the gateway is back, pages
	// bring it everything sooner.
	busyPause = 100 * time.Millisecond
)

var (
	errBusy = errors.New("push entitlement: as many pushes as may be are under way to this gateway")
	errDown = errors.New("push entitlement: the gateway has failed several times in a row and is tried once a second")
)

// gates let a bounded number of pushes through to each gateway, and hardly any to
// one that is down: pushes that hang there would take the room of those to others.
// The zero value is ready.
type gates struct {
	mu  sync.Mutex
	all map[string]*gate
}

type gate struct {
	underway int
	failed   int // in a row
	probeAt  time.Time
}

// enter asks to be let through, and answers what to call afterwards.
func (g *gates) enter(gateway string, now time.Time) (leave func(ok bool, now time.Time), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all == nil {
		g.all = map[string]*gate{}
	}
	at := g.all[gateway]
	if at == nil {
		at = &gate{}
		g.all[gateway] = at
	}
	switch {
	case at.failed >= closesAfter && now.Before(at.probeAt):
		return nil, pausing(errDown, longestPause)
	case at.underway >= maxAtOnce:
		return nil, pausing(errBusy, busyPause)
	}
	at.underway++
	at.probeAt = now.Add(probeEvery)
	return func(ok bool, now time.Time) {
		g.mu.Lock()
		defer g.mu.Unlock()
		at.underway--
		at.failed++
		if ok {
			at.failed = 0
		}
	}, nil
}

// againLater has a failed push tried again after a pause that grows with the tries.
func againLater(ctx context.Context, err error) error {
	pause := longestPause
	if activity.IsActivity(ctx) {
		pause = min(longestPause, firstPause<<min(activity.GetInfo(ctx).Attempt-1, 20))
	}
	return pausing(err, pause)
}

// pausing has an activity tried again after about that time.
func pausing(err error, pause time.Duration) error {
	jittered := pause/2 + time.Duration(rand.Int64N(int64(pause)))
	return temporal.NewApplicationErrorWithOptions(err.Error(), "", temporal.ApplicationErrorOptions{
		NextRetryDelay: jittered, Cause: fmt.Errorf("paused for %s", jittered.Round(time.Millisecond)),
	})
}
