package testenv

import (
	"crypto/rand"
	"strings"
	"testing"
)

// Unique gives a name that no other test uses, for a task queue or an id on the
// shared Temporal. It begins with the name of the test, so that a person who reads
// the server's lists knows where it is from.
func Unique(t testing.TB) string {
	t.Helper()
	return t.Name() + "-" + strings.ToLower(rand.Text())
}
