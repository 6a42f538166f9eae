package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("broken"), 1},
		{fmt.Errorf("up: %w", context.Canceled), 1},
		{usageError{errors.New("unknown flag")}, 2},
		{codeError(7), 7},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: got %d, want %d", c.err, got, c.want)
		}
	}
}

func TestACommandLineThatMakesNoSense(t *testing.T) {
	for _, args := range [][]string{
		{"nonsense"}, {"up", "extra"}, {"demo", "--nonsense"}, {"exec"}, {"clean", "extra"}, {"tools", "extra"},
	} {
		root := newRoot()
		root.SetArgs(args)
		root.SetOut(io.Discard)
		if code := exitCode(root.ExecuteContext(t.Context())); code != 2 {
			t.Errorf("%v: got %d, want 2", args, code)
		}
	}
}
