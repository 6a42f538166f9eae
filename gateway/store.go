package gateway

import (
	"fmt"
	"slices"
	"sync"

	"github.com/paystage/paystage/models"
)

// Store holds the newest entitlement of every account, in memory for reading and
// in a journal on disk for keeping. It is safe for concurrent use. One process at
// a time may have a directory open.
type Store struct {
	journal *journal

	// visible maps an account id to a models.Entitlement that is on disk. Its
	// readers take no lock that a writer holds.
	visible sync.Map

	// mu orders the writers. written is the newest entitlement per account that
	// is in the journal, if perhaps not yet synced.
	mu      sync.Mutex
	written map[string]models.Entitlement
}

// Open opens the store kept in a directory, creating it if needed, and compacts
// its journal. It fails if another process has the directory open, and if the
// journal is damaged anywhere but at its torn end: what was acknowledged would be
// lost, and the gateway might go back to an older version (I10).
func Open(directory string) (*Store, error) {
	journal, entitlements, err := openJournal(directory)
	if err != nil {
		return nil, fmt.Errorf("open entitlement store: %w", err)
	}
	s := &Store{journal: journal, written: entitlements}
	for account, e := range entitlements {
		s.visible.Store(account, e)
	}
	return s, nil
}

// Put takes an entitlement if it is newer than the one held, and returns the
// version held then: that of e, or a higher one (I10). When it returns without
// an error that version is on disk and readers see it. After a failed write the
// journal's end is unknown, so every later Put fails too until the store is
// opened again.
func (s *Store) Put(e models.Entitlement) (version int64, err error) {
	e.Models = slices.Clone(e.Models)
	held, position, err := s.write(e)
	if err != nil {
		return 0, fmt.Errorf("put entitlement: %w", err)
	}
	// Also where e is older: the newer one that the answer promises may still be
	// on its way to disk.
	if err := s.journal.waitSynced(position); err != nil {
		return 0, fmt.Errorf("put entitlement: %w", err)
	}
	s.publish(held)
	return held.Version, nil
}

// Get returns the entitlement held for an account. It never waits for a writer.
func (s *Store) Get(account string) (models.Entitlement, bool) {
	held, found := s.visible.Load(account)
	if !found {
		return models.Entitlement{}, false
	}
	e := held.(models.Entitlement)
	e.Models = slices.Clone(e.Models)
	return e, true
}

// Err is why the store takes no entitlements any more, or nil.
func (s *Store) Err() error { return s.journal.broken() }

// Close ends the writing and lets another process open the directory. What was
// acknowledged stays readable.
func (s *Store) Close() error {
	if err := s.journal.close(); err != nil {
		return fmt.Errorf("close entitlement store: %w", err)
	}
	return nil
}

// write appends e to the journal if it is newer than what is written there. It
// returns the newest and the position up to which the journal must be synced for
// that to be safe.
func (s *Store) write(e models.Entitlement) (newest models.Entitlement, position int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held := s.written[e.AccountID]; held.Version >= e.Version {
		return held, s.journal.end(), s.journal.broken()
	}
	position, err = s.journal.append(e)
	if err != nil {
		return models.Entitlement{}, 0, err
	}
	s.written[e.AccountID] = e
	return e, position, nil
}

// publish shows e to the readers, unless they see it or a newer one already.
func (s *Store) publish(e models.Entitlement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held, found := s.visible.Load(e.AccountID); found && held.(models.Entitlement).Version >= e.Version {
		return
	}
	s.visible.Store(e.AccountID, e)
}
