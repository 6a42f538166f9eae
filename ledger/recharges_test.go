package ledger_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// recharging makes an account of that balance in dollars which recharges by $10.00
// below $20.00, with nothing in the outbox.
func (b *books) recharging(t tb, balance int64) string {
	t.Helper()
	account := b.customer(t)
	if balance > 0 {
		b.completed(t, account, balance*100)
	}
	done(t, b.ConfigureRecharge(t.Context(), account, models.RechargeSettings{Enabled: true, AmountCents: 1000, ThresholdCents: 2000}, 0, noon))
	b.do(t, `delete from outbox`)
	b.do(t, `update auto_recharges set due_at = null`)
	return account
}

// advance takes a step of the account's loop.
func (b *books) advance(t tb, account string, at time.Time, pace time.Duration) ledger.RechargeAdvance {
	t.Helper()
	step, err := b.AdvanceRecharge(t.Context(), ledger.NewRecharge{AccountID: account, PurchaseID: uuid.NewString(), At: at, Pace: pace})
	done(t, err)
	return step
}

// inFlight is the account's recharge in flight.
func (b *books) inFlight(t tb, account string) string {
	t.Helper()
	return ask[string](t, b, `
		select id::text from purchases where account_id = $1 and origin = 'auto_recharge' and status = 'pending' and balance_ended_at is null`, account)
}

func (b *books) wakes(t tb, account string) int64 {
	t.Helper()
	n := b.asked(t, ledger.MessageRecharge, account)
	b.do(t, `delete from outbox where kind = 'recharge'`)
	return n
}

// R28: whatever posting crosses the threshold wakes the loop in its own transaction,
// and one that doesn't cross it wakes nobody.
func TestR28CrossingTheThresholdWakes(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, off := b.recharging(t, 30), b.recharging(t, 30)
	done(t, b.ConfigureRecharge(t.Context(), off, models.RechargeSettings{AmountCents: 1000, ThresholdCents: 2000}, 0, noon))
	b.do(t, `delete from outbox`)
	for _, step := range []struct {
		cents int64
		wakes int64
	}{{1000, 0}, {1, 1}, {500, 0}, {1500, 0}} { // to $20.00; under it; further under it; past all credits
		b.charge(t, account, step.cents, noon)
		same(t, "wake-ups", b.wakes(t, account), step.wakes)
	}
	b.charge(t, off, 2500, noon)
	same(t, "wake-ups of one that is off", b.wakes(t, off), 0)

	// A posting that fails wakes nobody.
	b.completed(t, account, 5000)
	b.do(t, `delete from outbox`)
	tx, err := b.db.Begin(t.Context())
	done(t, err)
	_, err = tx.Exec(t.Context(), `select ledger_post('k', 'usage', $1, now(), array['purchased', 'revenue']::ledger_book[], array[-45000000, 45000000])`, account)
	done(t, err)
	done(t, tx.Rollback(t.Context()))
	same(t, "wake-ups of what never was", b.wakes(t, account), 0)
	_, err = b.db.Exec(t.Context(), `select ledger_post('k', 'usage', $1, now(), array['purchased', 'revenue']::ledger_book[], array[-45000000, 45000000])`, account)
	done(t, err)
	same(t, "wake-ups", b.wakes(t, account), 1)
	b.used(t, account, 45_000_000)
	b.do(t, `update usage_meters set used_micros = used_micros + 45000000, purchased_used_micros = purchased_used_micros + 45000000 where account_id = $1`, account)
	b.sound(t)
}

// The threshold beside the balance follows the settings and can't be set by hand.
func TestThresholdFollowsTheSettings(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.recharging(t, 0)
	below := func() *int64 {
		return ask[*int64](t, b, `select recharge_below_micros from balances where account_id = $1`, account)
	}
	same(t, "threshold", *below(), dollars(20))
	_, err := b.db.Exec(t.Context(), `update balances set recharge_below_micros = 0`)
	refused(t, err, "23001")
	done(t, b.ConfigureRecharge(t.Context(), account, models.RechargeSettings{Enabled: true, AmountCents: 500, ThresholdCents: 1}, 0, noon))
	same(t, "threshold", *below(), 10_000)
	done(t, b.ConfigureRecharge(t.Context(), account, models.RechargeSettings{AmountCents: 500, ThresholdCents: 1}, 0, noon))
	if below() != nil {
		t.Errorf("it is off and watches for %d", *below())
	}
}

