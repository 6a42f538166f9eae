package judge

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/paystage/paystage/stripesim/sim"
)

// Transcript judges what a double in another process wrote down. Nothing written
// fails the test too: then the double was never asked to write, or never reached. A
// last line without an end was torn when the process was killed.
func Transcript(t testing.TB, file string) {
	t.Helper()
	written, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer written.Close()
	r := &report{t: t}
	lines := bufio.NewReader(written)
	for n := 0; ; n++ {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && n > 0 {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var line sim.TranscriptLine
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatalf("transcript: %v in %s", err, text)
		}
		if line.Exchange != nil {
			r.exchange(*line.Exchange, true)
		}
		if line.Event != nil {
			r.event(line.Event)
		}
	}
}
