package ledger_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// R18, R20: the alert comes at fifteen minutes, not before, once, and goes when
// the purchase has moved on.
func TestR18StuckPurchaseIsToldAtFifteenMinutes(t *testing.T) {
	t.Parallel()
	b := open(t)
	const after = 15 * time.Minute
	unknown := func(b *books, t tb, account string, cents int64) string {
		id := b.charging(t, account, cents)
		done(t, b.RecordBank(t.Context(), id, ledger.BankAnswer{State: models.BankUnknown, At: noon}))
		return id
	}
	for name, c := range map[string]struct {
		stuck func(b *books, t tb, account string, cents int64) string
		kind  models.AlertKind
		says  string
	}{
		"Waiting":  {(*books).created, models.AlertBankUnknown, "Not started"},
		"Charging": {(*books).charging, models.AlertBankUnknown, "not known yet"},
		"Unknown":  {unknown, models.AlertBankUnknown, "not known yet"},
		"Approved": {(*books).approved, models.AlertPurchaseOverdue, "the invoice stage"},
		"Invoiced": {(*books).invoiced, models.AlertPurchaseOverdue, "the balance stage"},
		"Credited": {(*books).credited, models.AlertPurchaseOverdue, "not every gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			account := b.customer(t)
			id := c.stuck(b, t, account, 2500)
			sweep := func(now time.Time, want int64) {
				t.Helper()
				raised, err := b.SweepStuckPurchases(t.Context(), now, after)
				done(t, err)
				same(t, "raised", raised, want)
			}
			sweep(noon.Add(after-time.Microsecond), 0)
			sweep(noon.Add(after), 1)
			sweep(noon.Add(after), 0)
			alerts, err := b.OpenAlerts(t.Context())
			done(t, err)
			same(t, "open alerts", len(alerts), 1)
			same(t, "kind", alerts[0].Kind, c.kind)
			same(t, "subject", alerts[0].Subject, "purchase/"+id)
			same(t, "account", *alerts[0].AccountID, account)
			if !strings.Contains(alerts[0].Detail, c.says) {
				t.Errorf("detail %q does not say %q", alerts[0].Detail, c.says)
			}
			complete(t, b, id)
			sweep(noon.Add(time.Hour), 0)
			alerts, err = b.OpenAlerts(t.Context())
			done(t, err)
			same(t, "alerts after it completed", len(alerts), 0)
		})
	}
}

// complete takes a purchase of $25.00 from wherever it stands to its end.
func complete(t *testing.T, b *books, id string) {
	t.Helper()
	_, err := b.BeginPurchase(t.Context(), id, noon)
	done(t, err)
	done(t, b.RecordBank(t.Context(), id, approval(id, 2500)))
	_, err = b.IssueInvoice(t.Context(), id, uuid.NewString(), noon)
	done(t, err)
	_, err = b.CreditPurchase(t.Context(), id, models.TierRules{}, noon)
	done(t, err)
	_, err = b.SettleTier(t.Context(), id, nil, noon)
	done(t, err)
}

func TestUnknownBankAlertEndsWithADecline(t *testing.T) {
	t.Parallel()
	b := open(t)
	id := b.charging(t, b.customer(t), 2500)
	_, err := b.SweepStuckPurchases(t.Context(), noon.Add(time.Hour), time.Minute)
	done(t, err)
	done(t, b.RecordBank(t.Context(), id, declined(id)))
	alerts, err := b.OpenAlerts(t.Context())
	done(t, err)
	same(t, "open alerts", len(alerts), 0)
}

// Whoever waits for a known reason is not stuck, nor is what has ended.
func TestSweepLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.completed(t, account, 500)
	for _, state := range []models.BankState{models.BankProcessing, models.BankRequiresAction, models.BankCanceled, models.BankExpired} {
		id := b.charging(t, account, 500)
		done(t, b.RecordBank(t.Context(), id, ledger.BankAnswer{State: state, PaymentIntentID: "pi_" + id, At: noon}))
	}
	for _, c := range []struct {
		after time.Duration
		want  int64
	}{
		{75*time.Minute - time.Microsecond, 0},
		{75 * time.Minute, 1}, // the customer has had their time
		{30*time.Hour - time.Microsecond, 0},
		{30 * time.Hour, 1}, // no bank processes for so long
		{1000 * time.Hour, 0},
	} {
		raised, err := b.SweepStuckPurchases(t.Context(), noon.Add(c.after), 15*time.Minute)
		done(t, err)
		same(t, "raised after "+c.after.String(), raised, c.want)
	}
}

// An alert that came up while the purchase was ending is taken back.
func TestSweepResolvesWhatHasEnded(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	ended, going := b.completed(t, account, 500), b.approved(t, account, 500)
	for _, id := range []string{ended, going} {
		for _, kind := range []models.AlertKind{models.AlertPurchaseOverdue, models.AlertCaptureInReview} {
			done(t, b.RaiseAlert(t.Context(), models.Alert{Kind: kind, Subject: "purchase/" + id, AccountID: &account, Detail: "x", RaisedAt: noon}))
		}
	}
	_, err := b.SweepStuckPurchases(t.Context(), noon.Add(time.Minute), 15*time.Minute)
	done(t, err)
	open, err := b.OpenAlerts(t.Context())
	done(t, err)
	same(t, "open", len(open), 3)
	for _, a := range open {
		if a.Kind == models.AlertPurchaseOverdue {
			same(t, "overdue", a.Subject, "purchase/"+going)
		}
	}
}

