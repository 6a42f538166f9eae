package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// R12: each tier begins at its threshold, to the cent.
func TestR12TierFollowsTheThresholds(t *testing.T) {
	t.Parallel()
	b := open(t)
	for cents, tier := range map[int64]int{
		500: 1, 4999: 1, 5000: 2, 9999: 2, 10_000: 3, 24_999: 3, 25_000: 4, 99_999: 4, 100_000: 5, 100_001: 5, 1_000_000: 5,
	} {
		t.Run(fmt.Sprintf("%dCents", cents), func(t *testing.T) {
			account := b.customer(t)
			b.grant(t, account, dollars(2000)) // I4: counts for nothing
			same(t, "tier before", b.entitlement(t, account).Tier, 0)
			id := b.credited(t, account, cents)
			held := b.entitlement(t, account)
			same(t, "tier", held.Tier, tier)
			same(t, "version", held.Version, 1)
			same(t, "version that the purchase waits for", *b.purchase(t, id).EntitlementVersion, 1)
			same(t, "messages", b.asked(t, ledger.MessagePropagate, account), 1)
		})
	}
}

func TestR12TierIsReachedByTheSumOfPurchases(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	for i, c := range []struct {
		cents, version int64
		tier           int
	}{{4499, 1, 1}, {500, 1, 1}, {501, 2, 2}, {94_499, 3, 4}, {500, 4, 5}, {500, 4, 5}} {
		b.completed(t, account, c.cents)
		held := b.entitlement(t, account)
		same(t, fmt.Sprintf("tier after purchase %d", i+1), held.Tier, c.tier)
		same(t, "version", held.Version, c.version)
	}
}

// R22: what changed nothing for the gateways waits for none of them.
func TestR22UnchangedTierIsDoneAtOnce(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.completed(t, account, 500)
	b.do(t, `delete from outbox`)
	id := b.invoiced(t, account, 500)
	credited, err := b.CreditPurchase(t.Context(), id, billing.TierRules(), noon)
	done(t, err)
	same(t, "effect", credited, ledger.Credited{})
	same(t, "messages", b.asked(t, ledger.MessagePropagate, account), 0)
	complete, err := b.SettleTier(t.Context(), id, gateways(2), noon)
	done(t, err)
	same(t, "complete", complete, true)
}

func TestConcurrentPurchasesLoseNoVersion(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	ids := make([]string, 24)
	for i := range ids {
		ids[i] = b.invoiced(t, account, 5000)
	}
	var mu sync.Mutex
	var versions []int64
	together(len(ids), func(i int) {
		credited, err := b.CreditPurchase(t.Context(), ids[i], billing.TierRules(), noon)
		if err != nil {
			t.Error(err)
		}
		if credited.TierChanged != (credited.EntitlementVersion > 0) {
			t.Errorf("got %+v", credited)
		}
		mu.Lock()
		defer mu.Unlock()
		if credited.TierChanged {
			versions = append(versions, credited.EntitlementVersion)
		}
	})
	slices.Sort(versions)
	// $50, $100, $250 and $1,000 of $1,200 each change the tier, one after another.
	if !slices.Equal(versions, []int64{1, 2, 3, 4}) {
		t.Errorf("versions %v", versions)
	}
	held := b.entitlement(t, account)
	same(t, "tier", held.Tier, 5)
	same(t, "version", held.Version, 4)
	same(t, "lifetime spend", b.balance(t, account).LifetimeSpendMicros, dollars(1200))
	b.sound(t)
}

