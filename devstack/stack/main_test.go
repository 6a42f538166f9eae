package stack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// standIn names what the test binary does instead of testing, so that a test can
// kill it as a process of its own.
const standIn = "PAYSTAGE_TEST_STAND_IN"

func TestMain(m *testing.M) {
	switch os.Getenv(standIn) {
	case "":
		os.Exit(m.Run())
	case "parent":
		standInForParent()
	case "postgres":
		standInForPostgres()
	}
}

// standInForParent starts a child that would live long, prints its id and waits.
func standInForParent() {
	child, err := Start(Command{Name: "child", Path: "/bin/sleep", Args: []string{"600"}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(child.PID())
	select {}
}

// standInForPostgres starts the cluster in a folder, prints its port and waits.
func standInForPostgres() {
	dir := Dir(os.Getenv("PAYSTAGE_TEST_DIR"))
	server, err := startCluster(context.Background(), dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(server.config.Port)
	select {}
}

func startCluster(ctx context.Context, dir Dir) (*Postgres, error) {
	ports, err := OpenPorts(dir)
	if err != nil {
		return nil, err
	}
	port, err := ports.Get("postgres")
	if err != nil {
		return nil, err
	}
	server, err := OpenPostgres(ctx, PostgresConfig{Home: clusterHome(dir), Port: port, Log: dir.Log("postgres")})
	if err != nil {
		return nil, err
	}
	return server, server.Start(ctx)
}

// runStandIn runs the test binary as something else and gives its first number.
func runStandIn(t *testing.T, what string, env ...string) (*Process, int) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	p, err := Start(Command{
		Name: what, Path: os.Args[0], Log: log,
		Env: append(append(os.Environ(), standIn+"="+what), env...),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	var number int
	eventually(t, "the stand-in to print a number", func() bool {
		text, _ := os.ReadFile(log)
		_, err := fmt.Sscan(string(text), &number)
		return err == nil
	})
	return p, number
}

// eventually waits for a condition that nothing announces.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// alive says whether a process runs; one that ended and was not yet reaped does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	var id int
	var name, state string
	if _, err := fmt.Sscan(string(text), &id, &name, &state); err != nil {
		return false
	}
	return state != "Z"
}