// R26: the database refuses a second recharge in flight; one that is credited and
// waits for a gateway is in flight no more.
func TestR26DatabaseRefusesTwoInFlight(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.recharging(t, 0)
	b.advance(t, account, noon, 0)
	first := b.inFlight(t, account)
	n := b.newPurchase(account, 1000)
	n.Origin = models.OriginAutoRecharge
	_, _, err := b.CreatePurchase(t.Context(), n)
	refused(t, err, "purchases_one_recharge")
	b.approveRecharge(t, first, 1000)
	if step := b.advance(t, account, noon, 0); step.Action != billing.RechargeAwait || b.inFlight(t, account) == first {
		t.Errorf("the next one is not made: %+v", step)
	}
}

// approveRecharge takes a purchase that was made to its credit.
func (b *books) approveRecharge(t tb, id string, cents int64) {
	t.Helper()
	_, err := b.BeginPurchase(t.Context(), id, noon)
	done(t, err)
	done(t, b.RecordBank(t.Context(), id, approval(id, cents)))
	_, err = b.IssueInvoice(t.Context(), id, uuid.NewString(), noon)
	done(t, err)
	_, err = b.CreditPurchase(t.Context(), id, billing.TierRules(), noon)
	done(t, err)
}

// Loops of one account that run together, as none should, make one recharge.
func TestManyLoopsOfOneAccountMakeOneRecharge(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.recharging(t, 0)
	together(12, func(int) { b.advance(t, account, noon, 0) })
	b.inFlight(t, account)
	same(t, "made", ask[int64](t, b, `select made from auto_recharges where account_id = $1`, account), 1)
}

// Automatic charges keep their distance whoever makes them. A turn that nobody took
// is not saved up.
func TestPaceOfAllAutomaticCharges(t *testing.T) {
	t.Parallel()
	b := open(t)
	const pace = time.Hour
	first, second, third := b.recharging(t, 0), b.recharging(t, 0), b.recharging(t, 0)
	if step := b.advance(t, first, noon, pace); step.Action != billing.RechargeAwait {
		t.Errorf("the first waits: %+v", step)
	}
	for i, account := range []string{second, third} {
		step := b.advance(t, account, noon, pace)
		want := time.Duration(i+1) * pace
		if step.Action != billing.RechargeBuy || step.Wait > want || step.Wait < want-time.Minute {
			t.Errorf("%d waits %s, want %s", i, step.Wait, want)
		}
	}
	b.do(t, `update auto_recharges set slot_at = clock_timestamp() - interval '1 second' where account_id = $1`, second)
	b.do(t, `update auto_recharges set slot_at = clock_timestamp() - interval '31 seconds' where account_id = $1`, third)
	if step := b.advance(t, second, noon, pace); step.Action != billing.RechargeAwait {
		t.Errorf("it was its turn: %+v", step)
	}
	if step := b.advance(t, third, noon, pace); step.Action != billing.RechargeBuy || step.Wait < 2*pace {
		t.Errorf("its turn is over: %+v", step)
	}
}

// R55: gateways that block the account hear that credits are on their way, for a
// bounded time, and when they are not any more. Others need not hear of it.
func TestR55GatewaysHearOfARecharge(t *testing.T) {
	t.Parallel()
	b := open(t)
	blocked, open := b.recharging(t, 5), b.recharging(t, 5)
	b.charge(t, blocked, 10_500, noon)
	b.do(t, `delete from outbox where kind = 'propagate'`)
	for account, pushed := range map[string]bool{blocked: true, open: false} {
		before := b.entitlement(t, account)
		same(t, "blocked", before.Blocked, pushed)
		b.advance(t, account, noon, 0)
		during := b.entitlement(t, account)
		if during.RechargingUntil == nil || !during.RechargingUntil.Equal(noon.Add(15*time.Minute)) {
			t.Errorf("recharging until %v", during.RechargingUntil)
		}
		same(t, "pushed", b.asked(t, ledger.MessagePropagate, account) == 1 && during.Version == before.Version+1, pushed)
		b.do(t, `delete from outbox where kind = 'propagate'`)
		id := b.inFlight(t, account)
		_, err := b.BeginPurchase(t.Context(), id, noon)
		done(t, err)
		done(t, b.RecordBank(t.Context(), id, ledger.BankAnswer{State: models.BankDeclined, DeclineCode: "lost_card", At: noon}))
		b.advance(t, account, noon, 0)
		afterwards := b.entitlement(t, account)
		if afterwards.RechargingUntil != nil {
			t.Errorf("still recharging until %v", afterwards.RechargingUntil)
		}
		same(t, "pushed", b.asked(t, ledger.MessagePropagate, account) == 1 && afterwards.Version == during.Version+1, pushed)
	}
}

