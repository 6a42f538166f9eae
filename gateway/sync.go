package gateway

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	syncName = "sync.json"
	// AwayAfter is how long a gateway may have heard nothing before it asks for a
	// full sync: much longer than the pause between two words from Paystage.
	AwayAfter = 15 * time.Minute
	// heardEvery is how often it is written down that something was heard.
	heardEvery = time.Minute
)

// ErrAnotherStore: the full sync was of a store that is not this one.
var ErrAnotherStore = errors.New("the full sync was of another store")

// SyncStatus is what a gateway says of itself when Paystage asks.
type SyncStatus struct {
	// Store is a name that a store gives itself when it is new. One that was lost
	// and begun again has another.
	Store string `json:"store"`
	// NeedsFull asks for every entitlement: the store is new, or has been away.
	NeedsFull bool `json:"needs_full"`
	// Accounts is how many it holds.
	Accounts int `json:"accounts"`
}

// syncState knows whether a store has ever been filled, and whether it may have missed news.
type syncState struct {
	mu   sync.Mutex
	path string
	syncFile
}

// syncFile is the state on disk.
type syncFile struct {
	Store string `json:"store"`
	// Completed is when a full sync was completed; zero is never.
	Completed time.Time `json:"completed"`
	// Heard is when a signed request last came, to a minute.
	Heard time.Time `json:"heard"`
	// Away says that a full sync is needed since nothing was heard for long.
	Away bool `json:"away"`
}

// open reads the state. A store that holds nothing is new, whatever a file says
// that was left behind by another.
func (s *syncState) open(directory string, empty bool) error {
	s.path = filepath.Join(directory, syncName)
	text, err := os.ReadFile(s.path)
	if err == nil && !empty {
		if err := json.Unmarshal(text, &s.syncFile); err != nil {
			return fmt.Errorf("%s is damaged; move it away and start again, and Paystage fills the gateway anew: %w", s.path, err)
		}
		return nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.syncFile = syncFile{Store: rand.Text()}
	return s.save()
}

// save makes the state last.
func (s *syncState) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write()
}

// write replaces the file by a whole one. The caller holds mu, or nobody else
// knows s yet.
func (s *syncState) write() error {
	text, err := json.Marshal(s.syncFile)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(s.path+".new", s.path)
}

// Heard notes that Paystage was heard at now.
func (s *Store) Heard(now time.Time) error {
	s.sync.mu.Lock()
	defer s.sync.mu.Unlock()
	if !s.sync.Completed.IsZero() && now.Sub(s.sync.Heard) > AwayAfter {
		s.sync.Away = true
	}
	if now.Sub(s.sync.Heard) < heardEvery {
		return nil
	}
	s.sync.Heard = now
	if err := s.sync.write(); err != nil {
		return fmt.Errorf("note that Paystage was heard: %w", err)
	}
	return nil
}

// Sync says whether the store needs a full sync.
func (s *Store) Sync() SyncStatus {
	s.sync.mu.Lock()
	defer s.sync.mu.Unlock()
	return SyncStatus{Store: s.sync.Store, NeedsFull: s.sync.Completed.IsZero() || s.sync.Away, Accounts: s.Len()}
}

// Filled says whether the store was ever filled by a full sync: before that an
// unknown account may be one whose entitlement has not come yet.
func (s *Store) Filled() bool {
	s.sync.mu.Lock()
	defer s.sync.mu.Unlock()
	return !s.sync.Completed.IsZero()
}

// CompleteSync notes that a full sync of the store of that name was completed. The
// error is ErrAnotherStore if that is not this one.
func (s *Store) CompleteSync(store string, now time.Time) error {
	s.sync.mu.Lock()
	defer s.sync.mu.Unlock()
	if store != s.sync.Store {
		return ErrAnotherStore
	}
	s.sync.Completed, s.sync.Heard, s.sync.Away = now, now, false
	if err := s.sync.write(); err != nil {
		return fmt.Errorf("note the full sync: %w", err)
	}
	return nil
}
