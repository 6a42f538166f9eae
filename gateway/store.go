package gateway

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"

	"github.com/paystage/paystage/models"
)

// shardCount is how many parts the readers' side of a store has, so that readers
// on many cores seldom meet.
const shardCount = 256

// Store holds the newest entitlement of every account, in memory for reading and
// in a journal on disk for keeping. It is safe for concurrent use. One process at
// a time may have a directory open.
type Store struct {
	directory string
	journal   *journal
	plans     plans

	// shards hold what is on disk. Their locks are held for a look at a map and
	// never while something is written to disk, so no reader waits for that.
	seed   maphash.Seed
	shards [shardCount]shard

	// mu orders the writers. underway is the newest holding per account that is in
	// the journal and perhaps not yet synced, and so not yet shown.
	mu       sync.Mutex
	underway map[string]*holding

	sync syncState
}

type shard struct {
	mu      sync.RWMutex
	visible map[string]*holding
}

// Open opens the store kept in a directory, creating it if needed, and compacts
// its journal. It fails if another process has the directory open, and if the
// journal is damaged anywhere but at its torn end: what was acknowledged would be
// lost, and the gateway might go back to an older version (I10).
func Open(directory string) (*Store, error) {
	s := &Store{directory: directory, seed: maphash.MakeSeed(), underway: map[string]*holding{}}
	for i := range s.shards {
		s.shards[i].visible = map[string]*holding{}
	}
	journal, err := openJournal(directory, s)
	if err != nil {
		return nil, fmt.Errorf("open entitlement store: %w", err)
	}
	s.journal = journal
	if err := s.sync.open(directory, s.Len() == 0); err != nil {
		return nil, errors.Join(fmt.Errorf("open entitlement store: %w", err), journal.close())
	}
	return s, nil
}

// Put takes an entitlement if it is newer than the one held, and returns the
// version held then: that of e, or a higher one (I10). When it returns without
// an error that version is on disk and readers see it. After a failed write the
// journal's end is unknown, so every later Put fails too until the store is
// opened again.
func (s *Store) Put(e models.Entitlement) (version int64, err error) {
	held, err := s.PutAll([]models.Entitlement{e})
	if err != nil {
		return 0, err
	}
	return held[0], nil
}

// PutAll does what Put does for many entitlements with one write to disk, and
// returns the version held of each. One account may come several times.
func (s *Store) PutAll(all []models.Entitlement) (versions []int64, err error) {
	fresh := make([]*holding, len(all))
	for i, e := range all {
		if err := checkEntitlement(e); err != nil {
			return nil, fmt.Errorf("put entitlement: %w", err)
		}
		fresh[i] = s.plans.hold(e)
	}
	newest, position, err := s.write(fresh)
	if err != nil {
		return nil, fmt.Errorf("put entitlement: %w", err)
	}
	// Also where one is older: the newer one that the answer promises may still be
	// on its way to disk.
	if err := s.journal.waitSynced(position); err != nil {
		return nil, fmt.Errorf("put entitlement: %w", err)
	}
	s.publish(newest)
	versions = make([]int64, len(newest))
	for i, held := range newest {
		versions[i] = held.version
	}
	return versions, nil
}

// Get returns the entitlement held for an account. It never waits for the disk.
func (s *Store) Get(account string) (models.Entitlement, bool) {
	held := s.holding(account)
	if held == nil {
		return models.Entitlement{}, false
	}
	return held.entitlement(), true
}

// Len is how many accounts the store holds.
func (s *Store) Len() int {
	n := 0
	for i := range s.shards {
		s.shards[i].mu.RLock()
		n += len(s.shards[i].visible)
		s.shards[i].mu.RUnlock()
	}
	return n
}

// Err is why the store takes no entitlements any more, or nil.
func (s *Store) Err() error { return s.journal.broken() }

// Close ends the writing and lets another process open the directory. What was
// acknowledged stays readable.
func (s *Store) Close() error {
	if err := errors.Join(s.sync.save(), s.journal.close()); err != nil {
		return fmt.Errorf("close entitlement store: %w", err)
	}
	return nil
}

// holding is what readers see of an account, nil if nothing.
func (s *Store) holding(account string) *holding {
	part := s.shard(account)
	part.mu.RLock()
	defer part.mu.RUnlock()
	return part.visible[account]
}

func (s *Store) shard(account string) *shard {
	return &s.shards[maphash.String(s.seed, account)%shardCount]
}

// write appends to the journal what is newer than what is written there. It
// returns the newest of each account and the position up to which the journal
// must be synced for that to be safe.
func (s *Store) write(fresh []*holding) (newest []*holding, position int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest = make([]*holding, len(fresh))
	var taken []*holding
	for i, h := range fresh {
		account := h.account()
		newest[i] = s.underway[account]
		if newest[i] == nil {
			newest[i] = s.holding(account)
		}
		if newest[i] == nil || newest[i].version < h.version {
			newest[i], s.underway[account] = h, h
			taken = append(taken, h)
		}
	}
	if len(taken) == 0 {
		return newest, s.journal.end(), s.journal.broken()
	}
	// After a failure nothing is taken or shown any more, so what is underway stays.
	if position, err = s.journal.append(taken); err != nil {
		return nil, 0, err
	}
	if s.journal.outgrown() {
		err = s.journal.compact(s.everything)
	}
	return newest, position, err
}

// everything calls yield with the newest that is written of each account. The
// caller holds mu.
func (s *Store) everything(yield func(*holding) bool) {
	for _, h := range s.underway {
		if !yield(h) {
			return
		}
	}
	for i := range s.shards {
		// No lock: readers don't write, and publish holds mu.
		for account, h := range s.shards[i].visible {
			if s.underway[account] == nil && !yield(h) {
				return
			}
		}
	}
}

// publish shows holdings to the readers, except where they see one as new already.
func (s *Store) publish(all []*holding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range all {
		s.show(h)
		if s.underway[h.account()] == h {
			delete(s.underway, h.account())
		}
	}
}

func (s *Store) show(h *holding) {
	part := s.shard(h.account())
	part.mu.Lock()
	defer part.mu.Unlock()
	if held := part.visible[h.account()]; held == nil || held.version < h.version {
		part.visible[h.account()] = h
	}
}
