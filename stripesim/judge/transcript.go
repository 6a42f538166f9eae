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

// Transcript judges what a double in another process wrote down, as far as that
// is: a test that never reached the double has none. A last line without an end was
// torn when the process was killed.
func Transcript(t testing.TB, file string) {
	t.Helper()
	written, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer written.Close()
	r := &report{t: t}
	for lines := bufio.NewReader(written); ; {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
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
