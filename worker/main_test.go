package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/paystage/paystage/config"
	"github.com/paystage/paystage/devstack/stack"
	"github.com/paystage/paystage/workflows"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
)

// childVariable holds, in a process that a test started as a worker, how it is to run.
const childVariable = "PAYSTAGE_TEST_WORKER"

// child is a worker in a process of its own, which can be killed and can die by
// itself at a point of its work.
type child struct {
	Settings config.Worker
	Queues   workflows.Queues
	// Activity and After name the point at which it dies: before an activity's
	// effect, or after the effect and before anybody hears of it.
	Activity string
	After    bool
}

func TestMain(m *testing.M) {
	// The worker finds Temporal by its own variables.
	if address := os.Getenv(stack.TestTemporalAddress); address != "" && os.Getenv("TEMPORAL_ADDRESS") == "" {
		_ = os.Setenv("TEMPORAL_ADDRESS", address)
	}
	if text := os.Getenv(childVariable); text != "" {
		os.Exit(runChild(text))
	}
	os.Exit(m.Run())
}

// runChild is a worker process: this program's run, which dies where it is told.
// It ends with its standard input, so that no test leaves one behind.
func runChild(text string) int {
	var c child
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		fmt.Fprintln(os.Stderr, "test worker:", err)
		return 2
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println("started")
	w := wiring{queues: c.Queues}
	if c.Activity != "" {
		w.interceptors = []interceptor.WorkerInterceptor{&deadly{at: c}}
	}
	if err := run(context.Background(), c.Settings, w, quiet()); err != nil {
		fmt.Fprintln(os.Stderr, "test worker:", err)
		return 1
	}
	return 0
}

// deadly kills the process at an activity's boundary.
type deadly struct {
	interceptor.WorkerInterceptorBase
	at child
}

func (d *deadly) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &deadlyActivity{at: d.at}
	i.Next = next
	return i
}

type deadlyActivity struct {
	interceptor.ActivityInboundInterceptorBase
	at child
}

func (d *deadlyActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	here := activity.GetInfo(ctx).ActivityType.Name == d.at.Activity
	if here && !d.at.After {
		die()
	}
	result, err := d.Next.ExecuteActivity(ctx, in)
	if here {
		die()
	}
	return result, err
}

// die ends the process as SIGKILL does: nothing is flushed, told or closed.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// spawn starts a worker process for the system, to die at the point given ("" for
// none). The channel closes when the process has ended, however it did.
func (s *system) spawn(diesAt string, after bool) (process *os.Process, dead <-chan struct{}) {
	s.t.Helper()
	text, err := json.Marshal(child{Settings: s.settings, Queues: s.queues, Activity: diesAt, After: after})
	require.NoError(s.t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(s.t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, cmd.Start())
	_, err = bufio.NewReader(stdout).ReadString('\n')
	require.NoError(s.t, err, "test worker did not start")
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	s.t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Process.Kill(); <-ended })
	return cmd.Process, ended
}
