package billing_test

import (
	"slices"
	"testing"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

const day = 24 * time.Hour

// An authorization is followed from look to look, as its workflow does.
func TestR38RemindersAndExpiry(t *testing.T) {
	began := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		onSession bool
		lasts     time.Duration
		want      []time.Duration
	}{
		"off-session": {false, 7 * day, []time.Duration{0, day, 3 * day, 5 * day}},
		"on-session":  {true, 7 * day, []time.Duration{10 * time.Minute, 10*time.Minute + day, 10*time.Minute + 3*day, 10*time.Minute + 5*day}},
		"two days":    {false, 2 * day, []time.Duration{0, day}},
		"a day":       {false, day, []time.Duration{0}},
	} {
		t.Run(name, func(t *testing.T) {
			a := models.Authorization{CreatedAt: began, LinkAt: billing.LinkAt(c.onSession, began), ExpiresAt: began.Add(c.lasts)}
			var mailed []time.Duration
			looks := 0
			for at := began; ; looks++ {
				step := billing.NextAuthorization(a, at)
				if step.Close != "" {
					if step.Close != models.AuthorizationExpired || !at.Equal(a.ExpiresAt) {
						t.Errorf("closed as %s at %s", step.Close, at)
					}
					break
				}
				if want := billing.MailReminder; step.Mail != "" {
					if len(mailed) == 0 {
						want = billing.MailLink
					}
					if step.Mail != want {
						t.Errorf("mail %d is the %s", len(mailed), step.Mail)
					}
					mailed = append(mailed, at.Sub(began))
				}
				if !step.LookAt.After(at) {
					t.Fatalf("at %s the next look is at %s", at, step.LookAt)
				}
				a.Mails, at = step.Mails, step.LookAt
			}
			if !slices.Equal(mailed, c.want) {
				t.Errorf("mails at %v, want %v", mailed, c.want)
			}
			if looks > 300 {
				t.Errorf("%d looks: a history would grow long", looks)
			}
		})
	}
}

func TestMissedRemindersAreOne(t *testing.T) {
	began := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	a := models.Authorization{CreatedAt: began, LinkAt: began, ExpiresAt: began.Add(7 * day), Mails: 1}
	step := billing.NextAuthorization(a, began.Add(4*day))
	if step.Mail != billing.MailReminder || step.Mails != 3 {
		t.Errorf("after four days of silence: %+v", step)
	}
	a.Mails = 0
	if step = billing.NextAuthorization(a, began.Add(4*day)); step.Mail != billing.MailLink || step.Mails != 3 {
		t.Errorf("a link that is four days late: %+v", step)
	}
}

// Whoever goes to the bank is looked after closely again; a wish to end it comes first.
func TestLooksAfterOpeningAndClosing(t *testing.T) {
	began := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	at := began.Add(2 * day)
	a := models.Authorization{CreatedAt: began, LinkAt: began, ExpiresAt: began.Add(7 * day), Mails: 2}
	if pause := billing.NextAuthorization(a, at).LookAt.Sub(at); pause != time.Hour {
		t.Errorf("after two days it is looked at after %s", pause)
	}
	a.OpenedAt = &at
	if pause := billing.NextAuthorization(a, at).LookAt.Sub(at); pause != 5*time.Second {
		t.Errorf("after it was opened it is looked at after %s", pause)
	}
	for _, as := range []models.AuthorizationState{models.AuthorizationCanceled, models.AuthorizationReplaced} {
		a.Closing = &as
		if step := billing.NextAuthorization(a, a.ExpiresAt); step.Close != as || step.Mail != "" {
			t.Errorf("to be closed as %s: %+v", as, step)
		}
	}
}
