package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

func TestVerifyCounts(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.account(t)
	b.credited(t, account, 2500)
	b.grant(t, account, 5)
	v, err := b.Verify(t.Context())
	done(t, err)
	same(t, "OK", v.OK(), true)
	same(t, "accounts", v.Accounts, 2)
	same(t, "transactions", v.Transactions, 2)
	same(t, "entries", v.Entries, 4)
	balance := b.balance(t, account)
	same(t, "free", balance.FreeMicros, 5)
	same(t, "purchased", balance.PurchasedMicros, dollars(25))
	same(t, "lifetime spend", balance.LifetimeSpendMicros, dollars(25))
}

// TestVerifyFindsTampering has somebody switch the triggers off and change what
// they guard.
func TestVerifyFindsTampering(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.credited(t, account, 2500)
	b.grant(t, account, 1000)
	for _, table := range []string{"balances", "ledger_entries"} {
		b.do(t, `alter table `+table+` disable trigger user`)
		b.do(t, `create table sound_`+table+` as table `+table)
	}
	for name, c := range map[string]struct {
		tamper     string
		sum        int64
		unbalanced int64
		// columns are the running balances that differ, by how much.
		columns map[string]int64
	}{
		"Free":          {`update balances set free_micros = free_micros + 7`, 0, 0, map[string]int64{"free": 7, "free_grants": 7}},
		"Purchased":     {`update balances set purchased_micros = purchased_micros - 7`, 0, 0, map[string]int64{"purchased": -7, "purchased_grants": -7}},
		"Accrued":       {`update balances set accrued_micros = 7`, 0, 0, map[string]int64{"accrued": 7}},
		"LifetimeSpend": {`update balances set lifetime_spend_micros = 0`, 0, 0, map[string]int64{"lifetime_spend": -25_000_000}},
		"OneEntry": {`update ledger_entries set amount_micros = amount_micros + 7 where book = 'purchased'`, 7, 1,
			map[string]int64{"purchased": -7}},
		"TwoThatCancelOut": {`update ledger_entries set amount_micros = amount_micros + case book when 'purchased' then 7 else -7 end
			where book in ('purchased', 'free')`, 0, 2, map[string]int64{"purchased": -7, "free": 7}},
		"WholeTransactionChanged": {`update ledger_entries set amount_micros = amount_micros * 2 where book in ('free', 'promotions')`, 0, 0,
			map[string]int64{"free": -1000}},
		"EntryDeleted": {`delete from ledger_entries where book = 'promotions'`, 1000, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b.do(t, c.tamper)
			v, err := b.Verify(t.Context())
			done(t, err)
			same(t, "OK", v.OK(), false)
			same(t, "sum", v.LedgerSumMicros, c.sum)
			same(t, "unbalanced", v.Unbalanced, c.unbalanced)
			same(t, "differences", len(v.Differences), len(c.columns))
			for _, d := range v.Differences {
				same(t, "account", d.AccountID, account)
				same(t, d.Column, d.RunningMicros-d.EntriesMicros, c.columns[d.Column])
			}
			for _, table := range []string{"balances", "ledger_entries"} {
				b.do(t, `delete from `+table)
				b.do(t, `insert into `+table+` table sound_`+table)
			}
			b.sound(t)
		})
	}
}

// Whatever an account used is what it was charged, to the pico-dollar.
func TestVerifyFindsChargesThatDoNotAddUp(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.price(t, odd, 1_000_007, noon)
	account, id := b.running(t, 25, odd, noon)
	b.stop(t, id, noon.Add(time.Minute))
	w := ledger.NewUsageWriter(b.Ledger, billing.TierRules(), time.Now)
	t.Cleanup(w.Close)
	prices, err := b.Prices(t.Context())
	done(t, err)
	list := billing.NewPriceList(prices)
	llm, ok := list.InForce("meta-llama/llama-3.1-8b.input", noon)
	same(t, "priced", ok, true)
	_, err = w.Record(t.Context(), []models.UsageEvent{b.usage(account, llm.ID, 7, noon)}, list.Newest())
	done(t, err)
	b.sound(t)
	used := int64(1_000_000_000_000 + 1_000_007 + 7*180_000)
	b.do(t, `alter table creations disable trigger user`)
	for name, c := range map[string]struct {
		tamper, undo  string
		used, charged int64
	}{
		"Usage":      {`update usage_totals set picos = picos + 1`, `update usage_totals set picos = picos - 1`, 1, 0},
		"Deployment": {`update deployment_totals set picos = picos - 1`, `update deployment_totals set picos = picos + 1`, -1, 0},
		"Remainder":  {`update usage_meters set remainder_picos = remainder_picos - 7`, `update usage_meters set remainder_picos = remainder_picos + 7`, 0, -7},
		"Creation": {`update creations set price_id = (select id from prices where sku = 'hosted_model.creation')`,
			`update creations set price_id = (select id from prices where sku = 'dedicated_endpoint.creation')`, -500_000_000_000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b.do(t, c.tamper)
			v, err := b.Verify(t.Context())
			done(t, err)
			want := ledger.ChargeDifference{AccountID: account, UsedPicos: fmt.Sprint(used + c.used), ChargedPicos: fmt.Sprint(used + c.charged)}
			if len(v.Charges) != 1 || v.Charges[0] != want || v.OK() {
				t.Errorf("got %+v, want %+v", v.Charges, want)
			}
			b.do(t, c.undo)
			b.sound(t)
		})
	}
}

func TestVerificationIsOKOnlyWithoutAnyFinding(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]ledger.Verification{
		"Sum":         {LedgerSumMicros: -1},
		"Unbalanced":  {Unbalanced: 1},
		"Differences": {Differences: []ledger.Difference{{Column: "free"}}},
		"Charges":     {Charges: []ledger.ChargeDifference{{UsedPicos: "1", ChargedPicos: "0"}}},
	} {
		same(t, name, v.OK(), false)
	}
	same(t, "empty", ledger.Verification{}.OK(), true)
}