// The networks' bound is the card's, whichever accounts use it and whoever asked.
func TestR27DeclinesCountByTheCard(t *testing.T) {
	t.Parallel()
	b := open(t)
	for i := range 15 {
		other := b.customer(t) // its card has the same fingerprint
		id := b.charging(t, other, 500)
		done(t, b.RecordBank(t.Context(), id, ledger.BankAnswer{
			State: models.BankDeclined, DeclineCode: "do_not_honor", At: noon.Add(time.Duration(i) * time.Minute),
		}))
	}
	next := b.recharging(t, 0)
	if step := b.advance(t, next, noon.Add(time.Hour), 0); step.Action != billing.RechargeHalted {
		t.Errorf("it goes on: %+v", step)
	}
	r, err := b.Recharge(t.Context(), next, noon.Add(time.Hour))
	done(t, err)
	if r.Halt != models.HaltNetworkLimit || !r.HaltUntil.Equal(noon.Add(30*24*time.Hour)) {
		t.Errorf("halted by %s until %v", r.Halt, r.HaltUntil)
	}
	if step := b.advance(t, next, noon.Add(30*24*time.Hour), 0); step.Action != billing.RechargeAwait {
		t.Errorf("30 days later: %+v", step)
	}
}

// R28: the sweep finds what should have looked, a page at a time, each once in its
// time; and nothing else while all is held.
func TestR28SweepFindsWhatShouldHaveLooked(t *testing.T) {
	t.Parallel()
	b := open(t)
	var accounts []string
	for range 5 {
		accounts = append(accounts, b.recharging(t, 30))
	}
	b.do(t, `update auto_recharges set due_at = $2 where account_id = any($1)`, accounts[:3], noon)
	b.do(t, `update auto_recharges set due_at = $2 where account_id = $1`, accounts[3], noon.Add(time.Second))
	sweep := func(at time.Time, limit int) int64 {
		n, err := b.WakeRecharges(t.Context(), at, at.Add(time.Minute), limit)
		done(t, err)
		return n
	}
	audit := models.AuditEntry{At: noon, Actor: "Grace", Role: models.RoleAdmin, Action: "auto_recharge_pause", Reason: "ticket 9"}
	done(t, b.HoldRecharges(t.Context(), true, audit))
	same(t, "held", sweep(noon, 10), 0)
	done(t, b.HoldRecharges(t.Context(), false, audit))
	same(t, "first page", sweep(noon, 2), 2)
	same(t, "second page", sweep(noon, 2), 1)
	same(t, "third page", sweep(noon, 2), 0)
	same(t, "a second later", sweep(noon.Add(time.Second), 10), 1)
	same(t, "those that were woken and did not look", sweep(noon.Add(2*time.Minute), 10), 4)
	same(t, "messages", ask[int64](t, b, `select count(*) from outbox where kind = 'recharge'`), 4)
	same(t, "audit", ask[int64](t, b, `select count(*) from audit_log where actor = 'Grace' and action = 'auto_recharge_pause'`), 2)
}

