package ledger_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/money"
)

// TestLedgerAgreesWithItsModel does random things with two accounts and compares
// the balances and tiers with what plain arithmetic says they must be (I1, I4,
// I5). Every check has accounts of its own on one database.
func TestLedgerAgreesWithItsModel(t *testing.T) {
	t.Parallel()
	b := open(t)
	rapid.Check(t, func(t *rapid.T) {
		m := &model{books: b, accounts: []*modelled{{id: b.customer(t)}, {id: b.customer(t)}}, grants: map[string]ledger.Posting{}}
		steps := []func(*rapid.T){m.buy, m.buy, m.grant, m.takeBack, m.repeat, m.leaveUnpaid}
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			steps[rapid.IntRange(0, len(steps)-1).Draw(t, "step")](t)
		}
		m.compare(t)
	})
	b.sound(t)
	same(t, "I1: the sum of all entries", ask[int64](t, b, `select sum(amount_micros)::bigint from ledger_entries`), 0)
	same(t, "I4: payments less what was captured", ask[int64](t, b, `
		select (select sum(captured_cents) * 10000 from purchases where balance_ended_at is not null)::bigint
		     + (select sum(amount_micros) from ledger_entries where book = 'payments')::bigint`), 0)
}

// modelled is an account as arithmetic knows it.
type modelled struct {
	id                     string
	free, purchased, spend int64
	// versions is how often the tier has changed.
	versions int64
}

// bought is a purchase that was credited, and its account and cents.
type credited struct {
	id    string
	cents int64
}

type model struct {
	*books
	accounts  []*modelled
	purchases []credited
	grants    map[string]ledger.Posting
}

func (m *model) anyAccount(t *rapid.T) *modelled {
	return m.accounts[rapid.IntRange(0, len(m.accounts)-1).Draw(t, "account")]
}

func (m *model) buy(t *rapid.T) {
	a := m.anyAccount(t)
	cents := rapid.OneOf(rapid.Int64Range(500, 1000), rapid.Int64Range(500, 120_000)).Draw(t, "cents")
	id := m.credited(t, a.id, cents)
	m.purchases = append(m.purchases, credited{id, cents})
	before := billing.TierFor(money.USD(a.spend))
	a.purchased += cents * 10_000
	a.spend += cents * 10_000
	version := int64(0)
	if billing.TierFor(money.USD(a.spend)) != before {
		a.versions++
		version = a.versions
	}
	same(t, "the version that the purchase waits for", *m.purchase(t, id).EntitlementVersion, version)
}

// grant gives free credits under one of a few keys, so that keys repeat.
func (m *model) grant(t *rapid.T) {
	a := m.anyAccount(t)
	key := a.id + rapid.StringMatching(`/[a-c]`).Draw(t, "key")
	p := freeCredits(key, a.id, rapid.Int64Range(1, 3).Draw(t, "micros"))
	before, known := m.grants[key]
	posted, err := m.Post(t.Context(), p)
	switch {
	case !known:
		done(t, err)
		m.grants[key] = p
		a.free += p.Entries[1].AmountMicros
	case before.Entries[1] == p.Entries[1]:
		done(t, err)
	case !errors.Is(err, ledger.ErrIdempotencyMismatch):
		t.Fatalf("another grant under the same key: %v", err)
	}
	same(t, "fresh", posted.Fresh, !known)
}

// takeBack takes free credits, more than there are at times.
func (m *model) takeBack(t *rapid.T) {
	a := m.anyAccount(t)
	micros := rapid.Int64Range(1, 4).Draw(t, "micros")
	_, err := m.Post(t.Context(), freeCredits(uuid.NewString(), a.id, -micros))
	if micros > a.free {
		if !errors.Is(err, ledger.ErrInsufficientCredits) {
			t.Fatalf("took %d of %d: %v", micros, a.free, err)
		}
		return
	}
	done(t, err)
	a.free -= micros
}

// repeat does all the steps of an earlier purchase again.
func (m *model) repeat(t *rapid.T) {
	if len(m.purchases) == 0 {
		return
	}
	p := m.purchases[rapid.IntRange(0, len(m.purchases)-1).Draw(t, "purchase")]
	_, err := m.BeginPurchase(t.Context(), p.id, noon)
	done(t, err)
	done(t, m.RecordBank(t.Context(), p.id, approval(p.id, p.cents)))
	_, err = m.IssueInvoice(t.Context(), p.id, uuid.NewString(), noon)
	done(t, err)
	_, err = m.CreditPurchase(t.Context(), p.id, billing.TierRules(), noon)
	done(t, err)
}

// leaveUnpaid makes purchases that are worth nothing: declined, or under way.
func (m *model) leaveUnpaid(t *rapid.T) {
	id := m.charging(t, m.anyAccount(t).id, 500)
	if rapid.Bool().Draw(t, "declined") {
		done(t, m.RecordBank(t.Context(), id, declined(id)))
	}
	if _, err := m.CreditPurchase(t.Context(), id, billing.TierRules(), noon); err == nil {
		t.Fatalf("a purchase that nobody paid was credited")
	}
}

func (m *model) compare(t *rapid.T) {
	for _, a := range m.accounts {
		balance := m.balance(t, a.id)
		same(t, "free", balance.FreeMicros, a.free)
		same(t, "purchased", balance.PurchasedMicros, a.purchased)
		same(t, "lifetime spend", balance.LifetimeSpendMicros, a.spend)
		entitlement := m.entitlement(t, a.id)
		same(t, "tier", entitlement.Tier, billing.TierFor(money.USD(a.spend)).Number)
		same(t, "version", entitlement.Version, a.versions)
	}
}
