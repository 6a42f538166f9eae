package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// The range ports are picked from. It lies below the range that Linux hands to
// outgoing connections, so that a remembered port is not taken by chance.
const (
	firstPort = 20000
	lastPort  = 29999
)

// predecessorEndsWithin is how long a remembered port may still be in use by the
// run before.
const predecessorEndsWithin = time.Second

// Ports gives every part of a stack a free port of its own and remembers it, so
// that addresses survive a restart.
type Ports struct {
	mu   sync.Mutex
	path string
	held map[string]int
}

// OpenPorts reads the remembered ports of a folder.
func OpenPorts(d Dir) (*Ports, error) {
	p := &Ports{path: d.State("ports.json"), held: map[string]int{}}
	text, err := os.ReadFile(p.path)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ports: %w", err)
	}
	if err := json.Unmarshal(text, &p.held); err != nil {
		return nil, fmt.Errorf("read ports from %s: %w", p.path, err)
	}
	return p, nil
}

// Get gives the port of a part: the remembered one while it is free, else a new
// one that is remembered from now on.
func (p *Ports) Get(part string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if port, ok := p.held[part]; ok && becomesFree(port) {
		return port, nil
	}
	port, err := p.pick()
	if err != nil {
		return 0, err
	}
	p.held[part] = port
	text, err := json.MarshalIndent(p.held, "", "  ")
	if err != nil {
		return 0, fmt.Errorf("remember ports: %w", err)
	}
	if err := replaceFile(p.path, text, 0o644); err != nil {
		return 0, fmt.Errorf("remember ports: %w", err)
	}
	return port, nil
}

// pick finds a free port that no part of this stack remembers.
func (p *Ports) pick() (int, error) {
	taken := map[int]bool{}
	for _, port := range p.held {
		taken[port] = true
	}
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if !taken[port] && free(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port between %d and %d: 200 tries found none", firstPort, lastPort)
}

// becomesFree gives a part of the run before, if that was killed, a moment to end.
func becomesFree(port int) bool {
	deadline := time.Now().Add(predecessorEndsWithin)
	for !free(port) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(probeEvery)
	}
	return true
}

func free(port int) bool {
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// loopback is the address of a port on this machine alone.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
