package ledger

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// F18: only what may succeed the next time is run again, and not without end.
func TestF18ConflictsAreRunAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code     string
		failures int
		runs     int
		fails    bool
	}{
		"SerializationFailureOnce": {"40001", 1, 2, false},
		"DeadlockOnce":             {"40P01", 1, 2, false},
		"UntilTheLastTry":          {"40001", maxConflictTries - 1, maxConflictTries, false},
		"TooOften":                 {"40P01", maxConflictTries, maxConflictTries, true},
		"Never":                    {"", 0, 1, false},
		"UniqueViolation":          {"23505", 1, 1, true},
		"ConnectionLost":           {"08006", 1, 1, true},
		"StatementTimeout":         {"57014", 1, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			runs := 0
			answer, err := conflictsAgain(t.Context(), func() (string, error) {
				if runs++; runs <= c.failures {
					return "", wrap("step", fmt.Errorf("inner: %w", &pgconn.PgError{Code: c.code}))
				}
				return "done", nil
			})
			if runs != c.runs || (err != nil) != c.fails || (err == nil) != (answer == "done") {
				t.Errorf("%d runs, %q, %v", runs, answer, err)
			}
		})
	}
}

func TestF18NothingIsRunAgainWhenTheCallerHasGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	runs := 0
	_, err := conflictsAgain(ctx, func() (int, error) { runs++; return 0, &pgconn.PgError{Code: "40001"} })
	if runs != 1 || !isConflict(err) || isConflict(errors.New("another")) || isConflict(nil) {
		t.Errorf("%d runs, %v", runs, err)
	}
}
