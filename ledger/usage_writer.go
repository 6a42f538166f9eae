package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/paystage/paystage/models"
)

const (
	// usageCommits is how many commits of usage are under way at once: while one
	// waits for the disk the other works.
	usageCommits = 2
	// usageCommit bounds the events of one commit. A batch is never cut.
	usageCommit = 8192
	// usageWaiting bounds the batches that wait for a commit; more callers wait.
	usageWaiting = 256
	// usageTimeout bounds one commit.
	usageTimeout = 15 * time.Second
)

// UsageWriter counts usage. Batches that come together share a commit, so that a
// hot account is as fast as many; each caller gets its own answer, and only after
// the commit.
type UsageWriter struct {
	ledger *Ledger
	rules  models.TierRules
	now    func() time.Time
	queue  chan *usageBatch
	// closed says that no more batches are taken, ended that none is under way.
	closed chan struct{}
	ended  chan struct{}
	done   sync.WaitGroup
}

// usageBatch is what one caller waits for.
type usageBatch struct {
	events  []models.UsageEvent
	known   int32
	refused []Refused
	err     error
	done    chan struct{}
}

// NewUsageWriter starts a writer. Close it.
func NewUsageWriter(l *Ledger, rules models.TierRules, now func() time.Time) *UsageWriter {
	w := &UsageWriter{ledger: l, rules: rules, now: now, queue: make(chan *usageBatch, usageWaiting), closed: make(chan struct{}), ended: make(chan struct{})}
	for range usageCommits {
		w.done.Go(w.run)
	}
	return w
}

// Close ends the writer. Batches under way are still answered.
func (w *UsageWriter) Close() {
	close(w.closed)
	w.done.Wait()
	close(w.ended)
}

// Record counts a batch of events that were priced by the prices up to known, and
// answers those that were not counted, by their places. When it answers no error
// the rest is committed; after an error the same batch may be sent again, whatever
// became of it: an event counts once (R11).
func (w *UsageWriter) Record(ctx context.Context, events []models.UsageEvent, known int32) ([]Refused, error) {
	if len(events) == 0 {
		return nil, nil
	}
	batch := &usageBatch{events: events, known: known, done: make(chan struct{})}
	select {
	case w.queue <- batch:
	case <-w.closed:
		return nil, fmt.Errorf("record usage: %w", ErrUnavailable)
	case <-ctx.Done():
		return nil, fmt.Errorf("record usage: %w", ctx.Err())
	}
	select {
	case <-batch.done:
		return batch.refused, batch.err
	case <-w.ended:
		return nil, fmt.Errorf("record usage: %w", ErrUnavailable)
	case <-ctx.Done():
		return nil, fmt.Errorf("record usage: %w", ctx.Err())
	}
}

func (w *UsageWriter) run() {
	for {
		select {
		case first := <-w.queue:
			w.commit(w.together(first))
		case <-w.closed:
			select {
			case last := <-w.queue:
				w.commit(w.together(last))
			default:
				return
			}
		}
	}
}

// together is the first batch and those that wait behind it, as many as one commit
// takes.
func (w *UsageWriter) together(first *usageBatch) []*usageBatch {
	batches, events := []*usageBatch{first}, len(first.events)
	for events < usageCommit {
		select {
		case next := <-w.queue:
			batches = append(batches, next)
			events += len(next.events)
		default:
			return batches
		}
	}
	return batches
}

// commit counts batches together. If the database refuses them each is tried
// alone, so that one costs no other its answer. After any other failure nobody
// knows what was committed, and the callers find out by sending theirs again.
func (w *UsageWriter) commit(batches []*usageBatch) {
	ctx, cancel := context.WithTimeout(context.Background(), usageTimeout)
	defer cancel()
	err := w.record(ctx, batches)
	var refused *pgconn.PgError
	for _, b := range batches {
		b.err = err
		if len(batches) > 1 && (errors.As(err, &refused) || errors.Is(err, errMixedPrices)) {
			b.err = w.record(ctx, []*usageBatch{b})
		}
		close(b.done)
	}
}

// errMixedPrices: batches that were priced by different lists do not go together.
var errMixedPrices = errors.New("priced by different prices")

// eventKey is what an event counts once by.
type eventKey struct {
	account [16]byte
	id      string
}

// record counts batches in one statement and gives each what was refused of it.
// The first event of an id stands for its repeats in the same commit.
func (w *UsageWriter) record(ctx context.Context, batches []*usageBatch) error {
	type place struct{ batch, event int }
	var events []models.UsageEvent
	var places []place
	first := map[eventKey]int{}
	repeats := map[place]int{}
	for b, batch := range batches {
		if batch.known != batches[0].known {
			return errMixedPrices
		}
		for i := range batch.events {
			e := &batch.events[i]
			key := eventKey{e.AccountID, e.ID}
			if n, again := first[key]; again {
				repeats[place{b, i}] = n
				continue
			}
			first[key] = len(events)
			events, places = append(events, *e), append(places, place{b, i})
		}
	}
	refused, err := w.ledger.recordUsage(ctx, events, batches[0].known, w.rules, w.now())
	if err != nil {
		return err
	}
	reasons := make(map[int]string, len(refused))
	for _, r := range refused {
		p := places[r.Place]
		reasons[r.Place] = r.Reason
		batches[p.batch].refused = append(batches[p.batch].refused, Refused{Place: p.event, Reason: r.Reason})
	}
	for p, n := range repeats {
		reason := models.UsageDuplicate
		if r, ok := reasons[n]; ok {
			reason = r
		}
		batches[p.batch].refused = append(batches[p.batch].refused, Refused{Place: p.event, Reason: reason})
	}
	return nil
}
