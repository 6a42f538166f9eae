package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/models"
)

var (
	// ErrMonthNotOver: a month is closed when it is over.
	ErrMonthNotOver = errors.New("the month is not over")
	// ErrMonthsInOrder: a month before that one is not closed yet.
	ErrMonthsInOrder = errors.New("a month before it is not closed")
)

// pageTimeout bounds the statement that closes a page: it writes tens of thousands
// of rows.
const pageTimeout = `set local statement_timeout = '60s'`

const monthlyClose = `
	select c.period, c.round, c.started_at, c.closed_at, c.accounts, c.pages,
	       coalesce(sum(p.accounts) filter (where p.round = c.round), 0)::bigint as accounts_done,
	       count(*) filter (where p.round = c.round and p.closed_at is not null)  as pages_done,
	       coalesce(min(p.page) filter (where p.round = c.round and p.closed_at is null), c.pages) as first_open,
	       coalesce(sum(p.invoices), 0)::bigint as invoices, coalesce(sum(p.owing), 0)::bigint as owing,
	       coalesce(sum(p.usage_micros), 0)::bigint as usage_micros, coalesce(sum(p.due_micros), 0)::bigint as due_micros
	  from monthly_closes c left join monthly_close_pages p on p.period = c.period
	 where c.period = $1
	 group by c.period`

// MonthlyClose reads the closing of the month that begins at period; ErrNotFound if
// it has not begun.
func (l *Ledger) MonthlyClose(ctx context.Context, period time.Time) (models.MonthlyClose, error) {
	return one[models.MonthlyClose](ctx, l, "read monthly close", monthlyClose, period)
}

// BeginMonthlyClose plans the closing of a month in pages of so many accounts, once,
// and answers how far it has come. With again it plans another round when the one
// before is done. ErrMonthNotOver, ErrMonthsInOrder: it can't be closed now.
func (l *Ledger) BeginMonthlyClose(ctx context.Context, period time.Time, again bool, page int64, at time.Time) (models.MonthlyClose, error) {
	_, err := l.exec(ctx, "begin monthly close", `select monthly_close_begin($1, $2, $3, $4)`, period, again, page, at)
	if err != nil {
		return models.MonthlyClose{}, err
	}
	return l.MonthlyClose(ctx, period)
}

// ClosedPage is what the closing of one page did.
type ClosedPage struct {
	Accounts    int64
	Invoices    int64
	Owing       int64
	UsageMicros int64
	DueMicros   int64
}

// CloseMonthlyPage closes a page of a month (R30): it freezes the month for the
// page's accounts and issues their invoices, in one transaction, once. A repeat
// answers what the first did. leastCents is what a charge must reach (R3).
func (l *Ledger) CloseMonthlyPage(ctx context.Context, period time.Time, round, page int, leastCents int64, rules models.TierRules, at time.Time) (ClosedPage, error) {
	return inLongStatement(ctx, l, "close page of a month", func(tx pgx.Tx) (ClosedPage, error) {
		return oneIn[ClosedPage](ctx, tx, `
			select accounts, invoices, owing, usage_micros, due_micros from monthly_close_page($1, $2, $3, $4, $5, $6, $7)`,
			period, round, page, leastCents, rules.Thresholds, rules.Limits, at)
	})
}

// FinishMonthlyClose ends the closing of a month when all of its pages are closed,
// and says whether it has ended.
func (l *Ledger) FinishMonthlyClose(ctx context.Context, period, at time.Time) (bool, error) {
	return value[bool](ctx, l, "finish monthly close", `select monthly_close_finish($1, $2)`, period, at)
}

// CloseAccountMonth invoices one account alone through a month, and each month before
// that it lacks. It says how many invoices that made.
func (l *Ledger) CloseAccountMonth(ctx context.Context, accountID string, period time.Time, leastCents int64, rules models.TierRules, at time.Time) (int64, error) {
	return inLongStatement(ctx, l, "close month of account", func(tx pgx.Tx) (made int64, err error) {
		err = tx.QueryRow(ctx, `select monthly_close_account($1, $2, $3, $4, $5, $6)`,
			accountID, period, leastCents, rules.Thresholds, rules.Limits, at).Scan(&made)
		return made, err
	})
}

func inLongStatement[T any](ctx context.Context, l *Ledger, operation string, run func(tx pgx.Tx) (T, error)) (T, error) {
	return conflictsAgain(ctx, func() (out T, err error) {
		err = pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, pageTimeout); err != nil {
				return err
			}
			out, err = run(tx)
			return err
		})
		return out, wrap(operation, err)
	})
}

// OpenMonths lists the months up to until that are not closed, oldest first.
func (l *Ledger) OpenMonths(ctx context.Context, until time.Time) ([]time.Time, error) {
	type month struct{ Period time.Time }
	months, err := many[month](ctx, l, "list open months", `select period from monthly_open_periods($1) as period`, until)
	periods := make([]time.Time, len(months))
	for i, m := range months {
		periods[i] = m.Period
	}
	return periods, err
}
