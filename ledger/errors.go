package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
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
	// ErrLimitIsFixed: support may set no limit for an account of that tier (R7).
	ErrLimitIsFixed = errors.New("limit is fixed")
	// ErrNoAddress: a tax number has no billing address to stand with (R41).
	ErrNoAddress = errors.New("no billing address")
	// ErrInvoiceNotOwed: the invoice is void or written off, and nothing is paid on it.
	ErrInvoiceNotOwed = errors.New("invoice is not owed")
	// ErrInvoicePaid: the invoice is paid, and what is settled stays.
	ErrInvoicePaid = errors.New("invoice is paid")
	// ErrPaymentInFlight: a payment of the invoice has not ended, and what becomes of
	// the invoice hangs on it.
	ErrPaymentInFlight = errors.New("a payment is in flight")
	// ErrAddressMismatch: the account had this card with another address (R41).
	ErrAddressMismatch = errors.New("card is known with another address")
	// ErrCardSetupEnded: the verification of the card is over.
	ErrCardSetupEnded = errors.New("card setup has ended")
	// ErrUnavailable: the database cannot be reached, or went away before its answer.
	// What was asked for may have been done.
	ErrUnavailable = errors.New("database unavailable")
)

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
	"account_terms_limit_is_fixed":     ErrLimitIsFixed,
	"invoices_only_move_on":            ErrNotAsRecorded,
	"monthly_period_is_over":           ErrMonthNotOver,
	"monthly_periods_in_order":         ErrMonthsInOrder,
	"usage_prices_are_newest":          ErrPricesChanged,
	"usage_needs_care":                 errNeedsCare,
	"invoice_payments_whole_capture":   ErrNotAsRecorded,
	"invoice_payments_settled_stays":   ErrNotAsRecorded,
	"invoice_payments_end_once":        ErrNotAsRecorded,
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
	if isUnavailable(err) {
		return fmt.Errorf("%s: %w: %w", operation, ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// goingOrComing are PostgreSQL's own words for not being there just now: it is
// shutting down, has crashed, starts up, or takes no more connections. The class 08
// is of broken connections.
var goingOrComing = []string{"57P01", "57P02", "57P03", "53300"}

// isUnavailable tells a database that is away from one that refuses. A caller whose
// own time is over is neither.
func isUnavailable(err error) bool {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return true
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return slices.Contains(goingOrComing, pg.Code) || strings.HasPrefix(pg.Code, "08")
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}
