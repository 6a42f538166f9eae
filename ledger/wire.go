package ledger

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// bounded makes connections on which no read waits for longer than that. A database
// that hangs without closing them would else hold whoever asks for as long as they
// let it: statement_timeout is the server's own to keep.
func bounded(dial pgconn.DialFunc, silence time.Duration) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &boundedConn{Conn: conn, silence: silence}, nil
	}
}

// boundedConn gives each read and write a deadline. One that its user sets, because
// the caller's time is over, holds where it is earlier.
type boundedConn struct {
	net.Conn
	silence time.Duration

	mu          sync.Mutex
	read, write time.Time // as the user set them; zero is none
}

func (c *boundedConn) Read(into []byte) (int, error) {
	if err := c.bound(c.Conn.SetReadDeadline, &c.read); err != nil {
		return 0, err
	}
	return c.Conn.Read(into)
}

func (c *boundedConn) Write(from []byte) (int, error) {
	if err := c.bound(c.Conn.SetWriteDeadline, &c.write); err != nil {
		return 0, err
	}
	return c.Conn.Write(from)
}

// bound sets the deadline of what comes next, unless an earlier one is set.
func (c *boundedConn) bound(set func(time.Time) error, users *time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	deadline := time.Now().Add(c.silence)
	if !users.IsZero() && users.Before(deadline) {
		deadline = *users
	}
	return set(deadline)
}

func (c *boundedConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.write = t, t
	return c.Conn.SetDeadline(t)
}

func (c *boundedConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = t
	return c.Conn.SetReadDeadline(t)
}

func (c *boundedConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = t
	return c.Conn.SetWriteDeadline(t)
}
