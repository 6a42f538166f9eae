package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/paystage/paystage/gateway"
)

const keysText = "test:a-secret-for-this-test"

// TestMain lets the test binary be the gateway itself, so that it can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("PAYSTAGE_TEST_RUN_MAIN") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// start runs the gateway as a process of its own and returns it with its address.
func start(t *testing.T, state string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "--listen", "127.0.0.1:0", "--state", state)
	cmd.Env = append(os.Environ(), "PAYSTAGE_TEST_RUN_MAIN=1", "PAYSTAGE_GATEWAY_SIGNING_KEYS="+keysText)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // a test may have ended it already
	line, err := bufio.NewReader(out).ReadString('\n')
	address, found := strings.CutPrefix(strings.TrimSpace(line), "gateway listening on ")
	if err != nil || !found {
		t.Fatalf("printed %q, %v", line, err)
	}
	return cmd, address
}

func request(t *testing.T, method, address, body string) string {
	t.Helper()
	keys, err := gateway.ParseKeys(keysText)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address+"/entitlements/acct_1", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	keys.Sign(req, []byte(body), time.Now())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s, %v", method, res.StatusCode, answer, err)
	}
	return strings.TrimSpace(string(answer))
}

// F22, I10: a gateway that is killed still holds every version it acknowledged.
func TestF22KilledGatewayHoldsWhatItAcknowledged(t *testing.T) {
	state := t.TempDir()
	for version := 1; version <= 3; version++ {
		cmd, address := start(t, state)
		if version > 1 {
			held := fmt.Sprintf(`"version":%d,`, version-1)
			if got := request(t, "GET", address, ""); !strings.Contains(got, held) {
				t.Fatalf("holds %s, want %s", got, held)
			}
		}
		request(t, "PUT", address, fmt.Sprintf(`{"account_id":"acct_1","version":%d}`, version))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
	}
}

func TestTerminationIsGraceful(t *testing.T) {
	cmd, address := start(t, t.TempDir())
	request(t, "PUT", address, `{"account_id":"acct_1","version":1}`)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestNeedsKeys(t *testing.T) {
	args := []string{"--listen", "127.0.0.1:0", "--state", t.TempDir()}
	err := run(t.Context(), args, func(string) string { return "" }, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "PAYSTAGE_GATEWAY_SIGNING_KEYS") {
		t.Errorf("got %v", err)
	}
}

// ask sends a request to the API in front with an account's key.
func ask(t *testing.T, method, address, path, key, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// The contract's routes, before and after a push, and after a restart at once.
func TestAPIInFront(t *testing.T) {
	state := t.TempDir()
	cmd, address := start(t, state)
	hash, key := gateway.NewAPIKey("acct_1")
	chat := func(model string) (int, string) {
		return ask(t, "POST", address, "/v1/chat/completions", key, `{"model":"`+model+`","messages":[{"role":"user","content":"Hello"}]}`)
	}
	if status, body := chat("black-forest-labs/FLUX.1-dev"); status != 401 {
		t.Errorf("before a push: %d %s", status, body)
	}
	request(t, "PUT", address, fmt.Sprintf(
		`{"account_id":"acct_1","version":1,"tier":{"number":1,"name":"Build Tier 1"},"limits":{"llm_rpm":600},"keys":[{"id":%q,"sha256":%q}]}`,
		hash.ID, hash.SHA256))
	for range 2 {
		if status, body := chat("black-forest-labs/FLUX.1-dev"); status != 200 || !strings.Contains(body, `"content":"Hello"`) {
			t.Errorf("echo: %d %s", status, body)
		}
		if status, body := chat("black-forest-labs/FLUX.1.1-pro"); status != 403 || !strings.Contains(body, `"code":"insufficient_tier"`) {
			t.Errorf("a model of tier 2: %d %s", status, body)
		}
		status, body := ask(t, "GET", address, "/v1/models", key, "")
		if status != 200 || strings.Count(body, `"available":true`) < 5 || strings.Count(body, `"code":"insufficient_tier"`) != 2 {
			t.Errorf("models: %d %s", status, body)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		cmd, address = start(t, state)
	}
}
