package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell starts a script as a part that logs to a file of the test's own.
func shell(t *testing.T, script string, within time.Duration) *Process {
	t.Helper()
	p, err := Start(Command{
		Name: "script", Path: "/bin/sh", Args: []string{"-c", script},
		Log: filepath.Join(t.TempDir(), "script.log"), StopWithin: within,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// logged waits until a script has logged a line.
func logged(t *testing.T, p *Process, line string) {
	t.Helper()
	eventually(t, "the log line "+line, func() bool {
		text, _ := os.ReadFile(p.command.Log)
		return strings.Contains(string(text), line+"\n")
	})
}

func TestProcess(t *testing.T) {
	t.Run("StopAsksFirst", func(t *testing.T) {
		p := shell(t, `trap "echo asked; exit 0" TERM; echo ready; while :; do sleep 0.01; done`, time.Minute)
		logged(t, p, "ready")
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		logged(t, p, "asked")
		if p.ExitCode() != 0 {
			t.Errorf("exit code %d, want 0", p.ExitCode())
		}
	})
	t.Run("StopKillsAtItsBound", func(t *testing.T) {
		p := shell(t, `trap "" TERM; echo ready; while :; do sleep 0.01; done`, 50*time.Millisecond)
		logged(t, p, "ready")
		if err := p.Stop(); err == nil || !strings.Contains(err.Error(), p.command.Log) {
			t.Errorf("got %v, want an error that names the log", err)
		}
		if p.ExitCode() != 128+9 {
			t.Errorf("exit code %d, want 137", p.ExitCode())
		}
	})
	t.Run("StopAfterTheEndIsNothing", func(t *testing.T) {
		p := shell(t, `exit 3`, time.Minute)
		<-p.Done()
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if p.ExitCode() != 3 {
			t.Errorf("exit code %d, want 3", p.ExitCode())
		}
	})
}

func TestProcessThatEndedByItself(t *testing.T) {
	t.Run("ExitedShowsTheEndOfTheLog", func(t *testing.T) {
		p := shell(t, `i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo line $i; done; exit 7`, time.Minute)
		text := p.Exited().Error()
		for _, want := range []string{"script ended: exit status 7", p.command.Log, "| line 86\n", "| line 100"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in %q", want, text)
			}
		}
		if strings.Contains(text, "line 85\n") {
			t.Errorf("more than the end of the log: %q", text)
		}
	})
	t.Run("WhatItLeavesEndsWithIt", func(t *testing.T) {
		p := shell(t, `sleep 600 & echo $!`, time.Minute)
		<-p.Done()
		text, err := os.ReadFile(p.command.Log)
		if err != nil {
			t.Fatal(err)
		}
		var left int
		if _, err := fmt.Sscan(string(text), &left); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the process left behind to end", func() bool { return !alive(left) })
	})
	t.Run("TheLogBeforeIsKept", func(t *testing.T) {
		log := filepath.Join(t.TempDir(), "part.log")
		for _, word := range []string{"first", "second"} {
			p, err := Start(Command{Name: "part", Path: "/bin/echo", Args: []string{word}, Log: log})
			if err != nil {
				t.Fatal(err)
			}
			<-p.Done()
		}
		text, err := os.ReadFile(log + ".old")
		if err != nil || string(text) != "first\n" {
			t.Errorf("got %q, %v", text, err)
		}
	})
}

func TestProcessDiesWithAKilledParent(t *testing.T) {
	parent, child := runStandIn(t, "parent")
	if !alive(child) {
		t.Fatal("the child does not run")
	}
	parent.Signal(syscall.SIGKILL)
	<-parent.Done()
	// The child has a group of its own, so it is not the group's end that ends it.
	eventually(t, "the child to end", func() bool { return !alive(child) })
}

func TestAwaitReady(t *testing.T) {
	refuse := func(context.Context) error { return fmt.Errorf("not yet") }
	t.Run("SaysThatThePartEnded", func(t *testing.T) {
		p := shell(t, `echo cannot bind; exit 1`, time.Minute)
		err := awaitReady(t.Context(), p, time.Minute, refuse)
		var exited *ExitError
		if !errors.As(err, &exited) || !strings.Contains(exited.Error(), "cannot bind") {
			t.Errorf("got %v, want the end of the part with its last words", err)
		}
	})
	t.Run("GivesUpAtItsBound", func(t *testing.T) {
		p := shell(t, `exec sleep 600`, time.Minute)
		err := awaitReady(t.Context(), p, 60*time.Millisecond, refuse)
		if err == nil || !strings.Contains(err.Error(), "not yet") || !strings.Contains(err.Error(), p.command.Log) {
			t.Errorf("got %v, want the last refusal and the log file", err)
		}
	})
}
