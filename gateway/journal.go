package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

const (
	journalName = "entitlements.journal"
	lockName    = "lock"
)

var errClosed = errors.New("the store is closed")

// journal is an append-only file of records, of which record.go tells. Writers
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
	// numbers are those of the plans in the file.
	numbers map[*plan]uint64

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

// openJournal locks the directory and reads the journal into the store. One that
// is mostly out of date, or is torn, is replaced by one that holds the newest
// entitlement per account alone.
func openJournal(directory string, store *Store) (*journal, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDirectory(directory)
	if err != nil {
		return nil, err
	}
	j := &journal{lock: lock, directory: directory, slack: compactSlack}
	if err := j.read(store); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return j, nil
}

// read reads the journal there is and gets ready to append to it.
func (j *journal) read(store *Store) error {
	path := filepath.Join(j.directory, journalName)
	contents, err := readJournal(path, store)
	if err != nil {
		return err
	}
	if contents.torn || contents.size == 0 || contents.size-contents.live > contents.live+j.slack {
		return j.compact(store.everything)
	}
	if j.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return err
	}
	// The process before may have ended with the last of it not synced.
	if err := j.file.Sync(); err != nil {
		return errors.Join(err, j.file.Close())
	}
	j.written, j.synced, j.live, j.numbers = contents.size, contents.size, contents.live, contents.numbers
	return nil
}

// append writes holdings and returns the position to wait for. After a crash they
// may be torn at the very end: after a failed write there is no next one, as it
// would be glued to the torn record.
func (j *journal) append(all []*holding) (position int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failure != nil {
		return 0, j.failure
	}
	var text []byte
	for _, h := range all {
		if text, err = j.encode(text, h); err != nil {
			j.failure = fmt.Errorf("encode journal: %w", err)
			return 0, j.failure
		}
	}
	n, err := j.file.Write(text)
	if err != nil {
		j.failure = fmt.Errorf("write journal: %w", err)
		return 0, j.failure
	}
	j.written += int64(n)
	return j.written, nil
}

// encode appends the record of a holding, behind that of its plan if the file has
// none yet.
func (j *journal) encode(to []byte, h *holding) ([]byte, error) {
	number, known := j.numbers[h.plan]
	if !known {
		var err error
		if to, err = appendPlan(to, h.plan); err != nil {
			return nil, err
		}
		number = uint64(len(j.numbers))
		j.numbers[h.plan] = number
	}
	return appendHolding(to, h, number)
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

// contents is what a journal was found to hold.
type contents struct {
	// size is its length in bytes, live about that of what is newest in it.
	size, live int64
	torn       bool
	numbers    map[*plan]uint64
}

// readJournal reads the newest entitlement per account into the store. A record at
// the end that is not whole was torn by a crash before it was acknowledged, and is
// dropped.
func readJournal(path string, store *Store) (c contents, err error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return c, err
	}
	all, from := records{plans: &store.plans}, bufio.NewReaderSize(file, 1<<20)
	count := int64(1)
	for ; ; count++ {
		h, err := all.next(from)
		if errors.Is(err, io.EOF) || errors.Is(err, errTorn) {
			c.torn = errors.Is(err, errTorn)
			break
		}
		if err != nil {
			return c, fmt.Errorf("%s is damaged in record %d; move it away and start again, and Paystage fills the gateway anew: %w",
				path, count, err)
		}
		store.show(h)
	}
	c.size, c.numbers = info.Size(), map[*plan]uint64{}
	c.live = c.size / count * int64(store.Len())
	for number, p := range all.byID {
		c.numbers[p] = uint64(number)
	}
	return c, nil
}

// compact writes the newest entitlement of each account into a new file beside the
// old one and renames it into place, so that a crash leaves one of the two, whole.
// All that was appended before is safe then. Nothing may be appended meanwhile.
func (j *journal) compact(everything func(yield func(*holding) bool)) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	fresh, size, err := j.rewrite(everything)
	if err != nil {
		j.failure = errors.Join(fmt.Errorf("compact journal: %w", err), j.failure)
		return j.failure
	}
	if j.file != nil {
		_ = j.file.Close() // what it held is in the new one
	}
	j.file, j.from, j.live, j.synced = fresh, j.written, size, j.written
	return nil
}

func (j *journal) rewrite(everything func(yield func(*holding) bool)) (fresh *os.File, size int64, err error) {
	path := filepath.Join(j.directory, journalName)
	fresh, err = os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, err
	}
	j.numbers = map[*plan]uint64{}
	size, err = j.writeAll(fresh, everything)
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
		return nil, 0, errors.Join(err, fresh.Close())
	}
	return fresh, size, nil
}

// writeAll writes holdings and answers how many bytes they are.
func (j *journal) writeAll(file io.Writer, everything func(yield func(*holding) bool)) (size int64, err error) {
	buffered := bufio.NewWriterSize(file, 1<<20)
	var text []byte
	for h := range everything {
		if text, err = j.encode(text[:0], h); err != nil {
			return 0, err
		}
		n, err := buffered.Write(text)
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