// Support and a purchase change the tier of one account at the same time.
func TestForceSyncBesideACreditLosesNoVersion(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	behind, next := b.invoiced(t, account, 500), b.invoiced(t, account, 5000)
	_, err := b.CreditPurchase(t.Context(), behind, models.TierRules{}, noon) // by a table without tiers
	done(t, err)
	forced, err := b.db.Begin(t.Context())
	done(t, err)
	defer func() { _ = forced.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = forced.Exec(t.Context(), `select entitlements_settle(array[$1::uuid], $2, $3, $4)`,
		account, billing.TierRules().Thresholds, billing.TierRules().Limits, noon)
	done(t, err)
	credited := make(chan error, 1)
	go func() {
		_, err := b.CreditPurchase(t.Context(), next, billing.TierRules(), noon)
		credited <- err
	}()
	b.await(t, 1)
	done(t, forced.Commit(t.Context()))
	done(t, <-credited)
	held := b.entitlement(t, account)
	same(t, "tier", held.Tier, 2)
	same(t, "version", held.Version, 2)
	same(t, "version that the purchase waits for", *b.purchase(t, next).EntitlementVersion, 2)
}

func TestR22PurchaseIsToldWhenEveryGatewayHoldsItsVersion(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	id := b.credited(t, account, 500)
	all := gateways(2)
	settled := func(want bool) {
		t.Helper()
		complete, err := b.SettleTier(t.Context(), id, all, noon)
		done(t, err)
		same(t, "complete", complete, want)
	}
	settled(false)
	done(t, b.AcknowledgeEntitlement(t.Context(), account, all[0], 1, all, noon))
	done(t, b.AcknowledgeEntitlement(t.Context(), account, "http://retired", 1, all, noon))
	same(t, "messages after one of two", b.asked(t, ledger.MessageTierPropagated, id), 0)
	settled(false)
	done(t, b.AcknowledgeEntitlement(t.Context(), account, all[1], 0, all, noon))
	same(t, "messages while the second holds an older version", b.asked(t, ledger.MessageTierPropagated, id), 0)
	done(t, b.AcknowledgeEntitlement(t.Context(), account, all[1], 1, all, noon))
	same(t, "messages after both", b.asked(t, ledger.MessageTierPropagated, id), 1)
	settled(true)
	same(t, "status", b.purchase(t, id).Status, models.PurchaseCompleted)
}

// Each of two gateways that acknowledge at the same time must see the other's
// word, or nobody tells the purchase.
func TestR22GatewaysAcknowledgeAtTheSameTime(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	id := b.credited(t, account, 500)
	all := gateways(2)
	first, err := b.db.Begin(t.Context())
	done(t, err)
	defer func() { _ = first.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = first.Exec(t.Context(), `select gateway_acknowledge($1, $2, 1, $3, $4)`, account, all[0], all, noon)
	done(t, err)
	second := make(chan error, 1)
	go func() { second <- b.AcknowledgeEntitlement(t.Context(), account, all[1], 1, all, noon) }()
	b.await(t, 1)
	done(t, first.Commit(t.Context()))
	done(t, <-second)
	same(t, "messages", b.asked(t, ledger.MessageTierPropagated, id), 1)
}

// I10: a gateway that is ahead of us ignores what we push, so it acknowledges
// nothing until our version is past its own.
func TestI10GatewayThatIsAheadMovesOurVersionPastIt(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	id := b.credited(t, account, 500)
	one := gateways(1)
	b.do(t, `delete from outbox`)
	done(t, b.AcknowledgeEntitlement(t.Context(), account, one[0], 7, one, noon))
	same(t, "our version", b.entitlement(t, account).Version, 8)
	same(t, "tier", b.entitlement(t, account).Tier, 1)
	same(t, "pushes asked for", b.asked(t, ledger.MessagePropagate, account), 1)
	same(t, "purchases told", b.asked(t, ledger.MessageTierPropagated, id), 0)
	complete, err := b.SettleTier(t.Context(), id, one, noon)
	done(t, err)
	same(t, "complete while the gateway holds something else", complete, false)

	done(t, b.AcknowledgeEntitlement(t.Context(), account, one[0], 8, one, noon))
	same(t, "purchases told", b.asked(t, ledger.MessageTierPropagated, id), 1)
	done(t, b.AcknowledgeEntitlement(t.Context(), account, one[0], 7, one, noon)) // an answer that was on its way
	states, err := b.GatewayStates(t.Context(), account, one)
	done(t, err)
	same(t, "acknowledged", states[0].Version, 8)
	same(t, "our version", b.entitlement(t, account).Version, 8)
}

func TestGatewayStates(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.credited(t, account, 500)
	all := gateways(3)
	done(t, b.AcknowledgeEntitlement(t.Context(), account, all[0], 1, all, noon))
	done(t, b.NotePushFailure(t.Context(), account, all[0], "later trouble", noon.Add(time.Minute)))
	done(t, b.NotePushFailure(t.Context(), account, all[1], strings.Repeat("é", 600), noon))
	states, err := b.GatewayStates(t.Context(), account, []string{all[2], all[1], all[0]})
	done(t, err)
	same(t, "states", len(states), 3)
	never, failed, held := states[0], states[1], states[2]
	same(t, "first as asked", never.Gateway, all[2])
	if never.Version != 0 || never.AcknowledgedAt != nil || never.LastError != nil {
		t.Errorf("a gateway without a word: %+v", never)
	}
	if failed.Version != 0 || failed.LastError == nil || *failed.LastError != strings.Repeat("é", 500) || !failed.FailedAt.Equal(noon) {
		t.Errorf("a gateway that failed: %+v", failed)
	}
	if held.Version != 1 || held.LastError == nil || !held.AcknowledgedAt.Equal(noon) {
		t.Errorf("a gateway that failed after it held the version: %+v", held)
	}
	done(t, b.AcknowledgeEntitlement(t.Context(), account, all[1], 1, all, noon))
	states, err = b.GatewayStates(t.Context(), account, all[1:2])
	done(t, err)
	if states[0].Version != 1 || states[0].LastError != nil || states[0].FailedAt != nil {
		t.Errorf("after it recovered: %+v", states[0])
	}
}

func audit(account, reason string) models.AuditEntry {
	return models.AuditEntry{
		At: noon, Actor: "key_1", Role: models.RoleSupport, Action: "tier_sync", AccountID: &account, Subject: "purchase/1", Reason: reason,
		Detail: []byte(`{"tier_after": 1}`),
	}
}

func TestR23ForceSync(t *testing.T) {
	t.Parallel()
	b := open(t)
	behind := func(t *testing.T) (account, purchase string) {
		account = b.customer(t)
		id := b.invoiced(t, account, 500)
		_, err := b.CreditPurchase(t.Context(), id, models.TierRules{}, noon) // by a table without tiers
		done(t, err)
		b.do(t, `delete from outbox`)
		return account, id
	}
	t.Run("PurchaseUnderWay", func(t *testing.T) {
		account, id := behind(t)
		done(t, b.ForceSync(t.Context(), account, id, billing.TierRules(), audit(account, "customer called")))
		held := b.entitlement(t, account)
		same(t, "tier", held.Tier, 1)
		same(t, "version", held.Version, 1)
		same(t, "forced pushes", b.asked(t, ledger.MessageForceSync, account), 1)
		same(t, "purchase told", b.asked(t, ledger.MessagePaymentChanged, id), 1)
		entries, err := b.AuditLog(t.Context(), account)
		done(t, err)
		same(t, "audit entries", len(entries), 1)
		same(t, "reason", entries[0].Reason, "customer called")
		same(t, "role", entries[0].Role, models.RoleSupport)
		same(t, "detail", string(entries[0].Detail), `{"tier_after": 1}`)
	})
	t.Run("NothingToChange", func(t *testing.T) {
		account := b.customer(t)
		id := b.completed(t, account, 500)
		done(t, b.ForceSync(t.Context(), account, id, billing.TierRules(), audit(account, "again")))
		same(t, "version", b.entitlement(t, account).Version, 1)
		same(t, "forced pushes", b.asked(t, ledger.MessageForceSync, account), 1)
		same(t, "ended purchase told", b.asked(t, ledger.MessagePaymentChanged, id), 0)
	})
	t.Run("WithoutAPurchase", func(t *testing.T) {
		account, _ := behind(t)
		done(t, b.ForceSync(t.Context(), account, "", billing.TierRules(), audit(account, "no purchase named")))
		same(t, "tier", b.entitlement(t, account).Tier, 1)
	})
	t.Run("AllOrNothing", func(t *testing.T) {
		account, id := behind(t)
		refused(t, b.ForceSync(t.Context(), account, id, billing.TierRules(), audit(account, "")), "audit_log_reason_check")
		same(t, "tier", b.entitlement(t, account).Tier, 0)
		same(t, "messages", b.asked(t, ledger.MessageForceSync, account)+b.asked(t, ledger.MessagePaymentChanged, id), 0)
	})
}

// I6: what some gateway lacks is pushed again, though nobody remembers to.
func TestI6RequestLagging(t *testing.T) {
	t.Parallel()
	b := open(t)
	all := gateways(2)
	never, behind, halfway, current := b.customer(t), b.customer(t), b.customer(t), b.customer(t)
	for _, account := range []string{behind, halfway, current} {
		b.completed(t, account, 500)
	}
	done(t, b.AcknowledgeEntitlement(t.Context(), halfway, all[0], 1, all, noon))
	for _, gateway := range all {
		done(t, b.AcknowledgeEntitlement(t.Context(), current, gateway, 1, all, noon))
	}
	b.do(t, `delete from outbox`)
	requested, err := b.RequestLagging(t.Context(), all)
	done(t, err)
	same(t, "requested", requested, 2)
	for account, want := range map[string]int64{never: 0, behind: 1, halfway: 1, current: 0} {
		same(t, "messages", b.asked(t, ledger.MessagePropagate, account), want)
	}
	requested, err = b.RequestLagging(t.Context(), append(all, "http://new"))
	done(t, err)
	same(t, "requested for a new gateway", requested, 3)
}

// I6: more accounts lag than are pushed at once. None is left out for ever: the
// longest waiting come first, and one that was tried a moment ago waits anew.
func TestI6RequestLaggingStarvesNobody(t *testing.T) {
	t.Parallel()
	b := open(t)
	const most, more = 1000, 3
	b.do(t, `insert into accounts (id, email, name, territory, created_at)
		select gen_random_uuid(), n || '@example.com', n::text, 'US', $1::timestamptz from generate_series(1, $2) n`, noon, most+more)
	// The last three have waited for the shortest time.
	b.do(t, `update entitlements set version = 1`)
	b.do(t, `update entitlements e set waiting_since = $1::timestamptz + (a.name || ' seconds')::interval from accounts a where a.id = e.account_id`, noon)
	requested := func() (newest int64) {
		t.Helper()
		n, err := b.RequestLagging(t.Context(), gateways(2))
		done(t, err)
		same(t, "requested", n, most)
		return ask[int64](t, b, `select count(*) from outbox o join accounts a on a.id::text = o.subject where a.name::int > $1`, most)
	}
	same(t, "of the newest, at first", requested(), 0)
	b.do(t, `insert into gateway_acks (account_id, gateway, version, last_error, failed_at)
		select subject::uuid, g, 0, 'down', $1::timestamptz + interval '1 day' from outbox, unnest($2::text[]) g`, noon, gateways(2))
	b.do(t, `delete from outbox`)
	same(t, "of the newest, when the others were tried", requested(), more)

	// Of those that wait equally long the ids decide.
	b.do(t, `delete from outbox`)
	b.do(t, `delete from gateway_acks`)
	b.do(t, `update entitlements set waiting_since = $1`, noon)
	_ = requested()
	same(t, "left out", ask[string](t, b, `select string_agg(account_id::text, ' ' order by account_id) from entitlements where account_id::text not in (select subject from outbox)`),
		ask[string](t, b, `select string_agg(id::text, ' ' order by id) from (select id from accounts order by id desc limit $1) l`, more))
}

func TestRequestPropagation(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.account(t)
	done(t, b.RequestPropagation(t.Context(), account))
	done(t, b.RequestPropagation(t.Context(), account))
	same(t, "messages", b.asked(t, ledger.MessagePropagate, account), 1)
}
