package ledger_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

func (b *books) usage(t tb, account string, price int32, quantity int64, at time.Time) models.UsageEvent {
	return models.UsageEvent{AccountID: uuid.MustParse(account), ID: uuid.NewString(), At: at, PriceID: price, Quantity: quantity}
}

func TestUsageIsPaidInOrder(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.credited(t, account, 500)
	b.grant(t, account, dollars(2))
	w := ledger.NewUsageWriter(b.Ledger, billing.TierRules(), time.Now)
	t.Cleanup(w.Close)
	prices, err := b.Prices(t.Context())
	done(t, err)
	known := billing.NewPriceList(prices).Newest()
	e := b.usage(t, account, 14, 3_000_001, time.Now())
	refused, err := w.Record(t.Context(), []models.UsageEvent{e, e}, known)
	done(t, err)
	t.Log(refused)
	t.Log(b.balance(t, account))
	refused, err = w.Record(t.Context(), []models.UsageEvent{e}, known)
	done(t, err)
	t.Log(refused)
	e = b.usage(t, account, 14, 103_000_001, time.Now())
	refused, err = w.Record(t.Context(), []models.UsageEvent{e}, known)
	done(t, err)
	t.Log(refused, b.balance(t, account), b.entitlement(t, account))
	e = b.usage(t, account, 14, 103_000_001, time.Now())
	refused, err = w.Record(t.Context(), []models.UsageEvent{e}, known)
	done(t, err)
	t.Log(refused, b.balance(t, account), b.entitlement(t, account))
	b.sound(t)
}
