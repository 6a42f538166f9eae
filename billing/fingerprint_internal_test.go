package billing

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/paystage/paystage/models"
)

// A field that an entitlement gets must change the fingerprint, also one that is left
// out where it is empty.
func TestFingerprintHasEveryFieldOfAnEntitlement(t *testing.T) {
	var told []json.RawMessage
	if err := json.Unmarshal(toldByRules(), &told); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1+len(tiers) {
		t.Fatalf("%d parts, want the rules and %d tiers", len(told), len(tiers))
	}
	for _, part := range told[1:] {
		var has map[string]json.RawMessage
		if err := json.Unmarshal(part, &has); err != nil {
			t.Fatal(err)
		}
		for field := range reflect.TypeFor[models.Entitlement]().Fields() {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); has[name] == nil {
				t.Errorf("%s is not in %s", name, part)
			}
		}
	}
	for _, limit := range []string{"6000", "Build Tier 5", "1000000000", "100000000"} {
		if !strings.Contains(string(toldByRules()), limit) {
			t.Errorf("%s of the table is not told", limit)
		}
	}
}
