package activities_test

import (
	"testing"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/paystage/paystage/activities"
)

// Activities that share a name panic where a real worker registers them, which
// the test environment does not notice. The client is never connected.
func TestAllActivitiesFitOnOneWorker(t *testing.T) {
	t.Parallel()
	c, err := client.NewLazyClient(client.Options{HostPort: "127.0.0.1:1"})
	done(t, err)
	t.Cleanup(c.Close)
	w := worker.New(c, "queue", worker.Options{})
	for _, all := range []any{&activities.Ledger{}, &activities.Stripe{}, &activities.Checkout{}, &activities.Cards{}, &activities.Gateways{}} {
		w.RegisterActivity(all)
	}
}
