package stack

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// reportEvery is how often a step that goes on says that it does.
const reportEvery = 15 * time.Second

// Progress tells a person what is being done and for how long. Several parts may
// report at once. The zero value and nil say nothing.
type Progress struct {
	mu  sync.Mutex
	out io.Writer
}

// NewProgress reports to out.
func NewProgress(out io.Writer) *Progress { return &Progress{out: out} }

// Say prints one line about a part.
func (p *Progress) Say(part, format string, args ...any) {
	if p == nil || p.out == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "  %-12s %s\n", part, fmt.Sprintf(format, args...))
}

// Step runs f and says what it did and how long it took. A long one is announced
// and says that it goes on.
func (p *Progress) Step(part, doing string, f func() error) error {
	start := time.Now()
	ended := make(chan struct{})
	reporter := make(chan struct{})
	go func() {
		defer close(reporter)
		p.remind(part, doing, start, ended)
	}()
	err := f()
	close(ended)
	<-reporter
	if err != nil {
		return fmt.Errorf("%s: %s: %w", part, doing, err)
	}
	p.Say(part, "%s: %s", doing, took(start))
	return nil
}

func (p *Progress) remind(part, doing string, start time.Time, ended <-chan struct{}) {
	announce := time.NewTimer(time.Second)
	defer announce.Stop()
	ticker := time.NewTicker(reportEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return
		case <-announce.C:
			p.Say(part, "%s ...", doing)
		case <-ticker.C:
			p.Say(part, "%s ... %s", doing, took(start))
		}
	}
}

func took(start time.Time) string {
	d := time.Since(start)
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
