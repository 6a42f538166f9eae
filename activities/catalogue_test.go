package activities_test

import (
	"slices"
	"testing"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/gateway"
)

// The catalogue that gateways ship with and the tables of billing say the same,
// though neither is made from the other: the gateway's is data that its owner edits.
func TestShippedCatalogueAgreesWithBilling(t *testing.T) {
	shipped, err := gateway.ShippedCatalogue()
	done(t, err)
	same(t, "tiers", len(shipped.Tiers), len(billing.TierRules().Thresholds)+1)
	for number, step := range shipped.Tiers {
		same(t, "name", step.Name, billing.TierName(number))
		if number > 0 {
			same(t, "from", step.FromMicros, billing.TierRules().Thresholds[number-1])
		}
	}
	missing := billing.ModelsFor(len(shipped.Tiers) - 1)
	for _, m := range shipped.Models {
		if !slices.Contains(missing, m.ID) {
			continue // billing knows only of models with a minimum
		}
		missing = slices.DeleteFunc(missing, func(id string) bool { return id == m.ID })
		for number := range shipped.Tiers {
			if opens := slices.Contains(billing.ModelsFor(number), m.ID); opens != (number >= m.MinimumTier) {
				t.Errorf("tier %d: %s is open by one and closed by the other", number, m.ID)
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("the catalogue lacks %v", missing)
	}
}
