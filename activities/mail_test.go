package activities_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/letters"
	"github.com/paystage/paystage/money"
)

const (
	adasAddress = "ada@example.com"
	approvedID  = "purchase-0198-1-approved"
)

var approved = letters.PurchaseApproved(
	letters.Reader{Company: "Paystage", Name: "Zoë Ada", AccountID: "acc_1"}, letters.Purchase{ID: "0198-1", Amount: 2550 * money.Cent})

// opened is a mail as its reader gets it: the header and both forms of the letter.
func opened(t *testing.T, text string) (header mail.Header, got letters.Letter) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	done(t, err)
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	done(t, err)
	same(t, "kind", kind, "multipart/alternative")
	forms := multipart.NewReader(m.Body, params["boundary"])
	// The last form is the one that a mail client prefers (RFC 2046).
	for _, form := range []struct {
		kind string
		into *string
	}{{"text/plain", &got.Text}, {"text/html", &got.HTML}} {
		part, err := forms.NextPart()
		done(t, err)
		kind, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		done(t, err)
		same(t, "form", kind+" "+params["charset"], form.kind+" UTF-8")
		decoded, err := io.ReadAll(part)
		done(t, err)
		*form.into = strings.ReplaceAll(string(decoded), "\r\n", "\n")
	}
	_, err = forms.NextPart()
	same(t, "forms", err, io.EOF)
	got.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	done(t, err)
	return m.Header, got
}

// confirms holds what arrived against what was sent.
func confirms(t *testing.T, text string) {
	t.Helper()
	header, got := opened(t, text)
	to, err := header.AddressList("To")
	done(t, err)
	same(t, "to", to[0].Address, adasAddress)
	from, err := header.AddressList("From")
	done(t, err)
	same(t, "from", from[0].Address, "billing@paystage.example")
	same(t, "message id", header.Get("Message-ID"), "<"+approvedID+"@paystage>")
	same(t, "auto-submitted", header.Get("Auto-Submitted"), "auto-generated")
	same(t, "letter", got, approved)
}

func TestR24MailIntoFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "here")
	m, err := activities.NewMail(dir, "", "billing@paystage.example")
	done(t, err)
	for range 2 { // a repeat is the same file
		done(t, m.Send(t.Context(), approvedID, adasAddress, approved))
	}
	files, err := os.ReadDir(dir)
	done(t, err)
	same(t, "files", len(files), 1)
	same(t, "file", files[0].Name(), "purchase-0198-1-approved.eml")
	text, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	done(t, err)
	confirms(t, string(text))
}

func TestMailIntoAFolderThatIsGone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mail")
	m, err := activities.NewMail(dir, "", "billing@paystage.example")
	done(t, err)
	done(t, os.Remove(dir))
	if err := m.Send(t.Context(), approvedID, adasAddress, approved); err == nil {
		t.Error("nothing was written, and nobody says so")
	}
}

// postOffice is a mail server for one test.
type postOffice struct {
	address string
	// refusal is its answer to a recipient; "" takes all.
	refusal string

	mu      sync.Mutex
	letters []string
}

func newPostOffice(t *testing.T, refusal string) *postOffice {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	done(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	o := &postOffice{address: listener.Addr().String(), refusal: refusal}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go o.serve(conn)
		}
	}()
	return o
}

func (o *postOffice) serve(conn net.Conn) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	say := func(answer string) { _, _ = fmt.Fprintf(conn, "%s\r\n", answer) }
	say("220 office.example")
	for lines.Scan() {
		command, _, _ := strings.Cut(strings.ToUpper(lines.Text()), " ")
		switch {
		case command == "EHLO":
			say("250-office.example\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
		case command == "RCPT" && o.refusal != "":
			say(o.refusal)
		case command == "DATA":
			say("354 go on")
			o.take(lines)
			say("250 2.0.0 taken")
		case command == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (o *postOffice) take(lines *bufio.Scanner) {
	var text strings.Builder
	for lines.Scan() && lines.Text() != "." {
		text.WriteString(strings.TrimPrefix(lines.Text(), ".") + "\r\n")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.letters = append(o.letters, text.String())
}

func TestR24MailByAServer(t *testing.T) {
	t.Parallel()
	office := newPostOffice(t, "")
	m, err := activities.NewMail("", "smtp://"+office.address, "billing@paystage.example")
	done(t, err)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := m.Send(t.Context(), approvedID, adasAddress, approved); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	same(t, "letters", len(office.letters), 8)
	for _, text := range office.letters {
		confirms(t, text)
	}
}

// I9: a refusal says which mail and why, and not to whom: the error is logged and
// kept in the outbox.
func TestI9MailErrorsNameNobody(t *testing.T) {
	t.Parallel()
	office := newPostOffice(t, "550 5.1.1 <ada@example.com> is unknown here")
	m, err := activities.NewMail("", "smtp://"+office.address, "billing@paystage.example")
	done(t, err)
	for _, c := range []struct {
		to   string
		says []string
	}{{adasAddress, []string{approvedID, "550", "5.1.1"}}, {"ada@@example.com", []string{approvedID, "cannot be written to"}}} {
		err := m.Send(t.Context(), approvedID, c.to, approved)
		if !errors.Is(err, activities.ErrMailRefused) {
			t.Fatalf("got %v", err)
		}
		if strings.Contains(err.Error(), "ada@") {
			t.Errorf("it names the customer: %v", err)
		}
		for _, word := range c.says {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("it does not say %q: %v", word, err)
			}
		}
	}
	closed, err := activities.NewMail("", "smtp://127.0.0.1:1", "billing@paystage.example")
	done(t, err)
	busy, err := activities.NewMail("", "smtp://"+newPostOffice(t, "450 4.2.1 <ada@example.com> later").address, "billing@paystage.example")
	done(t, err)
	for name, m := range map[string]*activities.Mail{"without a server": closed, "of a busy server": busy} {
		err := m.Send(t.Context(), approvedID, adasAddress, approved)
		if err == nil || errors.Is(err, activities.ErrMailRefused) || strings.Contains(err.Error(), "ada@") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewMailNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	done(t, os.WriteFile(file, nil, 0o600))
	for name, c := range map[string]struct{ dir, url, from, names string }{
		"NoHost":        {"", "smtp://", "a@b.example", "SMTP_URL"},
		"NoScheme":      {"", "mail.example:587", "a@b.example", "SMTP_URL"},
		"AnotherScheme": {"", "https://mail.example", "a@b.example", "SMTP_URL"},
		"NotAURL":       {"", "smtp://user:pass word@%zz", "a@b.example", "SMTP_URL"},
		"Neither":       {"", "", "a@b.example", "SMTP_URL"},
		"PortOfNothing": {"", "smtp://mail.example:0", "a@b.example", "SMTP_URL"},
		"NotAFolder":    {file, "", "a@b.example", "MAIL_DIR"},
		"NoSender":      {"", "smtp://mail.example", "", "MAIL_FROM"},
		"NotASender":    {t.TempDir(), "", "billing", "MAIL_FROM"},
	} {
		_, err := activities.NewMail(c.dir, c.url, c.from)
		if err == nil || !strings.Contains(err.Error(), c.names) || strings.Contains(err.Error(), "pass word") {
			t.Errorf("%s: got %v, want it to name %s", name, err, c.names)
		}
	}
}
