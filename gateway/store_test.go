package gateway_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/models"
)

func entitlement(account string, version int64) models.Entitlement {
	return models.Entitlement{
		AccountID: account,
		Version:   version,
		Tier:      models.Tier{Number: 1, Name: "Build Tier 1"},
		Limits:    models.RateLimits{LLM: 600, Embeddings: 3_000, Rerank: 500_000},
		Models:    []string{fmt.Sprintf("model-of-version-%d", version)},
		ChangedAt: noon,
	}
}

func open(t *testing.T, directory string) *gateway.Store {
	t.Helper()
	store, err := gateway.Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() }) // a test may have closed it already
	return store
}

func put(t *testing.T, store *gateway.Store, e models.Entitlement, want int64) {
	t.Helper()
	if held, err := store.Put(e); err != nil || held != want {
		t.Fatalf("%s version %d: holds %d, %v; want %d", e.AccountID, e.Version, held, err, want)
	}
}

func holds(t *testing.T, store *gateway.Store, want models.Entitlement) {
	t.Helper()
	if got, found := store.Get(want.AccountID); !found || !reflect.DeepEqual(got, want) {
		t.Fatalf("holds %v, %v; want %v", got, found, want)
	}
}

// afterCrash copies what is on disk while the store is still open, as a machine
// that stops there would leave it.
func afterCrash(t *testing.T, directory string) string {
	t.Helper()
	copied := t.TempDir()
	writeJournal(t, copied, readJournal(t, directory))
	return copied
}

