package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/paystage/paystage/stripesim/sim"
)

// transcript is a file that each exchange and each event is added to, so that a
// test of another process can judge them afterwards.
type transcript struct {
	mu   sync.Mutex
	file *os.File
	err  error // the first that writing gave
}

func openTranscript(name string, opts *sim.Options) (*transcript, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("stripesim: transcript: %w", err)
	}
	t := &transcript{file: file}
	opts.OnExchange = func(x sim.Exchange) { t.add(sim.TranscriptLine{Exchange: &x}) }
	opts.OnEvent = func(event []byte) { t.add(sim.TranscriptLine{Event: event}) }
	return t, nil
}

func (t *transcript) add(line sim.TranscriptLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := json.NewEncoder(t.file).Encode(line); err != nil && t.err == nil {
		t.err = fmt.Errorf("stripesim: transcript: %w", err)
	}
}

// close tells what went wrong with the transcript, if anything did.
func (t *transcript) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.file.Close(); err != nil && t.err == nil {
		t.err = fmt.Errorf("stripesim: transcript: %w", err)
	}
	return t.err
}
