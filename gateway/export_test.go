package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/paystage/paystage/models"
)

// Journal is the content of a journal that holds these entitlements, one after the
// other, whatever their versions.
func Journal(t testing.TB, all ...models.Entitlement) []byte {
	t.Helper()
	var content bytes.Buffer
	j, p := journal{numbers: map[*plan]uint64{}}, plans{}
	_, err := j.writeAll(&content, func(yield func(*holding) bool) {
		for _, e := range all {
			if !yield(p.hold(e)) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

// CountEntitlements counts the entitlements in a journal.
func CountEntitlements(t testing.TB, content []byte) int {
	t.Helper()
	r, from := records{plans: &plans{}}, bufio.NewReader(bytes.NewReader(content))
	for n := 0; ; n++ {
		if _, err := r.next(from); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
