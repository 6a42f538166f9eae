package gateway_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/models"
	"pgregory.net/rapid"
)

func entitlement(account string, version int64) models.Entitlement {
	return models.Entitlement{
		AccountID: account,
		Version:   version,
		Tier:      models.Tier{Number: 1, Name: "Build Tier 1"},
		Limits:    models.RateLimits{LLM: 600, Embeddings: 3_000, Rerank: 500_000},
		Models:    []string{fmt.Sprintf("model-of-version-%d", version)},
		ChangedAt: noon,

		LifetimeSpendMicros: 1_000_000 * version,
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
	journal, err := os.ReadFile(filepath.Join(directory, "entitlements.journal"))
	if err != nil {
		t.Fatal(err)
	}
	return string(journal)
}

func journaled(t *testing.T, directory string) int {
	t.Helper()
	return gateway.CountEntitlements(t, []byte(readJournal(t, directory)))
}

func writeJournal(t *testing.T, directory, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(directory, "entitlements.journal"), []byte(content), 0o600); err != nil {
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
	if n := journaled(t, directory); n != 3 {
		t.Errorf("%d in the journal, want none for what was not newer", n)
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

func TestOpeningCompactsATornJournal(t *testing.T) {
	directory := t.TempDir()
	store := open(t, directory)
	for version := range int64(50) {
		put(t, store, entitlement("a", version+1), version+1)
	}
	put(t, store, entitlement("b", 1), 1)
	compacted := t.TempDir()
	writeJournal(t, compacted, readJournal(t, directory)+"torn")
	put(t, open(t, compacted), entitlement("b", 2), 2)
	if n := journaled(t, compacted); n != 3 {
		t.Errorf("%d in it, want one per account and the one put since", n)
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
	unfinished := filepath.Join(crashed, "entitlements.journal.new")
	if err := os.WriteFile(unfinished, []byte("unfinished"), 0o600); err != nil {
		t.Fatal(err)
	}
	holds(t, open(t, crashed), entitlement("a", 2))
	holds(t, open(t, afterCrash(t, crashed)), entitlement("a", 2))
}

func TestTornEndOfTheJournalIsDropped(t *testing.T) {
	directory := t.TempDir()
	store := open(t, directory)
	put(t, store, entitlement("a", 1), 1)
	first := len(readJournal(t, directory))
	put(t, store, entitlement("b", 1), 1)
	crashed := afterCrash(t, directory)
	journal := readJournal(t, crashed)
	// Every place at which the write of the second can have stopped.
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

// Whichever byte of it is another: what was acknowledged is not lost in silence.
func TestDamagedJournalIsNotOpened(t *testing.T) {
	e := entitlement("a", 3)
	e.Exceptions, e.Suspended = []models.Exception{{Model: "m"}}, true
	good := gateway.Journal(t, e, entitlement("b", 1))
	damaged := map[string][]byte{
		"zeros at the end": append(slices.Clone(good), make([]byte, 100)...),
		"text at the end":  append(slices.Clone(good), "something that is no journal"...),
	}
	for i := range good {
		other := slices.Clone(good)
		other[i] ^= 0x10
		damaged[fmt.Sprintf("byte %d", i)] = other
	}
	for name, journal := range damaged {
		directory := t.TempDir()
		writeJournal(t, directory, string(journal))
		store, err := gateway.Open(directory)
		if err == nil || !strings.Contains(err.Error(), "is damaged in record") {
			t.Fatalf("%s: %v, %v", name, store, err)
		}
		if left := readJournal(t, directory); left != string(journal) {
			t.Errorf("%s: the evidence was changed", name)
		}
	}
}

func TestJournalGivesTheNewestVersionWhateverTheOrder(t *testing.T) {
	directory := t.TempDir()
	writeJournal(t, directory, string(gateway.Journal(t, entitlement("a", 2), entitlement("a", 1))))
	holds(t, open(t, directory), entitlement("a", 2))
}

// What is held after a restart is all of what was pushed.
func TestRestartHoldsEveryField(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		directory := t.TempDir()
		store := open(t, directory)
		e := anyEntitlement(rt)
		put(t, store, e, e.Version)
		holds(t, store, e)
		holds(t, open(t, afterCrash(t, directory)), e)
	})
}

// anyEntitlement draws one with every field.
func anyEntitlement(rt *rapid.T) models.Entitlement {
	e := models.Entitlement{
		AccountID: rapid.StringN(1, 40, 255).Draw(rt, "account"),
		Version:   rapid.Int64Range(1, math.MaxInt64).Draw(rt, "version"),
		Tier:      models.Tier{Number: rapid.IntRange(0, 9).Draw(rt, "tier"), Name: rapid.String().Draw(rt, "name")},
		Limits:    models.RateLimits{LLM: rapid.Int64Min(0).Draw(rt, "llm"), Rerank: rapid.Int64Min(0).Draw(rt, "rerank")},
		Models:    rapid.SliceOf(rapid.String()).Draw(rt, "models"),
		Suspended: rapid.Bool().Draw(rt, "suspended"), Blocked: rapid.Bool().Draw(rt, "blocked"),
		ChangedAt: anyTime(rt),
	}
	if rapid.Bool().Draw(rt, "recharging") {
		e.RechargingUntil = new(anyTime(rt))
	}
	for range rapid.IntRange(0, 3).Draw(rt, "keys") {
		hash, _ := gateway.NewAPIKey(e.AccountID)
		e.Keys = append(e.Keys, hash)
	}
	for range rapid.IntRange(0, 3).Draw(rt, "exceptions") {
		e.Exceptions = append(e.Exceptions, models.Exception{
			Model: rapid.String().Draw(rt, "model"), Access: models.AccessDeny, Until: new(anyTime(rt)), RPM: new(rapid.Int64Min(0).Draw(rt, "rpm")),
		})
	}
	return e
}

func anyTime(rt *rapid.T) time.Time {
	return time.UnixMicro(rapid.Int64Range(-1e15, 1e17).Draw(rt, "time")).UTC()
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

// A journal from before entitlements said what was paid is read as it was written.
func TestJournalFromBeforeTheSpendIsRead(t *testing.T) {
	before, err := os.ReadFile("testdata/before-spend.journal")
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	writeJournal(t, directory, string(before))
	at := time.Date(2026, 11, 1, 12, 0, 0, 123_456_000, time.UTC)
	one := models.Entitlement{
		AccountID: "acct_1", Version: 3, Tier: models.Tier{Number: 1, Name: "Build Tier 1"}, Models: []string{"m"}, ChangedAt: at,
		Limits: models.RateLimits{LLM: 600, Embeddings: 3_000, Rerank: 500_000},
		Keys:   []models.KeyHash{{ID: "0123456789abcdef", SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}},
	}
	two := one
	two.AccountID, two.Version, two.Suspended, two.Blocked, two.Keys = "acct_2", 5, true, true, nil
	two.RechargingUntil, two.Exceptions = new(at.Add(time.Hour)), []models.Exception{{Model: "m", RPM: new(int64(7))}}
	store := open(t, directory)
	holds(t, store, one)
	holds(t, store, two)
	newer := one
	newer.Version, newer.LifetimeSpendMicros = 4, 12_340_000
	if _, err := store.Put(newer); err != nil {
		t.Fatal(err)
	}
	store = open(t, afterCrash(t, directory))
	holds(t, store, newer)
	holds(t, store, two)
}
