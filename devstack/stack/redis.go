package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// Debian's redis-server and its redis-check-rdb are one program, which goes by the
// name that it is called by. The package of the latter starts no service.
const (
	redisProgram = "redis-server"
	redisTwin    = "redis-check-rdb"
	redisPackage = "redis-tools"
)

// InstallRedis installs Debian's Redis unless there is one: tests of the rate limit
// that gateways share need it.
func InstallRedis(ctx context.Context, progress *Progress) error {
	if _, err := findRedis(); err == nil {
		return nil
	}
	return progress.Step("redis", "install Debian's "+redisPackage+", for tests of shared rate limits", func() error {
		return installPackages(ctx, redisPackage)
	})
}

func findRedis() (string, error) {
	if path, err := exec.LookPath(redisProgram); err == nil {
		return path, nil
	}
	path, err := exec.LookPath(redisTwin)
	if err != nil {
		return "", errors.New("there is no redis-server here: run `make tools`, or `apt-get install redis-tools` as root")
	}
	return path, nil
}

// StartRedis starts a Redis on a port of this machine alone that keeps nothing on
// disk, and waits until it takes connections.
func StartRedis(ctx context.Context, dir Dir, port int) (*Process, error) {
	found, err := findRedis()
	if err != nil {
		return nil, err
	}
	// Under the name by which the program knows what it is to be.
	path := dir.State(redisProgram)
	if err := os.Symlink(found, path); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("start redis: %w", err)
	}
	p, err := Start(Command{
		Name: "redis", Path: path, Log: dir.Log("redis"), Dir: dir.State(),
		Args: []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "", "--appendonly", "no"},
	})
	if err != nil {
		return nil, err
	}
	if err := awaitReady(ctx, p, partReadyWithin, listenProbe(loopback(port))); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}
