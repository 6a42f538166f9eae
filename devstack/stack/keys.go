package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

const (
	createKeyWithin = 30 * time.Second
	identifyWithin  = 10 * time.Second
)

// keyring is the key of each role, with the database that knows them. A key is
// printed once, when it is made, so it is kept here for as long as that database
// is the same.
type keyring struct {
	Database string            `json:"database"`
	Keys     map[string]string `json:"keys"`
}

// openKeys gives a key for every role that works in the database at databaseURL,
// having the starter program make those that are not remembered.
func openKeys(ctx context.Context, d Dir, starter string, databaseURL string) (map[string]string, error) {
	identity, err := identifyDatabase(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	path := d.State("keys.json")
	ring := readKeyring(path)
	if ring.Database == identity && len(ring.Keys) == len(roles) {
		return ring.Keys, nil
	}
	made := make([]string, len(roles))
	var group errgroup.Group
	for i, role := range roles {
		group.Go(func() (err error) {
			made[i], err = createKey(ctx, starter, databaseURL, role)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	ring = keyring{Database: identity, Keys: map[string]string{}}
	for i, role := range roles {
		ring.Keys[role] = made[i]
	}
	text, err := json.MarshalIndent(ring, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("keep keys: %w", err)
	}
	if err := replaceFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("keep keys: %w", err)
	}
	return ring.Keys, nil
}

// readKeyring gives an empty ring when there is none that can be read: new keys
// are as good as old ones.
func readKeyring(path string) keyring {
	var ring keyring
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &ring) != nil {
		return keyring{}
	}
	return ring
}

// identifyDatabase tells one database from every other, one of the same name that
// was dropped and made again included.
func identifyDatabase(ctx context.Context, databaseURL string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, identifyWithin)
	defer cancel()
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return "", fmt.Errorf("identify database: %w", err)
	}
	defer conn.Close(ctx)
	var identity string
	const query = `select (select system_identifier from pg_control_system()) || '/' || oid
		from pg_database where datname = current_database()`
	if err := conn.QueryRow(ctx, query).Scan(&identity); err != nil {
		return "", fmt.Errorf("identify database: %w", err)
	}
	return identity, nil
}

func createKey(ctx context.Context, starter, databaseURL, role string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, createKeyWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, starter, "keys", "create", "--role", role, "--name", "devstack", "--output", "json")
	cmd.Env = Env{DatabaseURL: databaseURL}.forPart(nil)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("create the key of %s: %w: %s", role, err, strings.TrimSpace(complaint.String()))
	}
	var created struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(out, &created); err != nil {
		return "", fmt.Errorf("create the key of %s: read the answer of starter: %w", role, err)
	}
	if created.Key == "" {
		return "", errors.New("create the key of " + role + ": starter gave none")
	}
	return created.Key, nil
}
