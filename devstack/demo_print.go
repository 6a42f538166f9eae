package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// stageView prints each stage of a purchase once, when it has ended.
type stageView struct {
	out   io.Writer
	start time.Time
	shown map[string]bool
	link  bool
}

func newStageView(out io.Writer, start time.Time) *stageView {
	return &stageView{out: out, start: start, shown: map[string]bool{}}
}

func (v *stageView) show(p purchase) {
	if p.AuthorizationURL != "" && !v.link {
		v.link = true
		fmt.Fprintf(v.out, "    the bank asks the customer: %s\n", p.AuthorizationURL)
	}
	for _, s := range p.Stages {
		if v.shown[s.Name] || s.State != "done" && s.State != "failed" {
			continue
		}
		v.shown[s.Name] = true
		fmt.Fprintf(v.out, "    %-14s %-7s at %6s   took %6s\n", strings.ReplaceAll(s.Name, "_", " "), s.State,
			milliseconds(s.EndedAt.Sub(v.start)), milliseconds(s.EndedAt.Sub(s.StartedAt)))
	}
}

func printBilling(out io.Writer, b billing) {
	fmt.Fprintf(out, "\n    balance        %s\n", b.Balance)
	fmt.Fprintf(out, "    tier           %s\n", b.Tier.Name)
	for _, g := range b.Tier.Gateways {
		fmt.Fprintf(out, "    gateway        %s %s\n", g.Gateway, acknowledgement(g))
	}
	fmt.Fprintln(out)
}

func acknowledgement(g gatewayState) string {
	switch {
	case g.acknowledged():
		return fmt.Sprintf("acknowledged version %d at %s", g.Version, g.AcknowledgedAt.Format("15:04:05.000"))
	case g.LastError != "":
		return "did not acknowledge: " + g.LastError
	default:
		return "has not acknowledged yet"
	}
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }
