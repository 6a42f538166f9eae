package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// What callers tell apart. Everything else is an outage or a defect.
var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrIdempotencyMismatch: the key was used before for something else (R19).
	ErrIdempotencyMismatch = errors.New("idempotency key was used for something else")
	// ErrInsufficientCredits: the posting would take credits below zero (R51).
	ErrInsufficientCredits = errors.New("not enough credits")
	// ErrNotAsRecorded: the bank's answer contradicts what is settled of the
	// purchase. No repeat will help; a person must look.
	ErrNotAsRecorded = errors.New("contradicts what is settled")
	// ErrUnavailable: the database cannot be reached.
	ErrUnavailable = errors.New("database unavailable")
)

// statementTimeout bounds every statement, so that a stuck lock becomes an error
// that is retried and not a worker that hangs.
const statementTimeout = 10 * time.Second

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
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	config.MaxConns = maxConns
	config.ConnConfig.ConnectTimeout = 5 * time.Second
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
	if err := l.pool.Ping(ctx); err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	return nil
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

// isConflict: a serialization failure or a deadlock, after which the same
// transaction may succeed.
func isConflict(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// noDataFound is what a function of the schema says of an id that there is not.
const noDataFound = "P0002"

// meanings translates the constraints that callers can run into.
var meanings = map[string]error{
	"ledger_key_same_contents":         ErrIdempotencyMismatch,
	"free_credits_never_negative":      ErrInsufficientCredits,
	"purchased_credits_never_negative": ErrInsufficientCredits,
	"purchases_approved_is_captured":   ErrNotAsRecorded,
	"purchases_settled_stays":          ErrNotAsRecorded,
	"purchases_end_once":               ErrNotAsRecorded,
	"creations_key_same_contents":      ErrIdempotencyMismatch,
	"usage_prices_are_newest":          ErrPricesChanged,
	"usage_needs_care":                 errNeedsCare,
}

func wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, pgx.ErrNoRows) || errors.Is(err, gorm.ErrRecordNotFound) {
		return fmt.Errorf("%s: %w", operation, ErrNotFound)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		if pg.Code == noDataFound {
			return fmt.Errorf("%s: %w", operation, ErrNotFound)
		}
		if meaning, ok := meanings[pg.ConstraintName]; ok {
			return fmt.Errorf("%s: %w: %w", operation, meaning, err)
		}
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return fmt.Errorf("%s: %w: %w", operation, ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", operation, err)
}
