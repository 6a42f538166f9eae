package activities

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/paystage/paystage/letters"
	"github.com/wneessen/go-mail"
)

// Mail sends what customers are told by email: over SMTP, or into files for
// development. It sends at least once; a repeat has the same Message-ID, so that
// a mail client folds it.
type Mail struct {
	from string
	// One of the two is set.
	dir  string
	smtp *mail.Client
}

// ErrMailRefused: the mail itself is the trouble, not the way to its server. The
// address is none, or the server answered that it will not take it (5xx).
var ErrMailRefused = errors.New("refused for good")

// smtpTimeout bounds each step of a delivery.
const smtpTimeout = 10 * time.Second

// NewMail makes a sender: into files of dir, or if that is "" through the server
// of smtpURL (smtp://user:password@host:587, with STARTTLS, which a server may lack
// only if there is no password to send to it; smtps:// for TLS from the start).
func NewMail(dir, smtpURL, from string) (*Mail, error) {
	if err := mail.NewMsg().From(from); err != nil {
		return nil, fmt.Errorf("MAIL_FROM: %w", err)
	}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("MAIL_DIR: %w", err)
		}
		return &Mail{from: from, dir: dir}, nil
	}
	address, err := url.Parse(smtpURL)
	if err != nil || address.Hostname() == "" || (address.Scheme != "smtp" && address.Scheme != "smtps") {
		return nil, fmt.Errorf("SMTP_URL: want smtp://user:password@host:port, or set MAIL_DIR to write mails to files")
	}
	options := []mail.Option{mail.WithTimeout(smtpTimeout), mail.WithTLSPolicy(mail.TLSOpportunistic)}
	if address.Scheme == "smtps" {
		options = append(options, mail.WithSSLPort(false), mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if port, err := strconv.Atoi(address.Port()); err == nil {
		options = append(options, mail.WithPort(port))
	}
	if address.User != nil {
		password, _ := address.User.Password()
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithTLSPolicy(mail.TLSMandatory),
			mail.WithUsername(address.User.Username()), mail.WithPassword(password))
	}
	client, err := mail.NewClient(address.Hostname(), options...)
	if err != nil {
		return nil, fmt.Errorf("SMTP_URL: %w", err)
	}
	return &Mail{from: from, smtp: client}, nil
}

// Send delivers one letter whose Message-ID, or file name, is made from id: what the
// letter is about and which one of it. Whoever sends the same again takes the same id.
func (m *Mail) Send(ctx context.Context, id, to string, letter letters.Letter) error {
	message := mail.NewMsg()
	if err := message.From(m.from); err != nil {
		return fmt.Errorf("MAIL_FROM: %w", err)
	}
	if err := message.To(to); err != nil {
		return fmt.Errorf("mail %s: %w: the account's email address cannot be written to", id, ErrMailRefused)
	}
	message.Subject(letter.Subject)
	message.SetMessageIDWithValue(id + "@paystage")
	// So that no absence note answers (RFC 3834).
	message.SetGenHeader("Auto-Submitted", "auto-generated")
	message.SetBodyString(mail.TypeTextPlain, letter.Text)
	message.AddAlternativeString(mail.TypeTextHTML, letter.HTML)
	if m.dir == "" {
		return undelivered(id, m.smtp.DialAndSendWithContext(ctx, message))
	}
	file := filepath.Join(m.dir, id+".eml")
	if err := message.WriteToFile(file + ".part"); err != nil {
		return fmt.Errorf("mail %s: %w", id, err)
	}
	if err := os.Rename(file+".part", file); err != nil {
		return fmt.Errorf("mail %s: %w", id, err)
	}
	return nil
}

// undelivered is an error of a delivery without the recipient's address, which the
// library's text names, and the server's answer in it too (I9).
func undelivered(id string, err error) error {
	if err == nil {
		return nil
	}
	var refused *mail.SendError
	if !errors.As(err, &refused) {
		return fmt.Errorf("mail %s: %w", id, err)
	}
	answer := fmt.Sprintf("%s: answer %d %s", refused.Reason, refused.ErrorCode(), refused.EnhancedStatusCode())
	if refused.ErrorCode() >= 500 {
		return fmt.Errorf("mail %s: %w: %s", id, ErrMailRefused, answer)
	}
	return fmt.Errorf("mail %s: %s", id, answer)
}