// More than the rules allow is an alert, for one account and for all together, and
// it closes by itself.
func TestRunawayRechargesRaiseAlerts(t *testing.T) {
	t.Parallel()
	b := open(t)
	one, confirmed := b.recharging(t, 0), b.recharging(t, 0)
	done(t, b.ConfigureRecharge(t.Context(), confirmed, models.RechargeSettings{Enabled: true, AmountCents: 1000, ThresholdCents: 2000}, 12, noon))
	for _, account := range []string{one, confirmed} {
		for range 12 {
			n := b.newPurchase(account, 1000)
			n.Origin = models.OriginAutoRecharge
			_, _, err := b.CreatePurchase(t.Context(), n)
			done(t, err)
			b.approveRecharge(t, n.ID, 1000)
		}
	}
	sweep := func(at time.Time, perHour, want int64) {
		t.Helper()
		n, err := b.SweepRunawayRecharges(t.Context(), at, billing.HourlyPurchases, perHour)
		done(t, err)
		same(t, "new alerts", n, want)
	}
	sweep(noon, 24, 1)
	sweep(noon.Add(time.Minute), 23, 1)
	alerts, err := b.OpenAlerts(t.Context())
	done(t, err)
	if len(alerts) != 2 || alerts[0].Subject != "auto-recharge/"+one || alerts[1].Subject != "auto-recharge" || alerts[0].Kind != models.AlertRechargeRunaway {
		t.Errorf("the alerts are %+v", alerts)
	}
	sweep(noon.Add(2*time.Hour), 23, 0)
	alerts, err = b.OpenAlerts(t.Context())
	done(t, err)
	same(t, "open alerts", len(alerts), 0)
}

// F20: a step whose commit was not heard of finds its own effect.
func TestF20RechargeStepRepeatedChangesNothing(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.recharging(t, 0)
	for range 3 {
		if step := b.advance(t, account, noon, 0); step.Action != billing.RechargeAwait {
			t.Errorf("got %+v", step)
		}
	}
	id := b.inFlight(t, account)
	_, err := b.BeginPurchase(t.Context(), id, noon)
	done(t, err)
	done(t, b.RecordBank(t.Context(), id, ledger.BankAnswer{State: models.BankDeclined, DeclineCode: "insufficient_funds", At: noon}))
	for range 3 {
		if step := b.advance(t, account, noon, 0); step.Action != billing.RechargeHalted {
			t.Errorf("got %+v", step)
		}
	}
	events, err := b.RechargeEvents(t.Context(), account)
	done(t, err)
	if len(events) != 1 || events[0].Halt != models.HaltRetry || !events[0].Until.Equal(noon.Add(time.Hour)) {
		t.Errorf("the events are %+v", events)
	}
	_, err = b.db.Exec(t.Context(), `delete from recharge_events`)
	refused(t, err, "23001")
}

// An account that never asked, and one that does not exist, have nothing to advance.
func TestAdvanceOfNoRecharge(t *testing.T) {
	t.Parallel()
	b := open(t)
	for _, account := range []string{b.customer(t), uuid.NewString()} {
		if step := b.advance(t, account, noon, 0); step != (ledger.RechargeAdvance{Action: billing.RechargeRest}) {
			t.Errorf("got %+v", step)
		}
	}
}

// R27: three soft declines in a row; a success in between begins anew.
func TestR27ASuccessBeginsTheTriesAnew(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.recharging(t, 0)
	at := noon
	// Whether it is in flight already or is to be made now.
	decline := func() {
		t.Helper()
		b.advance(t, account, at, 0)
		id := b.inFlight(t, account)
		_, err := b.BeginPurchase(t.Context(), id, at)
		done(t, err)
		done(t, b.RecordBank(t.Context(), id, ledger.BankAnswer{State: models.BankDeclined, DeclineCode: "insufficient_funds", At: at}))
		b.advance(t, account, at, 0)
	}
	tries := func() int {
		t.Helper()
		r, err := b.Recharge(t.Context(), account, at)
		done(t, err)
		return r.Tries
	}
	decline()
	at = at.Add(time.Hour)
	decline()
	same(t, "tries", tries(), 2)
	at = at.Add(24 * time.Hour)
	b.advance(t, account, at, 0)
	b.approveRecharge(t, b.inFlight(t, account), 1000)
	b.advance(t, account, at, 0)
	same(t, "tries after a success", tries(), 0)
	decline()
	same(t, "tries after another decline", tries(), 1)
}
