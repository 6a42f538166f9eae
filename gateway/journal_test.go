package gateway

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/paystage/paystage/models"
)

// A disk that fails in mid-line leaves a torn line; nothing may be appended to
// it, and nothing may be acknowledged or shown any more.
func TestStoreStopsAfterAFailedWrite(t *testing.T) {
	store, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(models.Entitlement{AccountID: "a", Version: 1}); err != nil {
		t.Fatal(err)
	}
	good := store.journal.file
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	store.journal.file = full
	if _, err := store.Put(models.Entitlement{AccountID: "a", Version: 2}); err == nil {
		t.Fatal("acknowledged what the disk did not take")
	}
	store.journal.file = good
	for _, e := range []models.Entitlement{{AccountID: "a", Version: 1}, {AccountID: "a", Version: 3}, {AccountID: "b", Version: 1}} {
		if held, err := store.Put(e); err == nil {
			t.Errorf("%v: holds %d after the failure", e, held)
		}
	}
	if e, _ := store.Get("a"); e.Version != 1 {
		t.Errorf("shows version %d, which is not on disk", e.Version)
	}
	if store.Err() == nil {
		t.Error("seems well")
	}
	if err := errors.Join(full.Close(), store.Close()); err != nil {
		t.Error(err)
	}
}

// A sync that fails leaves the entitlement written but not safe.
func TestStoreStopsAfterAFailedSync(t *testing.T) {
	store, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe() // takes a write, refuses a sync
	if err != nil {
		t.Fatal(err)
	}
	good := store.journal.file
	store.journal.file = writer
	if _, err := store.Put(models.Entitlement{AccountID: "a", Version: 1}); err == nil {
		t.Fatal("acknowledged what was not synced")
	}
	store.journal.file = good
	if held, err := store.Put(models.Entitlement{AccountID: "a", Version: 1}); err == nil {
		t.Errorf("the repeat is acknowledged with %d", held)
	}
	if _, found := store.Get("a"); found {
		t.Error("shows what is not on disk")
	}
	if err := errors.Join(reader.Close(), writer.Close(), store.Close()); err != nil {
		t.Error(err)
	}
}

// The journal's size is bounded by what is live, however often it changes; and what
// is being written while it is compacted is in the new one.
func TestJournalIsCompactedWhileItRuns(t *testing.T) {
	directory := t.TempDir()
	store, err := Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	store.journal.slack = 10_000
	var writers sync.WaitGroup
	const accounts, versions = 4, 500
	for account := range accounts {
		writers.Go(func() {
			for version := range int64(versions) {
				e := models.Entitlement{AccountID: string(rune('a' + account)), Version: version + 1}
				if held, err := store.Put(e); err != nil || held != version+1 {
					t.Errorf("holds %d, %v", held, err)
					return
				}
			}
		})
	}
	writers.Wait()
	info, err := os.Stat(filepath.Join(directory, journalName))
	if err != nil || info.Size() > 15_000 {
		t.Errorf("the journal has %d bytes, %v", info.Size(), err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	for account := range accounts {
		if e, _ := again.Get(string(rune('a' + account))); e.Version != versions {
			t.Errorf("holds %d after a restart", e.Version)
		}
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
