package ledger_test

import (
	"reflect"
	"slices"
	"testing"
)

// A page says of each account what a push of that account alone says, with its own
// keys and exceptions, wherever pages end.
func TestR22PagesSayWhatSinglePushesSay(t *testing.T) {
	t.Parallel()
	b := open(t)
	var pushed []string
	for i := range 7 {
		account := b.account(t)
		if i == 3 {
			continue // version 0: no gateway needs to hear of it
		}
		pushed = append(pushed, account)
		for range i % 3 {
			b.do(t, `insert into account_keys (id, account_id, name, secret_hash, created_at)
				values (encode(substr(sha256(gen_random_uuid()::text::bytea), 1, 8), 'hex'), $1, '', sha256($1::uuid::text::bytea), $2)`, account, noon)
		}
		b.do(t, `update account_keys set revoked_at = $2 where id = (select min(id) from account_keys where account_id = $1) and $3`, account, noon, i == 2)
		b.do(t, `insert into account_exceptions (id, account_id, model, rpm, until, reason, created_at, ended_at)
			select gen_random_uuid(), $1, m, 7, clock_timestamp() + make_interval(hours => h), 'r', $2, case when ended then $2::timestamptz end
			  from (values ('b', 1, false), ('a', 1, false), ('over', -1, false), ('ended', 1, true)) as v (m, h, ended) where $3`, account, noon, i%2 == 1)
		b.do(t, `select entitlement_renew($1, $2)`, account, noon)
	}
	slices.Sort(pushed)
	for _, limit := range []int{1, 2, 7} {
		var got []string
		for after := ""; ; {
			page, err := b.EntitlementPage(t.Context(), after, limit)
			done(t, err)
			if len(page) == 0 {
				break
			}
			for _, state := range page {
				if want := b.entitlement(t, state.AccountID); !reflect.DeepEqual(state, want) {
					t.Errorf("pages of %d:\n%+v\nalone:\n%+v", limit, state, want)
				}
				got = append(got, state.AccountID)
			}
			after = got[len(got)-1]
		}
		if !slices.Equal(got, pushed) {
			t.Errorf("pages of %d: %d accounts, want %d", limit, len(got), len(pushed))
		}
	}
}

// What a gateway acknowledges is an account's entitlement: there is none of no account.
func TestR22NobodysEntitlementIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.account(t)
	b.do(t, `select entitlement_renew($1, $2)`, account, noon)
	b.do(t, `select gateway_acknowledge_page('g', array[$1::uuid, gen_random_uuid()], array[1, 1]::bigint[], array['g'], $2)`, account, noon)
	same(t, "acknowledgements", ask[int64](t, b, `select count(*) from gateway_acks`), 1)
}
