package sim_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paystage/paystage/stripesim/sim"
)

// A worker that is killed while it sends has sent no request: nothing is executed,
// nothing is noted, and nobody judges half a form.
func TestRequestThatItsCallerCutsIsNone(t *testing.T) {
	const head = "POST /v1/customers HTTP/1.1\r\nHost: stripe\r\nAuthorization: Bearer " + testKey +
		"\r\nIdempotency-Key: k1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	tests := []struct{ name, sent string }{
		{"InItsHead", head},
		{"BeforeItsBody", head + "Content-Length: 21\r\n\r\n"},
		{"InItsBody", head + "Content-Length: 21\r\n\r\nemail=ada@"},
		{"BetweenChunks", head + "Transfer-Encoding: chunked\r\n\r\n15\r\nemail=ada@example.com\r\n"},
		{"InAChunk", head + "Transfer-Encoding: chunked\r\n\r\n15\r\nemail=ada@"},
		{"AtAnAddressThatIsNone", strings.Replace(head, "customers", "nowhere", 1) + "Content-Length: 21\r\n\r\nemail=ada@"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var seen atomic.Int32
			opts := quietly(sim.Options{OnExchange: func(sim.Exchange) { seen.Add(1) }})
			srv, err := sim.New(opts)
			if err != nil {
				t.Fatal(err)
			}
			d := serve(t, srv)
			sendAndDie(t, strings.TrimPrefix(d.url, "http://"), test.sent)
			if n := len(d.Requests()); n != 0 || seen.Load() != 0 {
				t.Errorf("%d requests are noted, %d were told: %+v", n, seen.Load(), d.Requests())
			}
			if customers := d.api.Customers.List(nil); customers.Next() {
				t.Errorf("customer %s was made", customers.Customer().ID)
			}
			wholeAfterwards(t, d, head)
		})
	}
}

// sendAndDie sends what there is and ends its side; the double's end of the
// connection is the sign that it has dealt with it.
func sendAndDie(t *testing.T, address, sent string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, sent); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, conn) // whatever it says, and a reset is an end too
}

// wholeAfterwards sends the same request in full: its key is free.
func wholeAfterwards(t *testing.T, d *double, head string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, head+"Content-Length: 21\r\n\r\nemail=ada@example.com"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the whole request is answered %s", answer.Status)
	}
}
