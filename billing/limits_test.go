package billing_test

import (
	"testing"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/money"
)

func TestLimitUnder(t *testing.T) {
	t.Parallel()
	dollars := func(n int64) *int64 { micros := n * int64(money.Dollar); return &micros }
	for _, c := range []struct {
		tier              int
		support, customer *int64
		want              int64
	}{
		{0, nil, nil, 0},
		{0, dollars(500), dollars(50), 0},
		{1, nil, nil, 100},
		{4, dollars(500), nil, 100},
		{5, nil, nil, 100},
		{5, dollars(500), nil, 500},
		{5, dollars(20), nil, 20},
		{5, dollars(500), dollars(50), 50},
		{5, dollars(50), dollars(500), 50},
		{3, nil, dollars(0), 0},
		{3, nil, dollars(101), 100},
	} {
		if got := billing.LimitUnder(c.tier, c.support, c.customer); got != money.USD(c.want)*money.Dollar {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}