func readJournal(t *testing.T, directory string) string {
	t.Helper()
	journal, err := os.ReadFile(filepath.Join(directory, "entitlements.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return string(journal)
}

func journalLines(t *testing.T, directory string) int {
	t.Helper()
	return strings.Count(readJournal(t, directory), "\n")
}

func writeJournal(t *testing.T, directory, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(directory, "entitlements.jsonl"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStoreTakesOnlyNewerVersions(t *testing.T) {
	directory := t.TempDir()
	store := open(t, directory)
	if _, found := store.Get("a"); found {
		t.Fatal("holds what nobody pushed")
	}
	put(t, store, entitlement("a", 3), 3)
	put(t, store, entitlement("a", 2), 3)
	same := entitlement("a", 3)
	same.Suspended = true
	put(t, store, same, 3)
	holds(t, store, entitlement("a", 3))
	put(t, store, entitlement("a", 4), 4)
	put(t, store, entitlement("b", 1), 1)
	holds(t, store, entitlement("a", 4))
	holds(t, store, entitlement("b", 1))
	if lines := journalLines(t, directory); lines != 3 {
		t.Errorf("%d lines in the journal, want none for what was not newer", lines)
	}
}

func TestStoreSharesNoMemory(t *testing.T) {
	store := open(t, t.TempDir())
	pushed := entitlement("a", 1)
	put(t, store, pushed, 1)
	pushed.Models[0] = "changed by the writer"
	read, _ := store.Get("a")
	read.Models[0] = "changed by a reader"
	holds(t, store, entitlement("a", 1))
}

// I10, under the race detector: whatever the order of writers, each reader sees
// versions that only grow, whole, and never behind what was acknowledged to it.
func TestVersionsNeverGoBackUnderConcurrency(t *testing.T) {
	const writers, versions, accounts = 8, 40, 3
	directory := t.TempDir()
	store := open(t, directory)
	var group sync.WaitGroup
	for writer := range writers {
		group.Go(func() {
			for i := range versions {
				account := fmt.Sprintf("a%d", i%accounts)
				version := int64(1 + (i*7+writer*13)%versions)
				held, err := store.Put(entitlement(account, version))
				if err != nil || held < version {
					t.Errorf("%s version %d: holds %d, %v", account, version, held, err)
				}
				if seen, _ := store.Get(account); seen.Version < held {
					t.Errorf("%s acknowledged %d and shows %d", account, held, seen.Version)
				}
			}
		})
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for account := range accounts {
		readers.Go(func() { watch(t, store, fmt.Sprintf("a%d", account), stop) })
	}
	group.Wait()
	close(stop)
	readers.Wait()
	again := open(t, afterCrash(t, directory))
	for account := range accounts {
		want, _ := store.Get(fmt.Sprintf("a%d", account))
		holds(t, again, want)
	}
}

// watch reads one account until stop, and fails if a version goes back or is a
// mix of two.
func watch(t *testing.T, store *gateway.Store, account string, stop <-chan struct{}) {
	var last int64
	for {
		e, found := store.Get(account)
		if e.Version < last {
			t.Errorf("%s went from version %d back to %d", account, last, e.Version)
		}
		if found && e.Models[0] != fmt.Sprintf("model-of-version-%d", e.Version) {
			t.Errorf("version %d holds %q", e.Version, e.Models)
		}
		last = e.Version
		select {
		case <-stop:
			return
		default:
		}
	}
}

func TestRestartHoldsWhatWasAcknowledged(t *testing.T) {
	directory := t.TempDir()
	store := open(t, directory)
	for version := range int64(5) {
		put(t, store, entitlement("a", version+1), version+1)
	}
	put(t, store, entitlement("b", 9), 9)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = open(t, directory)
	holds(t, store, entitlement("a", 5))
	put(t, store, entitlement("b", 8), 9)
	holds(t, store, entitlement("b", 9))
}

func TestOpeningCompactsTheJournal(t *testing.T) {
	directory := t.TempDir()
	store := open(t, directory)
	for version := range int64(50) {
		put(t, store, entitlement("a", version+1), version+1)
	}
	put(t, store, entitlement("b", 1), 1)
	compacted := afterCrash(t, directory)
	put(t, open(t, compacted), entitlement("b", 2), 2)
	if lines := journalLines(t, compacted); lines != 3 {
		t.Errorf("%d lines, want one per account and the one put since", lines)
	}
	again := open(t, afterCrash(t, compacted))
	holds(t, again, entitlement("a", 50))
	holds(t, again, entitlement("b", 2))
}

func TestLeftoverOfACompactionIsHarmless(t *testing.T) {
	directory := t.TempDir()
	store := open(t, directory)
	put(t, store, entitlement("a", 2), 2)
	crashed := afterCrash(t, directory)
	unfinished := filepath.Join(crashed, "entitlements.jsonl.new")
	if err := os.WriteFile(unfinished, []byte(`{"account_id":"a","vers`), 0o600); err != nil {
		t.Fatal(err)
	}
	holds(t, open(t, crashed), entitlement("a", 2))
	holds(t, open(t, afterCrash(t, crashed)), entitlement("a", 2))
}

func TestTornEndOfTheJournalIsDropped(t *testing.T) {
	directory := t.TempDir()
	store := open(t, directory)
	put(t, store, entitlement("a", 1), 1)
	put(t, store, entitlement("b", 1), 1)
	crashed := afterCrash(t, directory)
	journal := readJournal(t, crashed)
	first := strings.IndexByte(journal, '\n') + 1
	// Every place at which the write of the second line can have stopped.
	for end := first; end < len(journal); end++ {
		writeJournal(t, crashed, journal[:end])
		store, err := gateway.Open(crashed)
		if err != nil {
			t.Fatalf("torn after %d bytes: %v", end-first, err)
		}
		holds(t, store, entitlement("a", 1))
		if _, found := store.Get("b"); found {
			t.Fatalf("torn after %d bytes: holds what was not acknowledged", end-first)
		}
		put(t, store, entitlement("b", 1), 1)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		again := open(t, afterCrash(t, crashed))
		holds(t, again, entitlement("b", 1))
	}
}

func TestDamagedJournalIsNotOpened(t *testing.T) {
	const good = `{"account_id":"a","version":1}` + "\n"
	for name, journal := range map[string]string{
		"not JSON":         good + "}{\n" + good,
		"an empty line":    good + "\n" + good,
		"no account":       good + `{"version":2}` + "\n",
		"no version":       good + `{"account_id":"a"}` + "\n",
		"a line too long":  good + strings.Repeat(" ", 1<<20) + "\n",
		"zeros in between": good + strings.Repeat("\x00", 100) + "\n" + good,
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			writeJournal(t, directory, journal)
			_, err := gateway.Open(directory)
			if err == nil || !strings.Contains(err.Error(), "line 2") {
				t.Fatalf("got %v, want an error that names line 2", err)
			}
			if left := readJournal(t, directory); left != journal {
				t.Errorf("the evidence was changed: %q", left)
			}
		})
	}
}

func TestJournalTakesFieldsOfALaterVersion(t *testing.T) {
	directory := t.TempDir()
	writeJournal(t, directory, `{"account_id":"a","version":2,"a_field_of_tomorrow":{}}`+"\n")
	if e, found := open(t, directory).Get("a"); !found || e.Version != 2 {
		t.Errorf("got %v, %v", e, found)
	}
}

func TestJournalGivesTheNewestVersionWhateverTheOrder(t *testing.T) {
	directory := t.TempDir()
	writeJournal(t, directory, `{"account_id":"a","version":2}`+"\n"+`{"account_id":"a","version":1}`+"\n")
	if e, found := open(t, directory).Get("a"); !found || e.Version != 2 {
		t.Errorf("got %v, %v", e, found)
	}
}

func TestOneStorePerDirectory(t *testing.T) {
	directory := t.TempDir()
	store := open(t, directory)
	if _, err := gateway.Open(directory); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Fatalf("a second store: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, directory)
}

func TestClosedStoreReadsAndTakesNothing(t *testing.T) {
	store := open(t, t.TempDir())
	put(t, store, entitlement("a", 2), 2)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	holds(t, store, entitlement("a", 2))
	for _, version := range []int64{1, 2, 3} {
		if held, err := store.Put(entitlement("a", version)); err == nil {
			t.Errorf("version %d: holds %d after the end", version, held)
		}
	}
	if store.Err() == nil {
		t.Error("a closed store seems well")
	}
}
