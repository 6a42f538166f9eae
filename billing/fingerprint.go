package billing

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/paystage/paystage/models"
)

// RulesFingerprint tells apart releases that would tell a gateway different things of
// the same account: by the thresholds and limits of tiers, their names, models and
// rates, and by the fields that an entitlement has.
func RulesFingerprint() string {
	sum := sha256.Sum256(toldByRules())
	return hex.EncodeToString(sum[:8])
}

// toldByRules is all that depends on the rules: the thresholds and limits by which
// entitlements are settled, and one entitlement of each tier with every field set.
func toldByRules() []byte {
	told := []any{TierRules()}
	for number := range tiers {
		told = append(told, EntitlementFor(models.EntitlementState{
			AccountID: "a", Version: 1, Tier: number, Suspended: true, Blocked: true, RechargingUntil: new(time.Time),
			SpendMicros: 1, Keys: []models.KeyHash{{}}, Exceptions: []models.Exception{{}},
		}))
	}
	text, err := json.Marshal(told)
	if err != nil {
		panic(fmt.Sprintf("billing: rules that do not encode: %v", err)) // plain tables always do
	}
	return text
}
