package gateway

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
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
//
// Positions count all bytes that were ever appended, so that they keep growing
// when the file is replaced by a shorter one.
type journal struct {
	lock      *os.File
	directory string

	mu      sync.Mutex
	file    *os.File
	written int64 // bytes appended
	failure error // of the first write or sync that failed, or errClosed

	syncing sync.Mutex
	synced  int64 // bytes on disk; guarded by syncing

	// from is the position at which the file was compacted last, and live what it
	// held then, in bytes; slack is how much may be appended beyond that.
	from, live, slack int64
}

// compactSlack is how many bytes beyond what was live at the last compaction the
// journal grows by before the next: so its size stays below twice what is live
// and a little.
const compactSlack = 64 << 20

// openJournal locks the directory, reads the journal into the store, and replaces
// it by one that holds the newest entitlement per account alone.
func openJournal(directory string, store *Store) (*journal, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDirectory(directory)
	if err != nil {
		return nil, err
	}
	j := &journal{lock: lock, directory: directory, slack: compactSlack}
	if err := readJournal(filepath.Join(directory, journalName), store); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := j.compact(store.everything); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return j, nil
}

// append writes whole lines and returns the position to wait for. After a crash
// they may be torn at the very end: after a failed write there is no next one, as
// it would be glued to the torn line.
func (j *journal) append(lines []byte) (position int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failure != nil {
		return 0, j.failure
	}
	n, err := j.file.Write(lines)
	if err != nil {
		j.failure = fmt.Errorf("write journal: %w", err)
		return 0, j.failure
	}
	j.written += int64(n)
	return j.written, nil
}

// outgrown says whether more of the file is out of date than is worth keeping.
func (j *journal) outgrown() bool {
	return j.end()-j.from > j.live+j.slack
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

// readJournal reads the newest entitlement per account into the store. A last line
// without its line break was torn by a crash before it was acknowledged, and is
// dropped.
func readJournal(path string, store *Store) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	reader := bufio.NewReaderSize(file, maxLineBytes)
	for number := 1; ; number++ {
		line, err := reader.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		var h *holding
		if err == nil {
			h, err = store.plans.parse(line)
		}
		if err != nil {
			return fmt.Errorf("%s is damaged in line %d; move it away and start again, and Paystage fills the gateway anew: %w",
				path, number, err)
		}
		store.show(h)
	}
}

// compact writes the newest entitlement of each account into a new file beside the
// old one and renames it into place, so that a crash leaves one of the two, whole.
// All that was appended before is safe then.
func (j *journal) compact(everything func(yield func(*holding) bool)) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	path := filepath.Join(j.directory, journalName)
	fresh, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return j.fail(fmt.Errorf("compact journal: %w", err))
	}
	size, err := writeAll(fresh, everything)
	if err == nil {
		err = fresh.Sync()
	}
	if err == nil {
		err = os.Rename(fresh.Name(), path)
	}
	if err == nil {
		err = syncDirectory(j.directory)
	}
	if err != nil {
		return j.fail(errors.Join(fmt.Errorf("compact journal: %w", err), fresh.Close()))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	old := j.file
	j.file, j.from, j.live, j.synced = fresh, j.written, size, j.written
	if old != nil {
		_ = old.Close() // what it held is in the new one
	}
	return nil
}

// writeAll writes entitlements as lines and answers how many bytes they are.
func writeAll(file io.Writer, everything func(yield func(*holding) bool)) (size int64, err error) {
	buffered := bufio.NewWriterSize(file, 1<<20)
	for h := range everything {
		line, err := json.Marshal(h.entitlement())
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
