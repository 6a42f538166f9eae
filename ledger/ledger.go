package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// statementTimeout bounds every statement, so that a stuck lock becomes an error
// that is retried and not a worker that hangs.
const statementTimeout = 10 * time.Second

// silence is how long the database may say nothing when it is to answer: longer than
// any statement may take. Then it hangs, and its connection is given up.
const silence = statementTimeout + 5*time.Second

// maxConflictTries bounds how often a transaction that lost to another one is
// run again (F18).
const maxConflictTries = 5

// Ledger is the database of Paystage. It is safe for concurrent use.
type Ledger struct {
	pool *pgxpool.Pool
	// records reads and writes single rows off the hot path, over the same pool.
	records *gorm.DB
}

// Open connects to the database at url with at most maxConns connections. It
// does not wait for the database to answer: Ping does.
func Open(ctx context.Context, url string, maxConns int32) (*Ledger, error) {
	return openBounded(ctx, url, maxConns, silence)
}

func openBounded(ctx context.Context, url string, maxConns int32, silence time.Duration) (*Ledger, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	config.MaxConns = maxConns
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	config.ConnConfig.DialFunc = bounded(config.ConnConfig.DialFunc, silence)
	config.ConnConfig.RuntimeParams["application_name"] = "paystage"
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	config.ConnConfig.RuntimeParams["statement_timeout"] = fmt.Sprint(statementTimeout.Milliseconds())
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	records, err := gorm.Open(
		postgres.New(postgres.Config{Conn: stdlib.OpenDBFromPool(pool)}),
		&gorm.Config{
			Logger:                 logger.Discard,
			DisableAutomaticPing:   true,
			SkipDefaultTransaction: true,
			TranslateError:         false,
		},
	)
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open records: %w", err)
	}
	return &Ledger{pool: pool, records: records}, nil
}

// Close gives the connections back.
func (l *Ledger) Close() { l.pool.Close() }

// Ping says whether the database answers.
func (l *Ledger) Ping(ctx context.Context) error {
	return wrap("ping database", l.pool.Ping(ctx))
}

// one runs a statement that answers one row and maps it onto T by column name.
// A statement that lost to a concurrent one is run again, whole (F18).
func one[T any](ctx context.Context, l *Ledger, operation, sql string, args ...any) (T, error) {
	return conflictsAgain(ctx, func() (T, error) {
		rows, _ := l.pool.Query(ctx, sql, args...) // CollectOneRow reports its error
		row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByNameLax[T])
		return row, wrap(operation, err)
	})
}

// many runs a query and maps its rows onto T by column name.
func many[T any](ctx context.Context, l *Ledger, operation, sql string, args ...any) ([]T, error) {
	rows, _ := l.pool.Query(ctx, sql, args...) // CollectRows reports its error
	all, err := pgx.CollectRows(rows, pgx.RowToStructByNameLax[T])
	return all, wrap(operation, err)
}

// value runs a statement that answers one value.
func value[T any](ctx context.Context, l *Ledger, operation, sql string, args ...any) (T, error) {
	return conflictsAgain(ctx, func() (T, error) {
		rows, _ := l.pool.Query(ctx, sql, args...) // CollectExactlyOneRow reports its error
		v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
		return v, wrap(operation, err)
	})
}

// exec runs a statement and answers how many rows it changed.
func (l *Ledger) exec(ctx context.Context, operation, sql string, args ...any) (int64, error) {
	return conflictsAgain(ctx, func() (int64, error) {
		tag, err := l.pool.Exec(ctx, sql, args...)
		return tag.RowsAffected(), wrap(operation, err)
	})
}

// snapshot runs queries that all see the database as it is at the first of them.
func (l *Ledger) snapshot(ctx context.Context, operation string, read func(tx pgx.Tx) error) error {
	return wrap(operation, pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, read))
}

// oneIn is one in a transaction.
func oneIn[T any](ctx context.Context, tx pgx.Tx, sql string, args ...any) (T, error) {
	rows, _ := tx.Query(ctx, sql, args...) // CollectExactlyOneRow reports its error
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByNameLax[T])
}

// manyIn is many in a transaction.
func manyIn[T any](ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]T, error) {
	rows, _ := tx.Query(ctx, sql, args...) // CollectRows reports its error
	return pgx.CollectRows(rows, pgx.RowToStructByNameLax[T])
}

func conflictsAgain[T any](ctx context.Context, run func() (T, error)) (T, error) {
	for try := 1; ; try++ {
		v, err := run()
		if !isConflict(err) || try == maxConflictTries || ctx.Err() != nil {
			return v, err
		}
	}
}
