package gateway_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paystage/paystage/gateway"
)

func TestShippedCatalogueIsWhole(t *testing.T) {
	c, err := gateway.ShippedCatalogue()
	if err != nil || len(c.Models) == 0 || len(c.Tiers) != 6 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestCatalogueRefused(t *testing.T) {
	const tiers = `"tiers":[{"number":0,"name":"L","from_micros":0},{"number":1,"name":"B","from_micros":5}]`
	for name, c := range map[string]struct{ text, why string }{
		"not JSON":        {`{`, "EOF"},
		"mistyped field":  {`{` + tiers + `,"models":[{"id":"m","class":"llm","minimum_teir":2}]}`, "minimum_teir"},
		"twice":           {`{` + tiers + `,"models":[{"id":"m","class":"llm"},{"id":"m","class":"llm"}]}`, "twice"},
		"no id":           {`{` + tiers + `,"models":[{"class":"llm"}]}`, "no id"},
		"no such class":   {`{` + tiers + `,"models":[{"id":"m","class":"chat"}]}`, "no class"},
		"no such tier":    {`{` + tiers + `,"models":[{"id":"m","class":"llm","minimum_tier":2}]}`, "no tier 2"},
		"negative limit":  {`{` + tiers + `,"models":[{"id":"m","class":"llm","rpm":-1}]}`, "negative"},
		"tiers with gap":  {`{"tiers":[{"number":0,"name":"L","from_micros":0},{"number":2,"name":"B","from_micros":5}],"models":[]}`, "without a gap"},
		"tiers that fall": {`{"tiers":[{"number":0,"name":"L","from_micros":9},{"number":1,"name":"B","from_micros":5}],"models":[]}`, "rising"},
		"two objects":     {`{` + tiers + `,"models":[]} {}`, "follows"},
	} {
		if _, err := gateway.ParseCatalogue([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want one with %q", name, err, c.why)
		}
	}
}

// The file is read again when it changes; a wrong one changes nothing.
func TestCatalogueIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalogue.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := gateway.OpenCatalogue(path); err == nil {
		t.Error("opened what is not there")
	}
	write(testCatalogue)
	file, err := gateway.OpenCatalogue(path)
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { file.Watch(ctx, time.Millisecond, slog.New(slog.NewTextHandler(log, nil))) })
	defer watching.Wait()
	defer stop()
	d := newDoor(t)
	d.Catalogue = file.Current
	d.wants(t, "before", proModel, 403, gateway.CodeInsufficientTier)
	write(strings.Replace(testCatalogue, `"class": "llm", "minimum_tier": 2`, `"class": "llm", "minimum_tier": 1`, 1))
	await(t, func() bool { return d.Admit(t.Context(), d.key, proModel).Status == 200 })
	write(`{`)
	await(t, func() bool { return log.count("stays the one before") == 1 })
	d.wants(t, "after a wrong one", proModel, 200, "")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return log.count("stays the one before") == 2 })
	d.wants(t, "after its end", proModel, 200, "")
}

// lines counts what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// await waits for something that another goroutine brings about.
func await(t testing.TB, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !true(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came")
		}
	}
}
