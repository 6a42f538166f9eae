package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/paystage/paystage/models"
)

// ErrPricesChanged: there are newer prices than those that the batch was priced
// by. Read them and price it again.
var ErrPricesChanged = errors.New("there are newer prices")

// Prices reads every price.
func (l *Ledger) Prices(ctx context.Context) ([]models.Price, error) {
	return many[models.Price](ctx, l, "read prices", `select id, sku, unit, picos_per_unit, from_at from prices order by id`)
}

// AddPrice stores a new price of a SKU, which begins in the future unless it is the
// SKU's first, with the audit entry that says who did it.
func (l *Ledger) AddPrice(ctx context.Context, p models.Price, audit models.AuditEntry) (models.Price, error) {
	return one[models.Price](ctx, l, "add price", `
		with audited as (`+insertAudit+`)
		insert into prices (sku, unit, picos_per_unit, from_at) values ($9, $10, $11, $12)
		returning id, sku, unit, picos_per_unit, from_at`, append(auditArgs(audit), p.SKU, p.Unit, p.PicosPerUnit, p.FromAt)...)
}

// Refused is an event of a batch that was not counted.
type Refused struct {
	// Place is the event's place in the batch, from 0.
	Place int
	// Reason is one of models.Usage...
	Reason string
}

// errNeedsCare: a report may have been counted in another month.
var errNeedsCare = errors.New("counted in another month")

// recordUsage counts the events of one batch in one statement, and answers those
// that it did not count.
func (l *Ledger) recordUsage(ctx context.Context, events []models.UsageEvent, known int32, rules models.TierRules, at time.Time) ([]Refused, error) {
	a := usageArrays(events)
	record := func(careful bool) ([]Refused, error) {
		return conflictsAgain(ctx, func() ([]Refused, error) {
			return many[Refused](ctx, l, "record usage", `
				select (place - 1)::integer as place, reason from usage_record($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
				a.accounts, a.ids, a.ats, a.prices, a.quantities, a.resources, known, careful, rules.Thresholds, rules.Limits, at)
		})
	}
	refused, err := record(false)
	if errors.Is(err, errNeedsCare) {
		return record(true)
	}
	return refused, err
}

// usageColumns are events turned on their side, as a statement takes them.
type usageColumns struct {
	accounts   [][16]byte
	ids        []string
	ats        []time.Time
	prices     []int32
	quantities []int64
	resources  []*string
}

func usageArrays(events []models.UsageEvent) usageColumns {
	n := len(events)
	a := usageColumns{
		accounts: make([][16]byte, n), ids: make([]string, n), ats: make([]time.Time, n), prices: make([]int32, n),
		quantities: make([]int64, n), resources: make([]*string, n),
	}
	for i := range events {
		e := &events[i]
		a.accounts[i], a.ids[i], a.ats[i], a.prices[i], a.quantities[i] = e.AccountID, e.ID, e.At, e.PriceID, e.Quantity
		if e.Resource != "" {
			a.resources[i] = &e.Resource
		}
	}
	return a
}

// EnsureUsagePartitions makes the months' partitions ahead, and says how many were
// missing. It makes those that late reports may still fall into as well.
func (l *Ledger) EnsureUsagePartitions(ctx context.Context, from time.Time, months int) (int, error) {
	return value[int](ctx, l, "make usage partitions", `select usage_partitions_ensure($1, $2)`, from, months)
}
