package gateway

import (
	"bytes"
	"context"
	_ "embed" // the catalogue as it ships
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/paystage/paystage/models"
)

// Model is one model that requests may name.
type Model struct {
	ID    string       `json:"id"`
	Class models.Class `json:"class"`
	// MinimumTier is the Build Tier from which the model is open (R14). Below tier 1
	// nothing is, so 0 and 1 mean the same.
	MinimumTier int `json:"minimum_tier"`
	// RPM is the model's own limit in requests per minute, in place of its class's
	// (R15); nil if it has none.
	RPM *int64 `json:"rpm,omitempty"`
	// Restricted closes the model to all accounts that have no exception for it.
	Restricted bool `json:"restricted,omitempty"`
}

// TierStep is a Build Tier and the lifetime spend at which it begins, in
// micro-dollars.
type TierStep struct {
	Number     int    `json:"number"`
	Name       string `json:"name"`
	FromMicros int64  `json:"from_micros"`
}

// Catalogue is the models that a gateway serves, and the tiers that it names to
// those who lack one. It never changes; a new one takes its place.
type Catalogue struct {
	// Tiers is in the order of the numbers, Models in that of the ids.
	Tiers  []TierStep `json:"tiers"`
	Models []Model    `json:"models"`

	byID map[string]*Model
}

//go:embed catalogue.json
var shipped []byte

// ShippedCatalogue is the catalogue that comes with the package.
func ShippedCatalogue() (*Catalogue, error) { return ParseCatalogue(shipped) }

// maxCatalogue bounds a catalogue's file: 8 MiB.
const maxCatalogue = 8 << 20

// ParseCatalogue reads a catalogue from its JSON. A field that it doesn't know is
// an error: a mistyped minimum_tier would open a model to everyone.
func ParseCatalogue(text []byte) (*Catalogue, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var c Catalogue
	if err := decoder.Decode(&c); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	if decoder.More() {
		return nil, errors.New("catalogue: something follows the object")
	}
	c.byID = make(map[string]*Model, len(c.Models))
	slices.SortFunc(c.Models, func(a, b Model) int { return strings.Compare(a.ID, b.ID) })
	for i := range c.Models {
		m := &c.Models[i]
		if err := m.check(c.Tiers); err != nil {
			return nil, fmt.Errorf("catalogue: model %q: %w", m.ID, err)
		}
		if c.byID[m.ID] != nil {
			return nil, fmt.Errorf("catalogue: model %q is there twice", m.ID)
		}
		c.byID[m.ID] = m
	}
	for i, t := range c.Tiers {
		if t.Number != i || t.Name == "" || i > 0 && t.FromMicros <= c.Tiers[i-1].FromMicros {
			return nil, fmt.Errorf("catalogue: tier %d: tiers are numbered from 0 without a gap, named, and begin at a rising spend", i)
		}
	}
	return &c, nil
}

func (m Model) check(tiers []TierStep) error {
	switch {
	case m.ID == "":
		return errors.New("it has no id")
	case !slices.Contains(models.Classes(), m.Class):
		return fmt.Errorf("there is no class %q; the classes are %v", m.Class, models.Classes())
	case m.MinimumTier < 0 || m.MinimumTier >= len(tiers):
		return fmt.Errorf("there is no tier %d", m.MinimumTier)
	case m.RPM != nil && *m.RPM < 0:
		return errors.New("rpm must not be negative")
	}
	return nil
}

// step is a tier by number; one above the highest that is named is an unnamed plan.
func (c *Catalogue) step(number int) TierStep {
	if number >= 0 && number < len(c.Tiers) {
		return c.Tiers[number]
	}
	return TierStep{Number: number, Name: fmt.Sprintf("Tier %d", number)}
}

// CatalogueFile is a catalogue in a file that is read again when it changes.
type CatalogueFile struct {
	path    string
	text    []byte
	current atomic.Pointer[Catalogue]
}

// OpenCatalogue reads the catalogue in a file.
func OpenCatalogue(path string) (*CatalogueFile, error) {
	f := &CatalogueFile{path: path}
	if _, err := f.reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Current is the newest catalogue that could be read.
func (f *CatalogueFile) Current() *Catalogue { return f.current.Load() }

// Watch reads the file again every so often until ctx ends. One that cannot be
// read, or is wrong, is told to the log once and changes nothing.
func (f *CatalogueFile) Watch(ctx context.Context, every time.Duration, log *slog.Logger) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changed, err := f.reload()
		switch {
		case err != nil && err.Error() != told:
			told = err.Error()
			log.Error("the catalogue in use stays the one before", "error", err)
		case changed:
			told = ""
			log.Info("catalogue read again", "models", len(f.Current().Models))
		}
	}
}

// reload takes what the file says now, and answers whether that is news.
func (f *CatalogueFile) reload() (changed bool, err error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return false, fmt.Errorf("catalogue: %w", err)
	}
	if info.Size() > maxCatalogue {
		return false, fmt.Errorf("catalogue: %s is larger than 8 MiB", f.path)
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return false, fmt.Errorf("catalogue: %w", err)
	}
	if f.text != nil && bytes.Equal(text, f.text) {
		return false, nil
	}
	fresh, err := ParseCatalogue(text)
	if err != nil {
		return false, fmt.Errorf("%s: %w", f.path, err)
	}
	f.text = text
	f.current.Store(fresh)
	return true, nil
}
