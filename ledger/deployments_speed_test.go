package ledger_test

import (
	"testing"
	"time"
)

// Ten thousand deployments are one step of one statement, well inside its time.
func TestTenThousandDeploymentsAccrueInOneStep(t *testing.T) {
	t.Parallel()
	b := open(t)
	const accounts, each = 2_500, 4
	b.do(t, `insert into accounts (id, email, name, territory, created_at) select gen_random_uuid(), 'a@example.com', 'Ada', 'US', $1 from generate_series(1, $2)`, noon, accounts)
	b.do(t, `select ledger_post('grant/' || id, 'free_credits', id, $1, array['promotions', 'free']::ledger_book[], array[-1000000000, 1000000000]) from accounts`, noon)
	b.do(t, `
		with made as (
			insert into creations (id, account_id, kind, name, price_id, created_at)
			select gen_random_uuid(), a.id, 'dedicated_endpoint', 'mine', p.id, $1
			  from accounts a cross join generate_series(1, $2) join prices p on p.sku = 'dedicated_endpoint.creation'
			returning id, account_id)
		insert into deployments (id, account_id, sku, started_at, accrued_until) select id, account_id, $3, $1, $1 from made`, noon, each, h100)
	for minute := 1; minute <= 3; minute++ {
		began := time.Now()
		same(t, "charged", b.accrue(t, noon.Add(time.Duration(minute)*time.Minute)), accounts*each)
		t.Logf("step %d: %d deployments of %d accounts in %s", minute, accounts*each, accounts, time.Since(began).Round(time.Millisecond))
	}
	same(t, "seconds", ask[int64](t, b, `select sum(seconds)::bigint from deployment_totals`), accounts*each*3*60)
	same(t, "micros", ask[int64](t, b, `select sum(amount_micros)::bigint from ledger_entries where book = 'revenue'`), accounts*each*3*56_000)
}
