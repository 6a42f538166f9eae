package ledger_test

import (
	"testing"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

// R14: a version says what had been paid when it came to be, so a purchase that moves
// no tier makes no version and waits for no gateway (R22).
func TestR14EntitlementSaysWhatWasPaidAtItsVersion(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	for i, c := range []struct{ cents, version, spend int64 }{
		{2000, 1, 20_000_000}, {1000, 1, 20_000_000}, {2000, 2, 50_000_000},
	} {
		b.completed(t, account, c.cents)
		held := b.entitlement(t, account)
		if held.Version != c.version || held.SpendMicros != c.spend {
			t.Errorf("purchase %d: version %d of %d micro-dollars, want %d of %d", i, held.Version, held.SpendMicros, c.version, c.spend)
		}
	}
	b.grant(t, account, dollars(70)) // I4: not paid
	b.do(t, `select entitlement_renew($1, $2)`, account, noon)
	same(t, "spend after another change", b.entitlement(t, account).SpendMicros, 50_000_000)
}

// A release with other rules gives every entitlement a new version once, page by page,
// and brings tiers to its thresholds.
func TestEntitlementsFollowTheRulesOfARelease(t *testing.T) {
	t.Parallel()
	b := open(t)
	spend := map[string]int64{}
	for _, cents := range []int64{500, 3000, 6000} {
		account := b.customer(t)
		b.completed(t, account, cents)
		spend[account] = cents
	}
	unknown := b.customer(t) // no gateway has heard of it, and none need
	follow := func(fingerprint string, rules models.TierRules) (moved int64) {
		t.Helper()
		done(t, b.NoteRules(t.Context(), fingerprint))
		for range 10 {
			n, err := b.FollowRules(t.Context(), fingerprint, time.Hour, 3, rules, noon)
			done(t, err)
			if n == 0 {
				break
			}
			moved += n
		}
		return moved
	}
	version := func(account string) int64 { return b.entitlement(t, account).Version }

	same(t, "accounts at first", follow("a", billing.TierRules()), 4)
	b.do(t, `update entitlements set waiting_since = null`)
	for account := range spend {
		same(t, "version", version(account), 2)
	}
	same(t, "accounts of the same rules", follow("a", billing.TierRules()), 0)

	dearer := billing.TierRules()
	dearer.Thresholds = []int64{5_000_000, 70_000_000, 100_000_000, 250_000_000, 1_000_000_000}
	same(t, "accounts while the old release runs", follow("b", dearer), 0)
	b.do(t, `update running_rules set seen_at = seen_at - interval '2 hours' where rules = 'a'`)
	same(t, "accounts of the new release", follow("b", dearer), 4)
	for account, cents := range spend {
		held := b.entitlement(t, account)
		if held.Version < 3 || held.WaitingSince == nil || held.Tier != 1 {
			t.Errorf("%d cents: %+v", cents, held)
		}
	}
	same(t, "version of who was never pushed", version(unknown), 0)
	same(t, "accounts a second time", follow("b", dearer), 0)

	// Back to the release before.
	b.do(t, `update running_rules set seen_at = seen_at - interval '2 hours' where rules = 'b'`)
	same(t, "accounts of the release before", follow("a", billing.TierRules()), 4)
	for account, cents := range spend {
		want := 1
		if cents == 6000 {
			want = 2
		}
		same(t, "tier", b.entitlement(t, account).Tier, want)
	}
}
