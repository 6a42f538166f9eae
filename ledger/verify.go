package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Difference is an account whose running balance is not the sum of its entries.
type Difference struct {
	AccountID string `json:"account_id"`
	// Column is the balance that differs; micro-dollars.
	Column        string `json:"column"`
	RunningMicros int64  `json:"running_micros"`
	EntriesMicros int64  `json:"entries_micros"`
}

// ChargeDifference is an account that was charged something else than what it used,
// in pico-dollars, as decimal integers.
type ChargeDifference struct {
	AccountID string `json:"account_id"`
	// UsedPicos is what usage, deployments and creations cost by the totals.
	UsedPicos string `json:"used_picos"`
	// ChargedPicos is what the ledger has as revenue, with the remainder that is
	// carried to the next charge.
	ChargedPicos string `json:"charged_picos"`
}

// Verification is the outcome of Verify.
type Verification struct {
	Accounts     int64 `json:"accounts"`
	Transactions int64 `json:"transactions"`
	Entries      int64 `json:"entries"`
	// LedgerSumMicros is the sum over all entries: 0, always (I1).
	LedgerSumMicros int64 `json:"ledger_sum_micros"`
	// Unbalanced counts transactions whose entries do not sum to zero.
	Unbalanced int64 `json:"unbalanced"`
	// Differences are at most maxDifferences of the accounts that disagree.
	Differences []Difference `db:"-" json:"differences"`
	// Charges are at most maxDifferences of the accounts whose charges do not add up.
	Charges []ChargeDifference `db:"-" json:"charges"`
}

// OK says whether ledger and balances agree.
func (v Verification) OK() bool {
	return v.LedgerSumMicros == 0 && v.Unbalanced == 0 && len(v.Differences) == 0 && len(v.Charges) == 0
}

const maxDifferences = 100

const ledgerTotals = `
	select (select count(*) from accounts)            as accounts,
	       (select count(*) from ledger_transactions) as transactions,
	       (select count(*) from ledger_entries)      as entries,
	       (select coalesce(sum(amount_micros), 0)::bigint from ledger_entries) as ledger_sum_micros,
	       (select count(*) from (select from ledger_entries group by transaction_id having sum(amount_micros) <> 0) u) as unbalanced`

// ledgerRebuild sets each running balance against the sum of its entries, the
// credits against what is left of their grants, what is invoiced against the unpaid
// invoices, and what invoices are made of against what was used and paid.
const ledgerRebuild = `
	with rebuilt as (
		select account_id,
		       coalesce(sum(amount_micros) filter (where book = 'free'), 0)::bigint      as free,
		       coalesce(sum(amount_micros) filter (where book = 'purchased'), 0)::bigint as purchased,
		       -coalesce(sum(amount_micros) filter (where book = 'accrued'), 0)::bigint  as accrued,
		       -coalesce(sum(amount_micros) filter (where book = 'payments'), 0)::bigint as lifetime_spend,
		       -coalesce(sum(amount_micros) filter (where book = 'invoiced'), 0)::bigint as invoiced
		  from ledger_entries group by account_id),
	granted as (
		select account_id,
		       coalesce(sum(left_micros) filter (where book = 'free'), 0)::bigint      as free,
		       coalesce(sum(left_micros) filter (where book = 'purchased'), 0)::bigint as purchased
		  from credit_grants group by account_id),
	unpaid as (
		select account_id, sum(total_micros)::bigint as demanded from invoices where status in ('open', 'past_due') group by account_id),
	spent as (
		select e.account_id, coalesce(sum(e.amount_micros) filter (where e.book = 'revenue'), 0)::bigint as used,
		       -coalesce(sum(e.amount_micros) filter (where e.book in ('free', 'purchased')), 0)::bigint as paid
		  from ledger_entries e join ledger_transactions t on t.id = e.transaction_id
		 where t.kind in ('usage', 'deployments', 'creation', 'settlement') group by e.account_id)
	select b.account_id::text, c.name as "column", c.running as running_micros, c.entries as entries_micros
	  from balances b
	  left join rebuilt r using (account_id)
	  left join granted g using (account_id)
	  left join unpaid u using (account_id)
	  left join spent s using (account_id)
	  left join usage_meters m using (account_id)
	 cross join lateral (values
		('free', b.free_micros, coalesce(r.free, 0)),
		('purchased', b.purchased_micros, coalesce(r.purchased, 0)),
		('accrued', b.accrued_micros, coalesce(r.accrued, 0)),
		('lifetime_spend', b.lifetime_spend_micros, coalesce(r.lifetime_spend, 0)),
		('invoiced', b.invoiced_micros, coalesce(r.invoiced, 0)),
		('unpaid_invoices', b.invoiced_micros, coalesce(u.demanded, 0)),
		('used', coalesce(m.used_micros, 0), coalesce(s.used, 0)),
		('paid_by_credits', coalesce(m.free_used_micros + m.purchased_used_micros, 0), coalesce(s.paid, 0)),
		('free_grants', b.free_micros, coalesce(g.free, 0)),
		('purchased_grants', b.purchased_micros, coalesce(g.purchased, 0))) as c (name, running, entries)
	 where c.running <> c.entries
	 order by b.account_id, c.name
	 limit $1`

// ledgerCharges sets what each account used against what it was charged, to the
// pico-dollar: nothing is lost in rounding, it is carried. A voided invoice takes
// revenue back, and is no charge.
const ledgerCharges = `
	with used as (
		select account_id, sum(picos) as picos
		  from (select account_id, picos from usage_totals
		        union all select account_id, picos from deployment_totals
		        union all select c.account_id, p.picos_per_unit from creations c join prices p on p.id = c.price_id) u
		 group by account_id),
	charged as (
		select account_id, sum(picos) as picos
		  from (select account_id, amount_micros::numeric * 1000000 as picos from ledger_entries where book = 'revenue' and amount_micros > 0
		        union all select account_id, remainder_picos from usage_meters) c
		 group by account_id)
	select account_id::text, trim_scale(coalesce(u.picos, 0))::text as used_picos, trim_scale(coalesce(c.picos, 0))::text as charged_picos
	  from used u full join charged c using (account_id)
	 where coalesce(u.picos, 0) <> coalesce(c.picos, 0)
	 order by account_id
	 limit $1`

// Verify rebuilds every balance from the entries and compares (R51), and every
// charge from what was used. It changes nothing. All its queries read one snapshot,
// so that postings may go on meanwhile.
func (l *Ledger) Verify(ctx context.Context) (v Verification, err error) {
	err = l.snapshot(ctx, "verify ledger", func(tx pgx.Tx) error {
		// A whole ledger takes longer to read than one statement may.
		if _, err := tx.Exec(ctx, `set local statement_timeout = 0`); err != nil {
			return err
		}
		if v, err = oneIn[Verification](ctx, tx, ledgerTotals); err != nil {
			return err
		}
		if v.Differences, err = manyIn[Difference](ctx, tx, ledgerRebuild, maxDifferences); err != nil {
			return err
		}
		v.Charges, err = manyIn[ChargeDifference](ctx, tx, ledgerCharges, maxDifferences)
		return err
	})
	if err != nil {
		return Verification{}, wrap("verify ledger", err)
	}
	return v, nil
}
