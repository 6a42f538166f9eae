package gateway

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/paystage/paystage/models"
)

const (
	journalName = "entitlements.jsonl"
	lockName    = "lock"
	// maxLineBytes bounds a line of the journal. A body is at most 64 KiB, and
	// escaping makes at most six bytes of one.
	maxLineBytes = 6*maxBodyBytes + 1024
)

var errClosed = errors.New("the store is closed")

// journal is an append-only file of JSON lines, one entitlement each. Writers
// append under mu and then wait for a sync; whoever gets syncing first syncs for
// all that were written by then, so many writers share one sync.
type journal struct {
	lock *os.File

	mu      sync.Mutex
	file    *os.File
	written int64 // bytes appended
	failure error // of the first write or sync that failed, or errClosed

	syncing sync.Mutex
	synced  int64 // bytes on disk; guarded by syncing
}

// openJournal locks the directory, reads the journal, and replaces it by one
// that holds the newest entitlement per account alone.
func openJournal(directory string) (*journal, map[string]models.Entitlement, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, nil, err
	}
	lock, err := lockDirectory(directory)
	if err != nil {
		return nil, nil, err
	}
	entitlements, err := readJournal(filepath.Join(directory, journalName))
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	file, size, err := compactJournal(directory, entitlements)
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return &journal{lock: lock, file: file, written: size, synced: size}, entitlements, nil
}

// append writes one line and returns the position to wait for. A line is whole
// or, after a crash, torn at the very end: after a failed write there is no next
// one, as it would be glued to the torn line.
func (j *journal) append(e models.Entitlement) (position int64, err error) {
	line, err := json.Marshal(e)
	if err != nil {
		return 0, fmt.Errorf("encode: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failure != nil {
		return 0, j.failure
	}
	n, err := j.file.Write(append(line, '\n'))
	if err != nil {
		j.failure = fmt.Errorf("write journal: %w", err)
		return 0, j.failure
	}
	j.written += int64(n)
	return j.written, nil
}

// waitSynced returns once everything before position is on disk. A failed sync
// is final: the system may have dropped the data and would report the next sync
// as good.
func (j *journal) waitSynced(position int64) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if j.synced >= position {
		return nil
	}
	if err := j.broken(); err != nil {
		return err
	}
	target := j.end()
	if err := j.file.Sync(); err != nil {
		return j.fail(fmt.Errorf("sync journal: %w", err))
	}
	j.synced = target
	return nil
}

// end is the position after the last line written.
func (j *journal) end() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.written
}

// broken is why nothing can be written any more, or nil.
func (j *journal) broken() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failure
}

// fail records the first failure and returns it.
func (j *journal) fail(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failure == nil {
		j.failure = err
	}
	return j.failure
}

// close waits for a sync under way; lines that nobody waits for any more were
// not acknowledged.
func (j *journal) close() error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	_ = j.fail(errClosed)
	return errors.Join(j.file.Close(), j.lock.Close())
}

// lockDirectory keeps a second process out until the file it returns is closed
// or this process ends, however it ends.
func lockDirectory(directory string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(directory, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s, is another process using it? %w", directory, err), file.Close())
	}
	return file, nil
}

// readJournal returns the newest entitlement per account. A last line without
// its line break was torn by a crash before it was acknowledged, and is dropped.
func readJournal(path string) (map[string]models.Entitlement, error) {
	entitlements := map[string]models.Entitlement{}
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return entitlements, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	reader := bufio.NewReaderSize(file, maxLineBytes)
	for number := 1; ; number++ {
		line, err := reader.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return entitlements, nil
		}
		var e models.Entitlement
		if err == nil {
			err = json.Unmarshal(line, &e)
		}
		if err == nil {
			err = checkEntitlement(e)
		}
		if err != nil {
			return nil, fmt.Errorf("%s is damaged in line %d; move it away and have the entitlements pushed again: %w",
				path, number, err)
		}
		if e.Version > entitlements[e.AccountID].Version {
			entitlements[e.AccountID] = e
		}
	}
}

// compactJournal writes a new journal beside the old one and renames it into
// place, so that a crash leaves one of the two, whole.
func compactJournal(directory string, entitlements map[string]models.Entitlement) (*os.File, int64, error) {
	path := filepath.Join(directory, journalName)
	fresh, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, err
	}
	size, err := writeAll(fresh, entitlements)
	if err == nil {
		err = fresh.Sync()
	}
	if err == nil {
		err = os.Rename(fresh.Name(), path)
	}
	if err == nil {
		err = syncDirectory(directory)
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("compact journal: %w", err), fresh.Close())
	}
	return fresh, size, nil
}

// writeAll writes the entitlements as lines, in the order of their accounts.
func writeAll(file io.Writer, entitlements map[string]models.Entitlement) (size int64, err error) {
	accounts := make([]string, 0, len(entitlements))
	for account := range entitlements {
		accounts = append(accounts, account)
	}
	slices.Sort(accounts)
	buffered := bufio.NewWriter(file)
	for _, account := range accounts {
		line, err := json.Marshal(entitlements[account])
		if err != nil {
			return 0, err
		}
		n, err := buffered.Write(append(line, '\n'))
		if err != nil {
			return 0, err
		}
		size += int64(n)
	}
	return size, buffered.Flush()
}

// syncDirectory makes a rename in the directory last.
func syncDirectory(directory string) error {
	d, err := os.Open(directory)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
