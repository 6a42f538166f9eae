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

const monthlyCloses = `
	select c.period, c.round, c.started_at, greatest(c.started_at, max(p.closed_at)) as newest_at, c.closed_at, c.accounts, c.pages,
	       coalesce(sum(p.accounts) filter (where p.round = c.round), 0)::bigint as accounts_done,
	       count(*) filter (where p.round = c.round and p.closed_at is not null)  as pages_done,
	       coalesce(min(p.page) filter (where p.round = c.round and p.closed_at is null), c.pages) as first_open,
	       coalesce(sum(p.invoices), 0)::bigint as invoices, coalesce(sum(p.owing), 0)::bigint as owing,
	       coalesce(sum(p.usage_micros), 0)::bigint as usage_micros, coalesce(sum(p.due_micros), 0)::bigint as due_micros
	  from monthly_closes c left join monthly_close_pages p on p.period = c.period
	 group by c.period`

// MonthlyClose reads the closing of the month that begins at period; ErrNotFound if
// it has not begun.
func (l *Ledger) MonthlyClose(ctx context.Context, period time.Time) (models.MonthlyClose, error) {
	return one[models.MonthlyClose](ctx, l, "read monthly close", monthlyCloses+` having c.period = $1`, period)
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

// OverdueMonths lists the months up to until that are not closed and are to be,
// oldest first; none while the months are held.
func (l *Ledger) OverdueMonths(ctx context.Context, until time.Time) ([]time.Time, error) {
	held, err := l.MonthsHeld(ctx)
	if err != nil || held {
		return nil, err
	}
	return l.OpenMonths(ctx, until)
}

// MonthsHeld says whether no month is to be closed by itself.
func (l *Ledger) MonthsHeld(ctx context.Context) (bool, error) {
	return value[bool](ctx, l, "read whether months are held", `select held from monthly_control`)
}

// HoldMonths holds the closing of months by itself, or lets it go on, with the audit
// entry of who said so.
func (l *Ledger) HoldMonths(ctx context.Context, held bool, audit models.AuditEntry) error {
	args := append(auditArgs(audit), held)
	_, err := l.exec(ctx, "hold months", `
		with audited as (`+insertAudit+`)
		update monthly_control set held = $9`, args...)
	return err
}

// RunMonth plans the closing of a month as BeginMonthlyClose does, with the audit
// entry of who asked for it.
func (l *Ledger) RunMonth(ctx context.Context, period time.Time, again bool, page int64, audit models.AuditEntry) (models.MonthlyClose, error) {
	_, err := inLongStatement(ctx, l, "run month", func(tx pgx.Tx) (struct{}, error) {
		if _, err := tx.Exec(ctx, insertAudit, auditArgs(audit)...); err != nil {
			return struct{}{}, err
		}
		_, err := tx.Exec(ctx, `select monthly_close_begin($1, $2, $3, $4)`, period, again, page, audit.At)
		return struct{}{}, err
	})
	if err != nil {
		return models.MonthlyClose{}, err
	}
	return l.MonthlyClose(ctx, period)
}

// RunAccountMonth closes a month for one account as CloseAccountMonth does, with the
// audit entry of who asked for it.
func (l *Ledger) RunAccountMonth(ctx context.Context, accountID string, period time.Time, leastCents int64, rules models.TierRules, audit models.AuditEntry) (int64, error) {
	return inLongStatement(ctx, l, "run month of account", func(tx pgx.Tx) (made int64, err error) {
		if _, err := tx.Exec(ctx, insertAudit, auditArgs(audit)...); err != nil {
			return 0, err
		}
		err = tx.QueryRow(ctx, `select monthly_close_account($1, $2, $3, $4, $5, $6)`,
			accountID, period, leastCents, rules.Thresholds, rules.Limits, audit.At).Scan(&made)
		return made, err
	})
}

// MonthlyCloses lists the newest months whose closing has begun, newest first.
func (l *Ledger) MonthlyCloses(ctx context.Context) ([]models.MonthlyClose, error) {
	return many[models.MonthlyClose](ctx, l, "list monthly closes", monthlyCloses+` order by c.period desc limit 60`)
}

// SweepLateMonths raises an alert for each month up to until that is not closed, and
// resolves those of months that are. It says how many are new.
func (l *Ledger) SweepLateMonths(ctx context.Context, until, at time.Time) (int64, error) {
	return l.exec(ctx, "sweep late months", `
		with open as (select 'month/' || to_char(period, 'YYYY-MM') as subject from monthly_open_periods($1) as period),
		resolved as (
			update alerts set resolved_at = $2
			 where kind = $3 and resolved_at is null and subject not in (select subject from open))
		insert into alerts (kind, subject, detail, raised_at)
		select $3, subject, 'The month is to be billed and is not closed. See "starter monthly show" and "starter schedule show".', $2
		  from open
		on conflict (kind, subject) where resolved_at is null do nothing`, until, at, models.AlertMonthNotClosed)
}