// I3: money in review stays so when the purchase itself completes.
func TestI3CaptureInReviewOutlivesThePurchase(t *testing.T) {
	t.Parallel()
	b := open(t)
	id := b.credited(t, b.customer(t), 500)
	second := event("payment_intent.succeeded", id)
	second.ObjectID = "pi_second"
	_, err := b.RecordStripeEvent(t.Context(), second)
	done(t, err)
	_, err = b.SettleTier(t.Context(), id, nil, noon)
	done(t, err)
	open, err := b.OpenAlerts(t.Context())
	done(t, err)
	same(t, "open", len(open), 1)
	same(t, "kind", open[0].Kind, models.AlertCaptureInReview)
	if !strings.Contains(open[0].Detail, "pi_second") {
		t.Errorf("the alert does not name the payment: %s", open[0].Detail)
	}
}

func TestAlertIsOneWhileItIsOpen(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.account(t)
	alert := models.Alert{Kind: models.AlertChargeRefused, Subject: "purchase/1", AccountID: &account, Detail: "first", RaisedAt: noon}
	together(8, func(int) {
		if err := b.RaiseAlert(t.Context(), alert); err != nil {
			t.Error(err)
		}
	})
	open, err := b.OpenAlerts(t.Context())
	done(t, err)
	same(t, "open", len(open), 1)

	closing := models.AuditEntry{At: noon.Add(time.Hour), Actor: "key_1", Role: models.RoleSupport, Action: "resolve_alert", Reason: "refunded"}
	resolved, err := b.ResolveAlert(t.Context(), open[0].ID, closing)
	done(t, err)
	if resolved.ResolvedAt == nil || !resolved.ResolvedAt.Equal(closing.At) {
		t.Errorf("resolved at %v", resolved.ResolvedAt)
	}
	entries, err := b.AuditLog(t.Context(), account)
	done(t, err)
	same(t, "audit entries", len(entries), 1)
	same(t, "subject", entries[0].Subject, "purchase/1")
	same(t, "reason", entries[0].Reason, "refunded")

	_, err = b.ResolveAlert(t.Context(), open[0].ID, closing)
	if !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("resolved again: %v", err)
	}
	done(t, b.RaiseAlert(t.Context(), alert))
	open, err = b.OpenAlerts(t.Context())
	done(t, err)
	same(t, "open after it came back", len(open), 1)
}

// I6: pending purchases are started again, page by page, each once.
func TestRestartPendingPages(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	var want []string
	for range 5 {
		want = append(want, b.approved(t, account, 500))
	}
	b.completed(t, account, 500)
	young := b.newPurchase(account, 500)
	young.At = noon.Add(time.Minute)
	_, _, err := b.CreatePurchase(t.Context(), young)
	done(t, err)
	b.do(t, `delete from outbox`)

	slices.Sort(want)
	after := ""
	for _, last := range []string{want[1], want[3], want[4], ""} {
		after, err = b.RestartPending(t.Context(), noon.Add(time.Minute), after, 2)
		done(t, err)
		same(t, "last of the page", after, last)
	}
	same(t, "messages", ask[string](t, b, `select string_agg(subject, ' ' order by subject) from outbox where kind = 'start_purchase'`),
		strings.Join(want, " "))
	messages, err := b.ClaimMessages(t.Context(), 10, time.Hour)
	done(t, err)
	same(t, "due at once", len(messages), 5)
}

// However many mails are not delivered, a bounded number of alerts tells it, the
// oldest first; other messages are none of it.
func TestUndeliveredMailsAreToldUpToABound(t *testing.T) {
	t.Parallel()
	b := open(t)
	const most, more = 100, 20
	sweep := func(want int64) {
		t.Helper()
		raised, err := b.SweepUndeliveredMails(t.Context(), 15*time.Minute)
		done(t, err)
		same(t, "raised", raised, want)
	}
	b.do(t, `insert into outbox (kind, subject, due_at, last_error, attempts, created_at)
		select 'mail_purchase_approved', gen_random_uuid(), clock_timestamp(), 'refused', n, clock_timestamp() - interval '1 day' + n * interval '1 minute'
		  from generate_series(1, $1) n`, most+more)
	b.do(t, `insert into outbox (kind, subject, due_at, last_error, created_at) values
		('propagate', 'a', now(), 'down', now() - interval '1 day'),
		('mail_purchase_approved', gen_random_uuid(), now(), 'refused', now() - interval '14 minutes'),
		('mail_purchase_approved', gen_random_uuid(), now(), null, now() - interval '1 day')`)
	sweep(most)
	sweep(0)
	same(t, "of the oldest", ask[int64](t, b, `select count(*) from alerts a join outbox o on a.subject = o.kind || '/' || o.subject where o.attempts between 1 and $1`, most), most)
	b.do(t, `delete from outbox where attempts between 1 and 10`) // delivered
	sweep(0)                                                      // makes room
	sweep(10)
	same(t, "resolved", ask[int64](t, b, `select count(*) from alerts where resolved_at is not null`), 10)
}
