package gateway

import (
	"errors"
	"testing"

	"github.com/paystage/paystage/models"
)

// I10: a writer that is overtaken between its sync and its publishing must not
// show its older version over the newer one. Under load this happens once in a
// great many runs; here it happens in each.
func TestOvertakenWriterShowsNothingOlder(t *testing.T) {
	store, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	older, _, err := store.write([]*holding{store.plans.hold(models.Entitlement{AccountID: "a", Version: 1})})
	if err != nil {
		t.Fatal(err)
	}
	if held, err := store.Put(models.Entitlement{AccountID: "a", Version: 2}); err != nil || held != 2 {
		t.Fatalf("holds %d, %v", held, err)
	}
	store.publish(older)
	if e, _ := store.Get("a"); e.Version != 2 {
		t.Errorf("shows version %d after 2", e.Version)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// What is written and not yet shown when the journal is compacted is in the new one:
// its writer is about to be told that it is safe.
func TestCompactionKeepsWhatIsUnderway(t *testing.T) {
	directory := t.TempDir()
	store, err := Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	written, position, err := store.write([]*holding{store.plans.hold(models.Entitlement{AccountID: "a", Version: 1})})
	if err != nil {
		t.Fatal(err)
	}
	store.mu.Lock()
	err = store.journal.compact(store.everything)
	store.mu.Unlock()
	if err := errors.Join(err, store.journal.waitSynced(position)); err != nil {
		t.Fatal(err)
	}
	store.publish(written)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	if e, _ := again.Get("a"); e.Version != 1 {
		t.Errorf("holds version %d after it acknowledged 1", e.Version)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
