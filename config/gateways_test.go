package config_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paystage/paystage/config"
)

func gatewaysFile(t *testing.T, path, text string) {
	t.Helper()
	done(t, os.WriteFile(path+".new", []byte(text), 0o600))
	done(t, os.Rename(path+".new", path))
}

func TestGatewaysOfTheEnvironment(t *testing.T) {
	list, err := config.Common{GatewayURLs: []string{"http://a", "http://b"}}.Gateways()
	done(t, err)
	if !slices.Equal(list.URLs(), []string{"http://a", "http://b"}) {
		t.Errorf("%v", list.URLs())
	}
	list.Watch(t.Context(), nil) // has nothing to do, and ends
}

func TestGatewaysFileRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateways")
	for name, c := range map[string]struct{ text, why string }{
		"empty": {"# none yet\n\n", "names no gateway"}, "not a URL": {"http://a\ngateway-2\n", "gateway-2"}, "twice": {"http://a\nhttp://a/\n", "twice"},
		"too many": {strings.Repeat("x", 1<<20), "x"},
	} {
		gatewaysFile(t, path, c.text)
		if _, err := (config.Common{GatewaysFile: path}).Gateways(); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Gateways come and go by the file, without a restart; a wrong one changes nothing.
func TestGatewaysComeAndGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateways")
	gatewaysFile(t, path, "# ours\nhttp://a/\n")
	list, err := config.Common{GatewaysFile: path}.Gateways()
	done(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { list.Watch(ctx, slog.New(slog.DiscardHandler)) })
	defer watching.Wait()
	defer stop()
	await := func(want ...string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !slices.Equal(list.URLs(), want); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it stays %v, want %v", list.URLs(), want)
			}
		}
	}
	await("http://a")
	gatewaysFile(t, path, "http://a\n  http://b\n")
	await("http://a", "http://b")
	gatewaysFile(t, path, "b")
	gatewaysFile(t, path, "http://b")
	await("http://b")
}
