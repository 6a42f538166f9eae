package api

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/paystage/paystage/ledger"
)

const (
	// lookEvery is how often the purchases and invoices that somebody waits for are looked at.
	// One query serves all who wait, so this costs the same however many they are.
	lookEvery = 10 * time.Millisecond
	// maxWatchers bounds how many requests may wait at once.
	maxWatchers = 10_000
	// afterTrouble is the pause after the database could not be read.
	afterTrouble = time.Second
)

// watch tells waiting requests when their purchase or invoice changes. It asks the database
// rather than being told by it: a notification takes a lock over all commits, and
// is lost with its connection.
type watch struct {
	store *ledger.Ledger
	log   *slog.Logger
	// closing ends when the front door does; nobody waits longer.
	closing <-chan struct{}

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	arrived  chan struct{}
}

// watcher waits for one purchase, or the collection of one invoice, to go past a
// revision.
type watcher struct {
	id       string
	revision int64
	changed  chan struct{}
}

func newWatch(ctx context.Context, store *ledger.Ledger, log *slog.Logger) *watch {
	return &watch{store: store, log: log, closing: ctx.Done(), watchers: map[*watcher]struct{}{}, arrived: make(chan struct{}, 1)}
}

// next waits until the purchase or invoice has a revision newer than the one given, or ctx
// or the front door ends. It says whether there is one. A no before ctx has ended
// turns the request away: the front door is closing, or too many wait at once.
func (w *watch) next(ctx context.Context, id string, revision int64) bool {
	me := &watcher{id: id, revision: revision, changed: make(chan struct{})}
	w.mu.Lock()
	if len(w.watchers) >= maxWatchers {
		w.mu.Unlock()
		return false
	}
	w.watchers[me] = struct{}{}
	w.mu.Unlock()
	select {
	case w.arrived <- struct{}{}:
	default:
	}
	select {
	case <-me.changed:
		return true
	case <-ctx.Done():
	case <-w.closing:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.watchers, me)
	return false
}

// run looks after the watchers until ctx ends. Without any it sleeps.
func (w *watch) run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		ids := w.watched()
		if len(ids) == 0 {
			select {
			case <-ctx.Done():
			case <-w.arrived:
			}
			continue
		}
		revisions, err := w.store.Revisions(ctx, ids)
		w.tell(revisions)
		if err != nil && ctx.Err() == nil {
			w.log.Warn("waiting requests not served", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(afterTrouble):
			}
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func (w *watch) watched() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := make([]string, 0, len(w.watchers))
	for watcher := range w.watchers {
		ids = append(ids, watcher.id)
	}
	return ids
}

func (w *watch) tell(revisions []ledger.Revision) {
	newest := make(map[string]int64, len(revisions))
	for _, r := range revisions {
		newest[r.ID] = r.Revision
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for watcher := range w.watchers {
		if newest[watcher.id] > watcher.revision {
			close(watcher.changed)
			delete(w.watchers, watcher)
		}
	}
}
