package gateway

import (
	"errors"
	"os"
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
