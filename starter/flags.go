package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/models"
	"github.com/spf13/cobra"
)

// maxReason and maxName bound, in characters, what goes into the audit log.
const (
	maxReason = 2000
	maxName   = 200
)

// What a command is called with is checked here by its form alone, before anything
// is asked or changed: what is wrong with it is wrong usage. The rules of the
// business are the front door's to apply.

// form reads the text of a flag or an argument; its error says what form it wants.
type form[T any] func(text string) (T, error)

// given defines a flag whose text must be of a form.
func given[T any](cmd *cobra.Command, into *T, name, usage string, want form[T]) {
	cmd.Flags().Func(name, usage, func(text string) (err error) {
		*into, err = want(text)
		return err
	})
}

// required defines such a flag that a call can't do without.
func required[T any](cmd *cobra.Command, into *T, name, usage string, want form[T]) {
	given(cmd, into, name, usage, want)
	_ = cmd.MarkFlagRequired(name)
}

// oneArgument wants one argument of a form.
func oneArgument[T any](want form[T]) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(1)(cmd, args); err != nil {
			return err
		}
		if _, err := want(args[0]); err != nil {
			return fmt.Errorf("%q: %w", args[0], err)
		}
		return nil
	}
}

// anID is the id of an account or a purchase.
func anID(text string) (string, error) {
	if _, err := uuid.Parse(text); err != nil || len(text) != 36 {
		return "", errors.New("it is not an id such as 0198f3c2-7d4e-7b1a-9c00-1f2e3d4c5b6a")
	}
	return text, nil
}

func aKeyID(text string) (string, error) {
	if !api.IsKeyID(text) {
		return "", errors.New("it is not a key's id; `starter keys list` shows them")
	}
	return text, nil
}

func anAlertID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, errors.New("it is not an alert's id; `starter alerts` lists them")
	}
	return id, nil
}

func aRole(text string) (models.Role, error) {
	if role := models.Role(text); slices.Contains(models.Roles(), role) {
		return role, nil
	}
	return "", fmt.Errorf("there is no such role; the roles are %s", api.RoleNames(models.Roles()))
}

func cents(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, errors.New("it must be a whole number of cents above zero, such as 2500 for $25.00")
	}
	return n, nil
}

// waitSeconds is how long a checkout may be asked to wait.
func waitSeconds(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 60 {
		return 0, errors.New("it must be a number of seconds from 0 to 60")
	}
	return n, nil
}

// words is a text of 1 to most characters.
func words(most int) form[string] {
	return func(text string) (string, error) {
		if strings.TrimSpace(text) == "" || utf8.RuneCountInString(text) > most {
			return "", fmt.Errorf("it must be a text of 1 to %d characters", most)
		}
		return text, nil
	}
}

// idempotencyKey is a key of 1 to most characters. An empty one is refused: behind
// it is a variable that was not set, and a key made up in its place would buy again
// with every repeat.
func idempotencyKey(most int) form[string] {
	return func(text string) (string, error) {
		printable := !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
		if text == "" || len(text) > most || !printable {
			return "", fmt.Errorf("it must be 1 to %d printable ASCII characters", most)
		}
		return text, nil
	}
}

// anInstant keeps its text: the zone is what support was told.
func anInstant(text string) (string, error) {
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		return "", errors.New("it must be a time with its zone, such as 2026-11-03T14:05:00-08:00")
	}
	return text, nil
}

func anEmail(text string) (string, error) {
	if name, host, found := strings.Cut(text, "@"); !found || name == "" || host == "" {
		return "", errors.New("it must be an email address, such as ada@example.com")
	}
	return text, nil
}
