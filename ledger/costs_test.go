package ledger_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// reporter records usage, in words of SKUs.
type reporter struct {
	*books
	writer *ledger.UsageWriter
	list   billing.PriceList
}

func (b *books) reporter(t testing.TB) reporter {
	t.Helper()
	w := ledger.NewUsageWriter(b.Ledger, billing.TierRules(), time.Now)
	t.Cleanup(w.Close)
	prices, err := b.Prices(t.Context())
	done(t, err)
	return reporter{books: b, writer: w, list: billing.NewPriceList(prices)}
}

// report counts one event, and answers its cost in pico-dollars.
func (r reporter) report(t tb, account, sku, resource string, quantity int64, at time.Time) int64 {
	t.Helper()
	price, ok := r.list.InForce(sku, at)
	same(t, sku+" has a price", ok, true)
	e := r.usage(account, price.ID, quantity, at)
	e.Resource = resource
	refused, err := r.writer.Record(t.Context(), []models.UsageEvent{e}, r.list.Newest())
	done(t, err)
	same(t, "refused", len(refused), 0)
	return quantity * price.PicosPerUnit
}

func (b *books) costs(t tb, account string, period time.Time, from, most int) models.Costs {
	t.Helper()
	c, err := b.Costs(t.Context(), account, period, from, most)
	done(t, err)
	return c
}

// Whatever fractions the lines have, and however they are paged, they are whole
// micro-dollars that sum to the exact total rounded down, none a micro-dollar off.
func TestCostLinesSumToTheirTotal(t *testing.T) {
	t.Parallel()
	b := open(t)
	skus := []string{"meta-llama/llama-3.1-8b.input", "baai/bge-large-en-v1.5.embedding", "intfloat/multilingual-e5-large.embedding"}
	r := b.reporter(t)
	rapid.Check(t, func(rt *rapid.T) {
		account := b.customer(rt)
		b.credited(rt, account, 500)
		exact := map[[2]string]*big.Int{}
		total := new(big.Int)
		for range rapid.IntRange(0, 12).Draw(rt, "events") {
			sku, resource := rapid.SampledFrom(skus).Draw(rt, "sku"), rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, "resource")
			picos := big.NewInt(r.report(rt, account, sku, resource, rapid.Int64Range(0, 200).Draw(rt, "quantity"), noon))
			key := [2]string{sku, resource}
			if exact[key] == nil {
				exact[key] = new(big.Int)
			}
			exact[key].Add(exact[key], picos)
			total.Add(total, picos)
		}
		var lines []models.CostLine
		for size := rapid.IntRange(1, 4).Draw(rt, "page"); ; {
			page := b.costs(rt, account, november, len(lines), size).Lines
			lines = append(lines, page...)
			if len(page) < size {
				break
			}
		}
		same(rt, "lines", len(lines), len(exact))
		million, sum, skuSum := big.NewInt(1_000_000), int64(0), int64(0)
		for _, line := range lines {
			sum += line.Micros
			off := new(big.Int).Sub(new(big.Int).Mul(big.NewInt(line.Micros), million), exact[[2]string{line.SKU, line.Resource}])
			if off.CmpAbs(million) >= 0 {
				rt.Errorf("%+v is %s picos off", line, off)
			}
		}
		for _, sku := range b.costs(rt, account, november, 0, 1).SKUs {
			skuSum += sku.Micros
		}
		same(rt, "sum", sum, new(big.Int).Div(total, million).Int64())
		same(rt, "sum of the SKUs", skuSum, sum)
	})
	b.sound(t)
}

// R47: usage, deployments, jobs and purchases are apart, each in the month of its use.
func TestCostsOfAMonth(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, id := b.running(t, 25, h100, november.Add(-time.Hour))
	other, _ := b.running(t, 25, h100, november.Add(-time.Hour))
	b.accrue(t, november.Add(2*time.Hour))
	n := job(account)
	b.create(t, n)
	r := b.reporter(t)
	r.report(t, account, "black-forest-labs/flux.1-dev", "", 3, noon)
	r.report(t, account, "black-forest-labs/flux.1-dev", "", 2, noon)
	r.report(t, account, "black-forest-labs/flux.1-dev", "", 1, november.Add(-time.Minute))
	r.report(t, other, "black-forest-labs/flux.1-dev", "", 9, noon)

	got := b.costs(t, account, november, 0, 100)
	want := []models.CostLine{
		{Part: models.CostDeployments, SKU: h100, Unit: "second", Resource: id, Name: "mine", Quantity: "7200", Micros: 120 * 56_000},
		{Part: models.CostJobs, SKU: "evaluation_job.creation", Unit: "job", Resource: n.ID, Name: "mine", Events: 1, Quantity: "1", Micros: dollars(1)},
		{Part: models.CostUsage, SKU: "black-forest-labs/flux.1-dev", Unit: "image", Events: 2, Quantity: "5", Micros: 125_000},
	}
	same(t, "lines", len(got.Lines), len(want))
	for i := range want {
		same(t, "line", got.Lines[i], want[i])
	}
	same(t, "bought", got.PurchasedMicros, dollars(25))
	same(t, "purchases", got.PurchaseCount, 1)
	same(t, "listed", got.Purchases[0].AmountMicros, dollars(25))

	october := b.costs(t, account, november.AddDate(0, -1, 0), 0, 100)
	want = []models.CostLine{
		{Part: models.CostDeployments, SKU: "dedicated_endpoint.creation", Unit: "job", Resource: id, Name: "mine", Events: 1, Quantity: "1", Micros: dollars(1)},
		{Part: models.CostDeployments, SKU: h100, Unit: "second", Resource: id, Name: "mine", Quantity: "3600", Micros: 60 * 56_000},
		{Part: models.CostUsage, SKU: "black-forest-labs/flux.1-dev", Unit: "image", Events: 1, Quantity: "1", Micros: 25_000},
	}
	same(t, "lines", len(october.Lines), len(want))
	for i := range want {
		same(t, "line", october.Lines[i], want[i])
	}
	same(t, "bought", october.PurchasedMicros, 0)
	empty := b.costs(t, uuid.NewString(), november, 0, 100)
	same(t, "of nobody", len(empty.Lines)+len(empty.SKUs)+len(empty.Purchases), 0)
	b.sound(t)
}
