package billing

import (
	"time"

	"github.com/paystage/paystage/models"
)

const (
	// DefaultAuthorizationDays is how long a customer has to approve a payment (R37).
	DefaultAuthorizationDays = 7
	// linkAfter is how long a customer who was sent to the bank is left alone before the
	// link is mailed as well.
	linkAfter = 10 * time.Minute

	// An open payment is asked about again after a part of the time that it has been open
	// for: often at first, and rarely when days go by. Stripe's word comes before that.
	lookFraction = 8
	firstLook    = 5 * time.Second
	lastLook     = time.Hour
)

// reminders are when a customer is told, from when the first mail was due: at once,
// and on days 1, 3 and 5 (R38).
var reminders = [...]time.Duration{0, 24 * time.Hour, 3 * 24 * time.Hour, 5 * 24 * time.Hour}

// LinkAt is when the link of an authorization that is opened at that time is mailed:
// at once, but not to a customer who is at the bank already.
func LinkAt(onSession bool, at time.Time) time.Time {
	if onSession {
		return at.Add(linkAfter)
	}
	return at
}

// AuthorizationMail is a mail that is due about an authorization.
type AuthorizationMail string

// The mails. "" is none.
const (
	MailLink     AuthorizationMail = "link"
	MailReminder AuthorizationMail = "reminder"
)

// AuthorizationStep is what an authorization has to do at a time.
type AuthorizationStep struct {
	// Mail is what is due, and Mails how many are then behind it. Those that were missed
	// are not caught up with: one tells what all of them would.
	Mail  AuthorizationMail
	Mails int
	// Close is how it is to end unless the bank has approved; "" is not yet.
	Close models.AuthorizationState
	// LookAt is when to look again at the latest.
	LookAt time.Time
}

// NextAuthorization decides what an open authorization does at that time (R37, R38).
func NextAuthorization(a models.Authorization, at time.Time) AuthorizationStep {
	step := AuthorizationStep{Mails: a.Mails, LookAt: at.Add(lookPause(a, at))}
	switch {
	case a.Closing != nil:
		step.Close = *a.Closing
		return step
	case !at.Before(a.ExpiresAt):
		step.Close = models.AuthorizationExpired
		return step
	}
	step.LookAt = earliest(step.LookAt, a.ExpiresAt)
	for n, after := range reminders {
		due := a.LinkAt.Add(after)
		if n < a.Mails || !due.Before(a.ExpiresAt) {
			continue
		}
		if due.After(at) {
			step.LookAt = earliest(step.LookAt, due)
			break
		}
		step.Mail, step.Mails = MailReminder, n+1
	}
	if step.Mail != "" && a.Mails == 0 {
		step.Mail = MailLink
	}
	return step
}

// lookPause is how long to wait for Stripe's word before asking.
func lookPause(a models.Authorization, at time.Time) time.Duration {
	since := a.CreatedAt
	if a.OpenedAt != nil && a.OpenedAt.After(since) {
		since = *a.OpenedAt
	}
	return min(max(at.Sub(since)/lookFraction, firstLook), lastLook)
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
