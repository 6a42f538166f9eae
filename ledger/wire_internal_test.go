package ledger

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// Each read waits for no longer than the bound or, where that is earlier, than the
// user of the connection lets it; a deadline that comes while it waits holds too.
func TestConnectionsAreBounded(t *testing.T) {
	const never = time.Hour
	for name, c := range map[string]struct {
		silence time.Duration
		user    func(net.Conn)
	}{
		"ByTheirOwn":           {10 * time.Millisecond, func(net.Conn) {}},
		"ByTheUsersBefore":     {never, func(c net.Conn) { _ = c.SetDeadline(time.Now().Add(10 * time.Millisecond)) }},
		"ByTheUsersThatIsOver": {never, func(c net.Conn) { _ = c.SetReadDeadline(time.Unix(1, 0)) }},
		"ByTheUsersMeanwhile": {never, func(c net.Conn) {
			time.AfterFunc(10*time.Millisecond, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
		}},
		"ByTheirOwnAfterTheUsersIsTakenBack": {10 * time.Millisecond, func(c net.Conn) {
			_ = c.SetDeadline(time.Now().Add(never))
			_ = c.SetDeadline(time.Time{})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			dial := bounded(func(context.Context, string, string) (net.Conn, error) { return near, nil }, c.silence)
			conn, err := dial(t.Context(), "tcp", "database")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c.user(conn)
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
}
