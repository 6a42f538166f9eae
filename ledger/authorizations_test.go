package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

const week = 7 * 24 * time.Hour

// asks has the bank want the customer of a purchase that is being charged, and opens
// its authorization.
func (b *books) asks(t tb, purchase string) models.Authorization {
	t.Helper()
	p := b.purchase(t, purchase)
	intent := "pi_" + purchase
	done(t, b.RecordBank(t.Context(), purchase, ledger.BankAnswer{State: models.BankRequiresAction, PaymentIntentID: intent, At: noon}))
	a := models.Authorization{
		ID: uuid.NewString(), AccountID: p.AccountID, Purpose: models.AuthorizePurchase, SubjectID: purchase, Attempt: 1,
		PaymentIntentID: intent, PaymentMethodID: p.PaymentMethodID, AmountCents: p.AmountCents,
		LinkAt: noon, CreatedAt: noon, ExpiresAt: noon.Add(week),
	}
	done(t, b.OpenAuthorization(t.Context(), a))
	return b.authorization(t, a.ID)
}

func (b *books) authorization(t tb, id string) models.Authorization {
	t.Helper()
	a, err := b.Authorization(t.Context(), id)
	done(t, err)
	return a
}

func (b *books) ends(t tb, id string, state models.AuthorizationState) {
	t.Helper()
	end := ledger.AuthorizationEnd{State: state, At: noon}
	switch state {
	case models.AuthorizationApproved:
		end.CapturedCents = 2500
	case models.AuthorizationRefused:
		end.DeclineCode = "do_not_honor"
	}
	done(t, b.EndAuthorization(t.Context(), id, end))
}

// R38: of an approval and an expiry that come together one takes effect, the payment is
// woken once, and no later word changes it, by whatever statement.
func TestR38ApprovalAndExpiryNeverBothTakeEffect(t *testing.T) {
	t.Parallel()
	b := open(t)
	ended := map[models.AuthorizationState]int{}
	states := []models.AuthorizationState{models.AuthorizationApproved, models.AuthorizationExpired}
	for range 12 {
		a := b.asks(t, b.charging(t, b.customer(t), 2500))
		together(8, func(i int) { b.ends(t, a.ID, states[i%2]) })
		won := b.authorization(t, a.ID)
		ended[won.State]++
		if won.EndedAt == nil || (won.State == models.AuthorizationApproved) != (won.CapturedCents == 2500) {
			t.Errorf("it ended as %+v", won)
		}
		same(t, "changes", won.Revision-a.Revision, 1)
		same(t, "wake-ups", b.asked(t, ledger.MessagePaymentChanged, a.SubjectID), 1)
		_, err := b.db.Exec(t.Context(), `update authorizations set state = 'expired', captured_cents = 0 where id = $1`, a.ID)
		refused(t, err, "authorizations_end_once")
	}
	if ended[models.AuthorizationApproved]+ended[models.AuthorizationExpired] != 12 {
		t.Errorf("ended as %v", ended)
	}
}

// Each end says of itself what it must, and nothing settled changes, whoever writes.
func TestAuthorizationThatTheDatabaseRefuses(t *testing.T) {
	t.Parallel()
	b := open(t)
	a := b.asks(t, b.charging(t, b.customer(t), 2500))
	b.do(t, `update authorizations set generation = 2, confirms = 1, closing = 'canceled' where id = $1`, a.ID)
	for set, constraint := range map[string]string{
		`state = 'approved', captured_cents = 1`:  "authorizations_end_is_whole",
		`state = 'approved', ended_at = now()`:    "authorizations_approved_is_captured",
		`state = 'refused', ended_at = now()`:     "authorizations_refusal_has_code",
		`captured_cents = 1`:                      "authorizations_approved_is_captured",
		`ended_at = now()`:                        "authorizations_end_is_whole",
		`generation = 1`:                          "authorizations_settled_stays",
		`confirms = 0`:                            "authorizations_settled_stays",
		`closing = 'replaced'`:                    "authorizations_settled_stays",
		`closing = null`:                          "authorizations_settled_stays",
		`amount_cents = 1`:                        "authorizations_settled_stays",
		`payment_intent_id = 'pi_other'`:          "authorizations_settled_stays",
		`payment_method_id = 'pm_other'`:          "authorizations_settled_stays",
		`subject_id = '` + uuid.NewString() + `'`: "authorizations_settled_stays",
		`account_id = '` + b.account(t) + `'`:     "authorizations_settled_stays",
	} {
		_, err := b.db.Exec(t.Context(), `update authorizations set `+set+` where id = $1`, a.ID)
		refused(t, err, constraint)
	}
	_, err := b.db.Exec(t.Context(), `delete from authorizations`)
	refused(t, err, restrictViolation)
	_, err = b.db.Exec(t.Context(), `truncate authorizations`)
	refused(t, err, restrictViolation)
}

