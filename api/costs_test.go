package api_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// used counts usage of SKUs, one event each.
func (f *front) used(account string, quantities map[string]int64) {
	f.t.Helper()
	prices, err := f.store.Prices(f.t.Context())
	done(f.t, err)
	list := billing.NewPriceList(prices)
	var events []models.UsageEvent
	for sku, quantity := range quantities {
		price, ok := list.InForce(sku, f.clock.now())
		if !ok {
			f.t.Fatalf("%s has no price", sku)
		}
		events = append(events, models.UsageEvent{
			AccountID: uuid.MustParse(account), ID: uuid.NewString(), At: f.clock.now(), PriceID: price.ID, Quantity: quantity,
		})
	}
	w := ledger.NewUsageWriter(f.store, billing.TierRules(), f.clock.now)
	defer w.Close()
	refused, err := w.Record(f.t.Context(), events, list.Newest())
	done(f.t, err)
	if len(refused) > 0 {
		f.t.Fatalf("refused: %v", refused)
	}
}

func (f *front) costs(account, query string) answer {
	f.t.Helper()
	return f.call(models.RoleSupport, "GET", "/v1/accounts/"+account+"/costs"+query, nil)
}

// R47: what a month cost, by part, SKU and model, with purchases apart.
func TestCosts(t *testing.T) {
	f := open(t)
	account := f.bought(2500)
	f.used(account, map[string]int64{
		"meta-llama/llama-3.3-70b.input": 100, "meta-llama/llama-3.3-70b.output": 101, "black-forest-labs/flux.1-schnell": 2,
	})
	f.deploy(account, endpointBody("mine")).into(201, &api.Deployment{})
	f.call(models.RoleCheckout, "POST", "/v1/accounts/"+account+"/jobs", object{"kind": "evaluation", "name": "eval"}).into(201, &api.Job{})
	var c api.Costs
	f.costs(account, "").into(200, &c)
	// 88 and 88.88 micros of tokens are 176 whole ones.
	if c.TotalMicros != 2_000_000+5_400+176 || c.Usage.TotalMicros != 5_576 || c.Deployments.TotalMicros != 1_000_000 || c.Jobs.TotalMicros != 1_000_000 {
		t.Errorf("totals: %+v", c)
	}
	if len(c.Models) != 2 || c.Models[0].Model != "black-forest-labs/flux.1-schnell" || c.Models[0].Micros != 5_400 ||
		c.Models[1].Model != "meta-llama/llama-3.3-70b" || c.Models[1].Micros != 176 || c.Models[1].Events != 2 {
		t.Errorf("models: %+v", c.Models)
	}
	if len(c.SKUs) != 5 || len(c.Usage.Lines) != 3 || len(c.Deployments.Lines) != 1 || c.Deployments.Lines[0].Name != "mine" || len(c.Jobs.Lines) != 1 {
		t.Errorf("lines: %+v", c)
	}
	if c.Purchases.TotalMicros != 25_000_000 || c.Purchases.Count != 1 || len(c.Purchases.Newest) != 1 || c.Next != nil {
		t.Errorf("purchases: %+v, next %v", c.Purchases, c.Next)
	}
	now := f.clock.now()
	if c.Period != billing.PeriodText(now) || c.AccountID != account {
		t.Errorf("it is of %s in %s", c.AccountID, c.Period)
	}
	var before api.Costs
	f.costs(account, "?period="+billing.PeriodText(billing.PeriodOf(now).Add(-time.Hour))).into(200, &before)
	if before.TotalMicros != 0 || before.Usage.Lines == nil || before.Models == nil || before.Purchases.Newest == nil {
		t.Errorf("the month before: %+v", before)
	}
	for _, period := range []string{"october", "2026-13", "2026-10-01", "0001-01"} {
		f.costs(account, "?period="+period).refused(422, "invalid_period")
	}
	f.costs(account, "?from=-1").refused(422, "invalid_request")
	f.costs(uuid.NewString(), "").refused(404, "not_found")
}

// More lines than an answer takes are on the next one.
func TestCostsHavePages(t *testing.T) {
	f := open(t)
	account := f.bought(2500)
	_, err := f.db.Exec(t.Context(), `
		insert into usage_totals (account_id, invoice_period, period, price_id, resource, events, quantity, picos)
		select $1, $2, $2, (select id from prices where sku = 'qwen/qwen2.5-7b.input'), n, 1, 1, 300001 from generate_series(1, 1500) n`,
		account, billing.PeriodOf(f.clock.now()))
	done(t, err)
	var first, second api.Costs
	f.costs(account, "").into(200, &first)
	f.costs(account, "?from=1000").into(200, &second)
	var sum int64
	for _, line := range append(first.Usage.Lines, second.Usage.Lines...) {
		sum += line.Micros
	}
	const want = 1500 * 300_001 / 1_000_000
	if first.Next == nil || *first.Next != 1000 || second.Next != nil || len(second.Usage.Lines) != 500 || sum != want ||
		first.TotalMicros != want || second.TotalMicros != want {
		t.Errorf("%d and %d lines sum to %d, totals %d and %d, next %v and %v", len(first.Usage.Lines), len(second.Usage.Lines), sum,
			first.TotalMicros, second.TotalMicros, first.Next, second.Next)
	}
}
