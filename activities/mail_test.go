package activities_test

import (
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/letters"
	"github.com/paystage/paystage/money"
	"github.com/paystage/paystage/testenv"
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

// office opens a mail server for a test.
func office(t *testing.T, o *testenv.PostOffice) *testenv.PostOffice {
	t.Helper()
	o.Open(t)
	return o
}

func TestR24MailByAServer(t *testing.T) {
	t.Parallel()
	office := office(t, &testenv.PostOffice{})
	m, err := activities.NewMail("", "smtp://"+office.Address, "billing@paystage.example")
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
	same(t, "letters", len(office.Letters()), 8)
	for _, text := range office.Letters() {
		confirms(t, text)
	}
}

// A user's password is sent to a server that proves who it is, or not at all; without
// a password the letter goes as safely as the server can.
func TestMailIsEncryptedAndAuthenticated(t *testing.T) {
	t.Parallel()
	const whole = "EHLO STARTTLS tls EHLO AUTH MAIL RCPT DATA QUIT"
	for name, c := range map[string]struct {
		office *testenv.PostOffice
		user   string
		trust  bool
		// session is the conversation; wrong is in the error, "" if there is none.
		session, wrong string
	}{
		"StartTLSAndPassword": {&testenv.PostOffice{Roots: x509.NewCertPool(), User: "ada", Password: "s3cret:/@"}, "ada:s3cret%3A%2F%40@", true, whole, ""},
		"StartTLSAlone":       {&testenv.PostOffice{Roots: x509.NewCertPool()}, "", true, "EHLO STARTTLS tls EHLO MAIL RCPT DATA QUIT", ""},
		"Neither":             {&testenv.PostOffice{}, "", true, "EHLO MAIL RCPT DATA QUIT", ""},
		"WrongPassword":       {&testenv.PostOffice{Roots: x509.NewCertPool(), User: "ada", Password: "s3cret"}, "ada:guess@", true, "", "535"},
		"PasswordInTheClear":  {&testenv.PostOffice{User: "ada", Password: "s3cret"}, "ada:s3cret@", true, "", "STARTTLS"},
		"UntrustedServer":     {&testenv.PostOffice{Roots: x509.NewCertPool(), User: "ada", Password: "s3cret"}, "ada:s3cret@", false, "", "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			office := office(t, c.office)
			m, err := activities.NewMail("", "smtp://"+c.user+office.Address, "billing@paystage.example")
			done(t, err)
			if c.trust && office.Roots != nil {
				done(t, activities.TrustMailServer(m, office.Roots))
			}
			err = m.Send(t.Context(), approvedID, adasAddress, approved)
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("got %v, want an error that says %s", err, c.wrong)
				}
				same(t, "letters", len(office.Letters()), 0)
				if session := office.Session(t); strings.Contains(session, "AUTH") && !strings.Contains(session, "tls") {
					t.Errorf("the password was sent in the clear: %s", session)
				}
				return
			}
			done(t, err)
			same(t, "session", office.Session(t), c.session)
			same(t, "letters", len(office.Letters()), 1)
			confirms(t, office.Letters()[0])
		})
	}
}

// A letter's subject cannot add a header, and its text cannot end it.
func TestNoLetterForgesTheMail(t *testing.T) {
	t.Parallel()
	office := office(t, &testenv.PostOffice{})
	m, err := activities.NewMail("", "smtp://"+office.Address, "billing@paystage.example")
	done(t, err)
	forged := letters.Letter{Subject: "Hello\r\nBcc: all@example.com\r\n\r\nx", Text: "one\n.\ntwo\n.three", HTML: "<p>one\n.\ntwo</p>"}
	done(t, m.Send(t.Context(), approvedID, adasAddress, forged))
	same(t, "letters", len(office.Letters()), 1)
	header, got := opened(t, office.Letters()[0])
	if header.Get("Bcc") != "" || len(header["To"]) != 1 {
		t.Errorf("headers: %v", header)
	}
	same(t, "text", strings.TrimSuffix(got.Text, "\n"), forged.Text)
	same(t, "html", strings.TrimSuffix(got.HTML, "\n"), forged.HTML)
}

// I9: a refusal says which mail and why, and not to whom: the error is logged and
// kept in the outbox.
func TestI9MailErrorsNameNobody(t *testing.T) {
	t.Parallel()
	refusing := office(t, &testenv.PostOffice{Refusal: "550 5.1.1 <ada@example.com> is unknown here"})
	m, err := activities.NewMail("", "smtp://"+refusing.Address, "billing@paystage.example")
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
	busy, err := activities.NewMail("", "smtp://"+office(t, &testenv.PostOffice{Refusal: "450 4.2.1 <ada@example.com> later"}).Address, "billing@paystage.example")
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