// One attempt has one authorization, however often it is opened.
func TestF20AuthorizationIsOpenedOnce(t *testing.T) {
	t.Parallel()
	b := open(t)
	a := b.asks(t, b.charging(t, b.customer(t), 2500))
	again := a
	again.ID, again.ExpiresAt = uuid.NewString(), noon
	done(t, b.OpenAuthorization(t.Context(), again))
	of, err := b.AuthorizationOf(t.Context(), models.AuthorizePurchase, a.SubjectID, 1)
	done(t, err)
	same(t, "authorization", of.ID, a.ID)
	same(t, "end", of.ExpiresAt, a.ExpiresAt)
	same(t, "workflows asked for", b.asked(t, ledger.MessageAuthorizationChanged, a.ID), 1)
	if _, err := b.AuthorizationOf(t.Context(), models.AuthorizeInvoice, a.SubjectID, 1); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("of an invoice: %v", err)
	}
}

// A mail is asked for once by whoever comes first; a link of a resend begins anew; and
// an end takes what has not gone out yet.
func TestMailsOfAnAuthorization(t *testing.T) {
	t.Parallel()
	b := open(t)
	a := b.asks(t, b.charging(t, b.customer(t), 2500))
	move := ledger.AuthorizationMove{Seen: a, Mail: ledger.MessageMailAuthorization, Mails: 1, DueAt: noon.Add(time.Hour)}
	moved := make([]bool, 8)
	together(len(moved), func(i int) {
		var err error
		moved[i], err = b.MoveAuthorization(t.Context(), move)
		done(t, err)
	})
	n := 0
	for _, m := range moved {
		if m {
			n++
		}
	}
	same(t, "moves", n, 1)
	same(t, "mails asked for", b.asked(t, ledger.MessageMailAuthorization, a.ID), 1)
	done(t, b.AuthorizationSent(t.Context(), a.ID, 1))
	same(t, "state", b.authorization(t, a.ID).State, models.AuthorizationSent)
	_, err := b.BeginApproval(t.Context(), a.ID, 1, noon)
	done(t, err)

	fresh, err := b.ResendAuthorization(t.Context(), a.ID, noon.Add(2*week), bySupport("resend"))
	done(t, err)
	if fresh.Generation != 2 || fresh.Mails != 0 || fresh.State != models.AuthorizationCreated || fresh.SentAt != nil || !fresh.ExpiresAt.Equal(noon.Add(2*week)) {
		t.Errorf("resent it is %+v", fresh)
	}
	if _, err := b.BeginApproval(t.Context(), a.ID, 1, noon); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("the link before it: %v", err)
	}
	done(t, b.AuthorizationSent(t.Context(), a.ID, 1))
	same(t, "state after a late word of the link before", b.authorization(t, a.ID).State, models.AuthorizationCreated)
	b.ends(t, a.ID, models.AuthorizationExpired)
	same(t, "mails", b.asked(t, ledger.MessageMailAuthorization, a.ID), 0)
	if _, err := b.BeginApproval(t.Context(), a.ID, 2, noon); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("after its end: %v", err)
	}
	if _, err := b.ResendAuthorization(t.Context(), a.ID, noon, bySupport("resend")); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("resent after its end: %v", err)
	}
	if err := b.CloseAuthorization(t.Context(), a.ID, bySupport("cancel")); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("called off after its end: %v", err)
	}
	same(t, "audit entries", ask[int64](t, b, `select count(*) from audit_log where action in ('resend', 'cancel')`), 1)
}

