package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// usage is one event, at a price.
func (b *books) usage(account string, price int32, quantity int64, at time.Time) models.UsageEvent {
	return models.UsageEvent{AccountID: uuid.MustParse(account), ID: uuid.NewString(), At: at, PriceID: price, Quantity: quantity}
}

// use counts one event that costs that many micro-dollars.
func (b *books) use(t *testing.T, w *ledger.UsageWriter, account string, micros int64) {
	t.Helper()
	event := b.usage(account, b.aMicroADollar(t), micros, time.Now())
	refused, err := w.Record(t.Context(), []models.UsageEvent{event}, known(t, b.Ledger))
	done(t, err)
	if len(refused) > 0 {
		t.Fatalf("refused: %v", refused)
	}
}

// aMicroADollar is the price of a SKU of which a unit costs one micro-dollar.
func (b *books) aMicroADollar(t *testing.T) int32 {
	t.Helper()
	prices, err := b.Prices(t.Context())
	done(t, err)
	for _, p := range prices {
		if p.SKU == "test" {
			return p.ID
		}
	}
	p, err := b.AddPrice(t.Context(), models.Price{SKU: "test", Unit: "token", PicosPerUnit: 1_000_000, FromAt: noon.AddDate(-1, 0, 0)}, audit(b.account(t), "test"))
	done(t, err)
	return p.ID
}

// R5, R53: free grants pay before purchases, of each the oldest first, and every
// entry names the grant that it takes from.
func TestUsageTakesTheOldestGrantFirst(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.credited(t, account, 500)
	b.grant(t, account, dollars(1))
	b.credited(t, account, 600)
	b.grant(t, account, dollars(2))
	w := ledger.NewUsageWriter(b.Ledger, billing.TierRules(), time.Now)
	t.Cleanup(w.Close)
	left := func() string {
		rows, _ := b.db.Query(t.Context(), `
			select format('%s %s of %s', book, left_micros / 1000000, granted_micros / 1000000) from credit_grants where account_id = $1 order by id`, account)
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		done(t, err)
		return fmt.Sprint(all)
	}
	for _, step := range []struct {
		dollars int64
		want    string
	}{
		{0, "[purchased 5 of 5 free 1 of 1 purchased 6 of 6 free 2 of 2]"},
		{2, "[purchased 5 of 5 free 0 of 1 purchased 6 of 6 free 1 of 2]"},
		{3, "[purchased 3 of 5 free 0 of 1 purchased 6 of 6 free 0 of 2]"},
		{4, "[purchased 0 of 5 free 0 of 1 purchased 5 of 6 free 0 of 2]"},
		{9, "[purchased 0 of 5 free 0 of 1 purchased 0 of 6 free 0 of 2]"},
	} {
		if step.dollars > 0 {
			b.use(t, w, account, dollars(step.dollars))
		}
		same(t, "what is left", left(), step.want)
	}
	same(t, "accrued", b.balance(t, account).AccruedMicros, dollars(4))
	b.sound(t)
}
