package sim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// journal is the state on disk: one batch a line, in the order of the calls.
// Each line is written before its answer is given, so what a caller was told
// survives a killed process, though not a failing machine.
type journal struct {
	file *os.File
}

// openJournal reads the file into the store and writes it anew, compacted.
func openJournal(name string, into *store) (*journal, error) {
	if err := readJournal(name, into); err != nil {
		return nil, fmt.Errorf("read state file %s: %w", name, err)
	}
	if err := writeCompacted(name, into); err != nil {
		return nil, fmt.Errorf("compact state file %s: %w", name, err)
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open state file: %w", err)
	}
	return &journal{file: file}, nil
}

func readJournal(name string, into *store) error {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewReader(file)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // a line without an end was torn by a kill: its caller had no answer
		}
		if err != nil {
			return err
		}
		var b batch
		if err := json.Unmarshal(line, &b); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		into.apply(&b)
	}
}

// writeCompacted replaces the file in one step, so that a kill leaves one or the other.
func writeCompacted(name string, from *store) error {
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	out := bufio.NewWriter(file)
	for b := range from.contents {
		if err := json.NewEncoder(out).Encode(b); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

func (j *journal) append(b *batch) error {
	var line bytes.Buffer
	if err := json.NewEncoder(&line).Encode(b); err != nil {
		return err
	}
	_, err := j.file.Write(line.Bytes())
	return err
}

func (j *journal) close() error { return j.file.Close() }
