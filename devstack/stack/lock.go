package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Holder says who runs the stack of a folder.
type Holder struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
	// Ready says that the stack serves and its env file is complete.
	Ready bool `json:"ready"`
}

// HeldError says that another process runs the stack of a folder.
type HeldError struct{ Holder Holder }

// Error names the process that holds the folder and how to end it.
func (e *HeldError) Error() string {
	return fmt.Sprintf("`%s` is already running here as process %d; stop it with ^C or `kill %d`",
		e.Holder.Command, e.Holder.PID, e.Holder.PID)
}

// Lock is one process's claim on a folder. The kernel drops it when the process
// ends in whatever way, so a stale lock cannot be left behind.
type Lock struct {
	file    *os.File
	command string
}

// Acquire claims a folder for command, or fails with a *HeldError.
func Acquire(d Dir, command string) (*Lock, error) {
	file, err := os.OpenFile(lockPath(d), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", d, err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder := readHolder(file)
		file.Close()
		return nil, &HeldError{Holder: holder}
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", d, err)
	}
	l := &Lock{file: file, command: command}
	if err := l.write(false); err != nil {
		file.Close()
		return nil, err
	}
	return l, nil
}

// MarkReady tells other processes that the stack serves.
func (l *Lock) MarkReady() error { return l.write(true) }

// Release gives the folder up.
func (l *Lock) Release() { l.file.Close() }

func lockPath(d Dir) string { return d.State("lock") }

func (l *Lock) write(ready bool) error {
	text, err := json.Marshal(Holder{PID: os.Getpid(), Command: l.command, Ready: ready})
	if err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	if _, err := l.file.WriteAt(text, 0); err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	return nil
}

// readHolder gives a zero Holder when the owner is just writing it: the claim is
// the kernel's, the text only tells whose it is.
func readHolder(file *os.File) Holder {
	text := make([]byte, 1024)
	n, _ := file.ReadAt(text, 0)
	var holder Holder
	if json.Unmarshal(text[:n], &holder) != nil {
		return Holder{Command: "devstack"}
	}
	return holder
}
