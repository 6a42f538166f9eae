package testenv

import (
	"os"
	"testing"
	"time"

	"github.com/paystage/paystage/devstack/stack"
)

// stepWithin bounds each thing this package does for a test.
const stepWithin = 2 * time.Minute

// Temporal gives the address and namespace of the Temporal that tests share. Its
// namespace is shared too, since registering one takes a second or more: a test
// must use task queues and workflow ids of its own, see [Unique].
func Temporal(t testing.TB) (address, namespace string) {
	t.Helper()
	return require(t, stack.TestTemporalAddress), stack.TemporalNamespace
}

// require gives the value of a variable that devstack exec sets, skips a short
// test run, and fails a test that is run without the servers.
func require(t testing.TB, name string) string {
	t.Helper()
	if testing.Short() {
		t.SkipNow()
	}
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run `make test`, or `go run ./devstack exec -- go test ./...`", name)
	}
	return value
}
