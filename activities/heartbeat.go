package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
)

// heartbeatEvery is how often a slow activity says that its worker is alive. A
// worker that dies is then noticed within HeartbeatTimeout and not only when the
// activity's whole time is over.
const heartbeatEvery = time.Second

// HeartbeatTimeout goes with every activity that calls out.
const HeartbeatTimeout = 5 * time.Second

// heartbeat beats until the function that it answers is called. Outside an
// activity, where the front door asks Stripe directly, it does nothing.
func heartbeat(ctx context.Context) (stop func()) {
	if !activity.IsActivity(ctx) {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(heartbeatEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				activity.RecordHeartbeat(ctx)
			case <-done:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { close(done) }
}
