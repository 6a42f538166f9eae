package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestRefuse(t *testing.T) {
	for _, c := range []struct {
		name, file, imports string
		refused             bool
	}{
		{"inner from outer", "workflows/purchase.go", module + "/activities", false},
		{"outer from inner", "activities/stripe.go", module + "/workflows", true},
		{"its own packages", "gateway/reference/main.go", module + "/gateway", false},
		{"gateway knows the nouns", "gateway/store.go", module + "/models", false},
		{"gateway knows no ledger", "gateway/store.go", module + "/ledger", true},
		{"ledger knows no gateway", "ledger/post.go", module + "/gateway", true},
		{"activities sign for gateways", "activities/gateways.go", module + "/gateway", false},
		{"worker not starter", "worker/main.go", module + "/starter", true},
		{"starter not worker", "starter/main.go", module + "/worker", true},
		{"starter serves the api", "starter/serve.go", module + "/api", false},
		{"the double in production", "worker/main.go", module + "/stripesim/sim", true},
		{"the double in a test", "worker/main_test.go", module + "/stripesim/sim", false},
		{"the double in devstack", "devstack/up.go", module + "/stripesim/sim", false},
		{"devstack in production", "api/serve.go", module + "/devstack/stack", true},
		{"testenv in a test", "ledger/post_test.go", module + "/testenv", false},
		{"testenv outside a test", "ledger/post.go", module + "/testenv", true},
		{"outer from an inner test", "money/usd_test.go", module + "/billing", true},
		{"standard library in the rules", "billing/tier.go", "math/big", false},
		{"a module in the rules", "billing/tier.go", "github.com/google/uuid", true},
		{"a module in a test of the rules", "billing/tier_test.go", "pgregory.net/rapid", false},
		{"a module further out", "ledger/post.go", "github.com/jackc/pgx/v5", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			reason := refuse(c.file, c.imports)
			if (reason != "") != c.refused {
				t.Errorf("%s imports %s: got %q, want refused %v", c.file, c.imports, reason, c.refused)
			}
		})
	}
}

// TestHouseIsATree keeps the table itself from allowing a circle.
func TestHouseIsATree(t *testing.T) {
	for name, r := range house {
		for _, inner := range r.may {
			if slices.Contains(house[inner].may, name) {
				t.Errorf("%s and %s may import each other", name, inner)
			}
		}
	}
}

func TestCheckReportsFileAndLine(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "money", "usd.go"), "package money\n\nimport (\n\t\"fmt\"\n\t\""+module+"/ledger\"\n)\n")
	write(t, filepath.Join(root, "money", "testdata", "x.go"), "not Go at all")
	write(t, filepath.Join(root, "tools", "go.mod"), "module other\n")
	write(t, filepath.Join(root, "tools", "x.go"), "package tools\n\nimport \"fmt\"\n")
	write(t, filepath.Join(root, "helpers", "x.go"), "package helpers\n\nimport \"fmt\"\n")
	write(t, filepath.Join(root, "worker", "system_test.go"), "package main\n\nvar double, _ = sim.New(sim.Options{})\n")
	write(t, filepath.Join(root, "stripesim", "main_test.go"), "package main\n\nvar double, _ = sim.New(sim.Options{})\n")
	findings, err := check(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"helpers/x.go:1: helpers is no room of the house: give it a place in tools/importcheck/rooms.go",
		"money/usd.go:5: money may not import ledger: imports point inwards",
		"worker/system_test.go:3: a test gets its Stripe double from stripesim/judge, which judges what it is sent",
	}
	if !slices.Equal(findings, want) {
		t.Errorf("got %q, want %q", findings, want)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
