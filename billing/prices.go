package billing

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/paystage/paystage/models"
)

const (
	// UsageOldest is how old usage may be when it is reported. What is older is
	// refused, so that no repeat can count once its original has left the database.
	UsageOldest = 60 * 24 * time.Hour
	// UsageAhead allows for the difference between the reporter's clock and ours.
	UsageAhead = 5 * time.Minute
	// maxEventPicos is the most that one event may cost: $100,000.
	maxEventPicos = 100_000_000_000_000_000
	picosPerMicro = 1_000_000
)

// The codes of what can be wrong with a report of usage (R11).
const (
	CodeUnknownSKU       = "unknown_sku"
	CodeNegativeQuantity = "negative_quantity"
	CodeUsageTooLarge    = "usage_too_large"
	CodeUsageTooOld      = "usage_too_old"
	CodeUsageInTheFuture = "usage_in_the_future"
)

// PriceList is every price, past and future. It never changes.
type PriceList struct {
	// bySKU has the prices of each SKU, the latest first.
	bySKU  map[string][]models.Price
	newest int32
}

// NewPriceList orders prices.
func NewPriceList(prices []models.Price) PriceList {
	list := PriceList{bySKU: map[string][]models.Price{}}
	for _, p := range prices {
		list.bySKU[p.SKU] = append(list.bySKU[p.SKU], p)
		list.newest = max(list.newest, p.ID)
	}
	for _, versions := range list.bySKU {
		slices.SortFunc(versions, func(a, b models.Price) int { return b.FromAt.Compare(a.FromAt) })
	}
	return list
}

// Newest is the id of the newest price in the list.
func (l PriceList) Newest() int32 { return l.newest }

// InForce gives the price of a SKU at a time (R46), false if it had none then.
func (l PriceList) InForce(sku string, at time.Time) (models.Price, bool) {
	for _, p := range l.bySKU[sku] {
		if !at.Before(p.FromAt) {
			return p, true
		}
	}
	return models.Price{}, false
}

// From lists the prices in force at a time and those to come, by SKU and time.
func (l PriceList) From(at time.Time) []models.Price {
	var prices []models.Price
	for _, versions := range l.bySKU {
		for _, p := range versions {
			prices = append(prices, p)
			if !p.FromAt.After(at) {
				break
			}
		}
	}
	slices.SortFunc(prices, func(a, b models.Price) int {
		return cmp.Or(strings.Compare(a.SKU, b.SKU), a.FromAt.Compare(b.FromAt))
	})
	return prices
}

// PriceUsage gives the price of a report of usage, or the code of what is wrong
// with the report (R11).
func (l PriceList) PriceUsage(sku string, quantity int64, at, now time.Time) (price models.Price, code string) {
	switch {
	case quantity < 0:
		return price, CodeNegativeQuantity
	case at.After(now.Add(UsageAhead)):
		return price, CodeUsageInTheFuture
	case at.Before(now.Add(-UsageOldest)):
		return price, CodeUsageTooOld
	}
	price, ok := l.InForce(sku, at)
	if !ok {
		return price, CodeUnknownSKU
	}
	if hi, lo := bits.Mul64(uint64(quantity), uint64(price.PicosPerUnit)); hi != 0 || lo > maxEventPicos {
		return price, CodeUsageTooLarge
	}
	return price, ""
}

// MicrosText writes pico-dollars as micro-dollars, a decimal without an exponent.
func MicrosText(picos int64) string {
	text := fmt.Sprintf("%d.%06d", picos/picosPerMicro, picos%picosPerMicro)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}
