package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/stripesim/judge"
)

func TestRunServesUntilInterrupted(t *testing.T) {
	written := filepath.Join(t.TempDir(), "transcript")
	ctx, interrupt := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--listen", "127.0.0.1:0", "--state", filepath.Join(t.TempDir(), "state"), "--transcript", written}, in, io.Discard)
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	base, found := strings.CutPrefix(strings.TrimSpace(line), "stripesim listening on ")
	if !found {
		t.Fatalf("printed %q", line)
	}
	order := `{"path":"/v1/customers","kind":"timeout_after"}`
	resp, err := http.Post(base+"/_sim/faults", "application/json", strings.NewReader(order))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()

	// An answer that a fault withholds must not hold up the end.
	withheld := make(chan error, 1)
	go func() {
		req, err := http.NewRequest(http.MethodPost, base+"/v1/customers", nil)
		if err == nil {
			req.Header.Set("Authorization", "Bearer sk_test_1")
			_, err = http.DefaultClient.Do(req)
		}
		withheld <- err
	}()
	awaitFaultTaken(t, base)
	interrupt()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if <-withheld == nil {
		t.Error("the withheld answer came")
	}
	judge.Transcript(t, written)
	if lines, err := os.ReadFile(written); err != nil || bytes.Count(lines, []byte("\n")) != 2 {
		t.Errorf("written: %s, %v", lines, err)
	}
}

func awaitFaultTaken(t *testing.T, base string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		resp, err := http.Get(base + "/_sim/faults")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(body, []byte(`"faults":[]`)) {
			return
		}
	}
	t.Fatal("no request met the fault")
}

func TestRunRefusesBadFlags(t *testing.T) {
	for _, args := range [][]string{{"--colour"}, {"serve"}, {"--processing-time", "soon"}} {
		if err := run(context.Background(), args, io.Discard, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%v: got %v", args, err)
		}
	}
	var help bytes.Buffer
	if err := run(context.Background(), []string{"--help"}, io.Discard, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-webhook-url") {
		t.Errorf("got %v and %s", err, help.String())
	}
	if err := run(context.Background(), []string{"--listen", "127.0.0.1:0", "--secret-key", "sk_live_1"}, io.Discard, io.Discard); err == nil || errors.Is(err, errUsage) {
		t.Errorf("a live key: got %v", err)
	}
}