func bySupport(action string) models.AuditEntry {
	return models.AuditEntry{At: noon, Actor: "ann", Role: models.RoleSupport, Action: action, Subject: "x", Reason: "why"}
}

// I6: one that nobody looks at is found, again and again; one that has ended is not.
func TestI6ForgottenAuthorizationsAreFound(t *testing.T) {
	t.Parallel()
	b := open(t)
	a, over := b.asks(t, b.charging(t, b.customer(t), 2500)), b.asks(t, b.charging(t, b.customer(t), 2500))
	b.ends(t, over.ID, models.AuthorizationRefused)
	b.do(t, `delete from outbox`)
	for _, look := range []struct {
		at    time.Duration
		woken int64
	}{{-time.Minute, 0}, {0, 1}, {time.Minute, 0}, {time.Hour, 1}} {
		woken, err := b.WakeAuthorizations(t.Context(), noon.Add(look.at), noon.Add(time.Hour), 10)
		done(t, err)
		same(t, "woken after "+look.at.String(), woken, look.woken)
	}
	if b.asked(t, ledger.MessageAuthorizationChanged, a.ID) == 0 || b.asked(t, ledger.MessageAuthorizationChanged, over.ID) != 0 {
		t.Error("the wrong one was woken")
	}
}

// An event goes to whoever waits for its payment: the authorization while there is one,
// the invoice's payment, or the purchase (F11, F12).
func TestStripeEventReachesWhoeverWaits(t *testing.T) {
	t.Parallel()
	b := open(t)
	a := b.asks(t, b.charging(t, b.customer(t), 2500))
	invoice := uuid.NewString()
	send := func(event ledger.StripeEvent) {
		t.Helper()
		b.do(t, `delete from outbox`)
		event.ID, event.Type, event.CreatedAt, event.ReceivedAt = uuid.NewString(), "payment_intent.succeeded", noon, noon
		fresh, err := b.RecordStripeEvent(t.Context(), event)
		done(t, err)
		same(t, "fresh", fresh, true)
	}
	send(ledger.StripeEvent{ObjectID: a.PaymentIntentID, PurchaseID: a.SubjectID})
	same(t, "authorization told", b.asked(t, ledger.MessageAuthorizationChanged, a.ID), 1)
	same(t, "purchase told", b.asked(t, ledger.MessagePaymentChanged, a.SubjectID), 0)
	send(ledger.StripeEvent{ObjectID: "pi_of_invoice", InvoiceID: invoice})
	same(t, "invoice told", b.asked(t, "invoice_payment_changed", invoice), 1)
	same(t, "invoice stored", ask[string](t, b, `select invoice_id::text from stripe_events where object_id = 'pi_of_invoice'`), invoice)
	b.ends(t, a.ID, models.AuthorizationApproved)
	send(ledger.StripeEvent{ObjectID: a.PaymentIntentID, PurchaseID: a.SubjectID})
	same(t, "purchase told after the end", b.asked(t, ledger.MessagePaymentChanged, a.SubjectID), 1)
}

