package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// PayerRef names an attempt to pay something, by what waits for it.
type PayerRef struct {
	Purpose   models.AuthorizationPurpose `json:"purpose"`
	SubjectID string                      `json:"subject_id"`
	Attempt   int                         `json:"attempt"`
}

// OpenAuthorizationInput is a payment whose bank wants its customer.
type OpenAuthorizationInput struct {
	Payer           PayerRef `json:"payer"`
	AccountID       string   `json:"account_id"`
	PaymentIntentID string   `json:"payment_intent_id"`
	PaymentMethod   string   `json:"payment_method"`
	AmountCents     int64    `json:"amount_cents"`
	OffSession      bool     `json:"off_session"`
}

// OpenAuthorization opens the authorization of an attempt, once, and has its workflow
// started through the outbox (R36).
func (l *Ledger) OpenAuthorization(ctx context.Context, in OpenAuthorizationInput) (struct{}, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return struct{}{}, fmt.Errorf("new authorization id: %w", err)
	}
	now := l.Now()
	err = l.Store.OpenAuthorization(ctx, models.Authorization{
		ID: id.String(), AccountID: in.AccountID,
		Purpose: in.Payer.Purpose, SubjectID: in.Payer.SubjectID, Attempt: in.Payer.Attempt,
		PaymentIntentID: in.PaymentIntentID, PaymentMethodID: in.PaymentMethod, AmountCents: in.AmountCents, OnSession: !in.OffSession,
		LinkAt: billing.LinkAt(!in.OffSession, now), ExpiresAt: now.Add(l.AuthorizationLasts), CreatedAt: now,
	})
	if err == nil {
		l.Wake()
	}
	return struct{}{}, err
}

// AuthorizationAnswer is how an authorization ended, as an answer to the payment that
// waits for it.
type AuthorizationAnswer struct {
	Ended   bool    `json:"ended"`
	Payment Payment `json:"payment"`
	// Expired: the time to answer is over and nothing was charged (R38).
	Expired bool `json:"expired,omitempty"`
}

// ReadAuthorization says how the authorization of an attempt ended, if it has.
func (l *Ledger) ReadAuthorization(ctx context.Context, in PayerRef) (AuthorizationAnswer, error) {
	a, err := l.Store.AuthorizationOf(ctx, in.Purpose, in.SubjectID, in.Attempt)
	if err != nil || !a.Ended() {
		return AuthorizationAnswer{}, err
	}
	answer := AuthorizationAnswer{
		Ended: true, Expired: a.State == models.AuthorizationExpired,
		Payment: Payment{State: PaymentCanceled, PaymentIntentID: a.PaymentIntentID},
	}
	switch a.State {
	case models.AuthorizationApproved:
		answer.Payment.State, answer.Payment.CapturedCents = PaymentApproved, a.CapturedCents
	case models.AuthorizationRefused:
		answer.Payment.State, answer.Payment.Code = PaymentDeclined, *a.DeclineCode
	}
	return answer, nil
}

// AuthorizationRef names an authorization.
type AuthorizationRef struct {
	AuthorizationID string `json:"authorization_id"`
}

// AuthorizationStep is how an authorization goes on.
type AuthorizationStep struct {
	Ended           bool   `json:"ended,omitempty"`
	PaymentIntentID string `json:"payment_intent_id,omitempty"`
	// Close is how it is to end unless the bank has approved; "" is not yet.
	Close models.AuthorizationState `json:"close,omitempty"`
	// WaitMillis is how long to wait for a word before the next look.
	WaitMillis int64 `json:"wait_millis,omitempty"`
}

// maxMoves bounds how often a step is decided anew because something else moved.
const maxMoves = 5

// AdvanceAuthorization takes the next step of an authorization: it has the mail sent
// that is due, and says what to do and when to look again (R37, R38).
func (l *Ledger) AdvanceAuthorization(ctx context.Context, in AuthorizationRef) (AuthorizationStep, error) {
	for range maxMoves {
		a, err := l.Store.Authorization(ctx, in.AuthorizationID)
		if err != nil || a.Ended() {
			return AuthorizationStep{Ended: err == nil}, err
		}
		now := l.Now()
		next := billing.NextAuthorization(a, now)
		moved, err := l.Store.MoveAuthorization(ctx, ledger.AuthorizationMove{
			Seen: a, Mail: authorizationMails[next.Mail], Mails: next.Mails, DueAt: next.LookAt,
		})
		if err != nil {
			return AuthorizationStep{}, err
		}
		if moved {
			l.Wake()
			return AuthorizationStep{
				PaymentIntentID: a.PaymentIntentID, Close: next.Close, WaitMillis: next.LookAt.Sub(now).Milliseconds() + 1,
			}, nil
		}
	}
	return AuthorizationStep{}, errors.New("advance authorization: it changes faster than it can be looked at")
}

// authorizationMails is what has each of the mails sent.
var authorizationMails = map[billing.AuthorizationMail]ledger.MessageKind{
	billing.MailLink:     ledger.MessageMailAuthorization,
	billing.MailReminder: ledger.MessageMailAuthorizationReminder,
}

// EndAuthorizationInput is how an authorization ends, and what the bank said last.
type EndAuthorizationInput struct {
	AuthorizationID string                    `json:"authorization_id"`
	State           models.AuthorizationState `json:"state"`
	Payment         Payment                   `json:"payment"`
}

// EndAuthorization ends an authorization and wakes the payment that waits for it.
func (l *Ledger) EndAuthorization(ctx context.Context, in EndAuthorizationInput) (struct{}, error) {
	end := ledger.AuthorizationEnd{State: in.State, At: l.Now()}
	switch in.State {
	case models.AuthorizationApproved:
		end.CapturedCents = in.Payment.CapturedCents
	case models.AuthorizationRefused:
		end.DeclineCode = in.Payment.Code
	}
	if err := l.Store.EndAuthorization(ctx, in.AuthorizationID, end); err != nil {
		return struct{}{}, err
	}
	l.Wake()
	return struct{}{}, nil
}
