package testenv

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// PostOffice is a mail server for a test. It speaks as much SMTP as a sender needs.
type PostOffice struct {
	// Address is where it listens, or is to listen; a free port if empty.
	Address string
	// Refusal is its answer to a recipient; "" takes all.
	Refusal string
	// Roots, where it is not nil, has the office offer STARTTLS, and then trusts it.
	Roots *x509.CertPool
	// User and Password, where they are set, are asked for before it takes a letter.
	User, Password string

	certificate tls.Certificate
	mu          sync.Mutex
	letters     []string
	sessions    chan string
}

// Letters are those that it took, as they came.
func (o *PostOffice) Letters() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.letters)
}

// Session waits for a conversation to end and gives its commands in one line, without
// their arguments and those that do nothing; what came encrypted follows tls.
func (o *PostOffice) Session(t *testing.T) string {
	t.Helper()
	select {
	case said := <-o.sessions:
		return said
	case <-time.After(stepWithin):
		t.Fatal("nobody has ended a conversation with the mail server")
		return ""
	}
}

// Open has it take letters until close is called, or the test ends.
func (o *PostOffice) Open(t *testing.T) (closed func()) {
	t.Helper()
	if o.Roots != nil {
		o.certify(t)
	}
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", o.Address)
	if err != nil {
		t.Fatal(err)
	}
	o.Address = listener.Addr().String()
	if o.sessions == nil {
		o.sessions = make(chan string, 64)
	}
	closed = func() { _ = listener.Close() }
	t.Cleanup(closed)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go o.serve(conn)
		}
	}()
	return closed
}

// certify makes the office's certificate, for 127.0.0.1, and trusts it.
func (o *PostOffice) certify(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	o.Roots.AddCert(leaf)
	o.certificate = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// conversation is one connection of a sender.
type conversation struct {
	*PostOffice
	conn      net.Conn
	lines     *bufio.Scanner
	encrypted bool
	known     bool
	said      []string
}

func (o *PostOffice) serve(conn net.Conn) {
	c := &conversation{PostOffice: o, conn: conn, lines: bufio.NewScanner(conn), known: o.User == ""}
	defer func() { _ = c.conn.Close() }()
	c.say("220 office.example")
	for c.lines.Scan() {
		command, argument, _ := strings.Cut(c.lines.Text(), " ")
		if command = strings.ToUpper(command); command != "NOOP" && command != "RSET" {
			c.said = append(c.said, command)
		}
		if !c.answer(command, argument) {
			break
		}
	}
	select {
	case o.sessions <- strings.Join(c.said, " "):
	default: // nobody asks
	}
}

func (c *conversation) say(answer string) { _, _ = fmt.Fprintf(c.conn, "%s\r\n", answer) }

// answer answers a command, and says whether the conversation goes on.
func (c *conversation) answer(command, argument string) bool {
	switch {
	case command == "EHLO":
		c.say("250-office.example")
		if c.Roots != nil && !c.encrypted {
			c.say("250-STARTTLS")
		}
		if c.User != "" {
			c.say("250-AUTH PLAIN")
		}
		c.say("250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
	case command == "STARTTLS":
		c.say("220 go on")
		c.conn = tls.Server(c.conn, &tls.Config{Certificates: []tls.Certificate{c.certificate}, MinVersion: tls.VersionTLS12})
		c.lines, c.encrypted = bufio.NewScanner(c.conn), true
		c.said = append(c.said, "tls")
	case command == "AUTH":
		c.known = argument == "PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+c.User+"\x00"+c.Password))
		if c.known {
			c.say("235 2.7.0 welcome")
		} else {
			c.say("535 5.7.8 who are you")
		}
	case !c.known && command != "QUIT":
		c.say("530 5.7.0 who are you")
	case command == "RCPT" && c.Refusal != "":
		c.say(c.Refusal)
	case command == "DATA":
		c.say("354 go on")
		c.take()
		c.say("250 2.0.0 taken")
	case command == "QUIT":
		c.say("221 bye")
		return false
	default:
		c.say("250 ok")
	}
	return true
}

func (c *conversation) take() {
	var text strings.Builder
	for c.lines.Scan() && c.lines.Text() != "." {
		text.WriteString(strings.TrimPrefix(c.lines.Text(), ".") + "\r\n")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.letters = append(c.letters, text.String())
}