// R27: a recharge that waits for its customer pauses the loop, which has no open workflow
// meanwhile, and the gateways are told of nothing in flight (R55). What ends it without
// money halts the card; what approves it goes on.
func TestR27RechargeWaitsForItsCustomer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state models.AuthorizationState
		bank  models.BankState
		halt  models.RechargeHalt
	}{
		"approved": {models.AuthorizationApproved, models.BankApproved, ""},
		"refused":  {models.AuthorizationRefused, models.BankDeclined, models.HaltRetry}, // the bank said no, for now
		"expired":  {models.AuthorizationExpired, models.BankExpired, models.HaltAuthentication},
		"canceled": {models.AuthorizationCanceled, models.BankCanceled, models.HaltAuthentication},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t)
			account := b.recharging(t, 0)
			b.advance(t, account, noon, 0)
			purchase := b.inFlight(t, account)
			_, err := b.BeginPurchase(t.Context(), purchase, noon)
			done(t, err)
			if b.entitlement(t, account).RechargingUntil == nil {
				t.Error("a recharge in flight is not announced")
			}
			b.do(t, `delete from outbox`)
			a := b.asks(t, purchase)
			same(t, "loop woken", b.asked(t, ledger.MessageRecharge, account), 1)
			step := b.advance(t, account, noon, 0)
			if step.Action != "halted" || step.Wait != 0 {
				t.Errorf("the loop goes on: %+v", step)
			}
			if until := b.entitlement(t, account).RechargingUntil; until != nil {
				t.Errorf("a recharge is announced until %s", until)
			}
			r, err := b.Recharge(t.Context(), account, noon)
			done(t, err)
			if r.ApprovalUntil == nil || !r.ApprovalUntil.Equal(a.ExpiresAt) {
				t.Errorf("it waits until %v", r.ApprovalUntil)
			}
			events, err := b.RechargeEvents(t.Context(), account)
			done(t, err)
			if len(events) != 1 || events[0].Halt != models.HaltApproval {
				t.Errorf("told: %+v", events)
			}
			b.ends(t, a.ID, c.state)
			answer := ledger.BankAnswer{State: c.bank, PaymentIntentID: a.PaymentIntentID, At: noon}
			switch c.bank {
			case models.BankApproved:
				answer.CapturedCents = 1000
			case models.BankDeclined:
				answer.DeclineCode, answer.DeclineKnown = "do_not_honor", true
			}
			done(t, b.RecordBank(t.Context(), purchase, answer))
			if c.bank == models.BankApproved {
				_, err = b.IssueInvoice(t.Context(), purchase, uuid.NewString(), noon)
				done(t, err)
				_, err = b.CreditPurchase(t.Context(), purchase, billing.TierRules(), noon)
				done(t, err)
			}
			step = b.advance(t, account, noon, 0)
			r, err = b.Recharge(t.Context(), account, noon)
			done(t, err)
			same(t, "halt", r.CardHalt.Halt, c.halt)
			if bought := r.PurchaseID != nil && *r.PurchaseID != purchase; bought != (c.halt == "") {
				t.Errorf("the next one: %+v", step)
			}
		})
	}
}

// R27: another card ends the wait at once, and no card is blamed for it. The same card
// again ends nothing.
func TestR27AnotherCardReplacesTheAuthorization(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.recharging(t, 0)
	b.advance(t, account, noon, 0)
	purchase := b.inFlight(t, account)
	_, err := b.BeginPurchase(t.Context(), purchase, noon)
	done(t, err)
	a := b.asks(t, purchase)
	done(t, b.PutCard(t.Context(), card(account, "pm_same_again")))
	if closing := b.authorization(t, a.ID).Closing; closing != nil {
		t.Errorf("the same card ends it: %s", *closing)
	}
	b.do(t, `delete from outbox`)
	other := card(account, "pm_other")
	other.Fingerprint = "another"
	done(t, b.PutCard(t.Context(), other))
	if closing := b.authorization(t, a.ID).Closing; closing == nil || *closing != models.AuthorizationReplaced {
		t.Errorf("another card: %v", closing)
	}
	same(t, "authorization told", b.asked(t, ledger.MessageAuthorizationChanged, a.ID), 1)
	if _, err := b.BeginApproval(t.Context(), a.ID, 1, noon); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("its link: %v", err)
	}
	b.ends(t, a.ID, models.AuthorizationReplaced)
	done(t, b.RecordBank(t.Context(), purchase, ledger.BankAnswer{State: models.BankCanceled, PaymentIntentID: a.PaymentIntentID, At: noon}))
	b.advance(t, account, noon, 0)
	next := b.purchase(t, b.inFlight(t, account))
	same(t, "card charged next", next.PaymentMethodID, "pm_other")
	same(t, "cards blamed", ask[int64](t, b, `select count(*) from recharge_cards`), 0)
}

// A purchase that waits for its customer is no trouble while its authorization lasts,
// and one a little later (I6).
func TestI6PurchaseThatWaitsForItsCustomer(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.asks(t, b.charging(t, b.customer(t), 2500))
	for at, want := range map[time.Duration]int64{week: 0, week + time.Hour: 1} {
		raised, err := b.SweepStuckPurchases(t.Context(), noon.Add(at), 15*time.Minute)
		done(t, err)
		same(t, "alerts after "+at.String(), raised, want)
		b.do(t, `update alerts set resolved_at = now()`)
	}
}
