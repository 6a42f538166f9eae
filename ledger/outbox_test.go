package ledger_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/ledger"
)

const lease = time.Hour

// claim takes all that is due.
func (b *books) claim(t *testing.T) []ledger.Message {
	t.Helper()
	messages, err := b.ClaimMessages(t.Context(), 100, lease)
	done(t, err)
	return messages
}

// claimOne takes the one message that is due.
func (b *books) claimOne(t *testing.T) ledger.Message {
	t.Helper()
	messages := b.claim(t)
	if len(messages) != 1 {
		t.Fatalf("%d messages are due, want 1", len(messages))
	}
	return messages[0]
}

func TestOutboxClaimIsALease(t *testing.T) {
	t.Parallel()
	b := open(t)
	subject := uuid.NewString()
	b.do(t, `select outbox_put('propagate', $1)`, subject)
	b.do(t, `select outbox_put('propagate', 'later', '1 hour')`)
	m := b.claimOne(t)
	same(t, "kind", m.Kind, ledger.MessagePropagate)
	same(t, "subject", m.Subject, subject)
	same(t, "attempts", m.Attempts, 1)
	same(t, "due while leased", len(b.claim(t)), 0)

	b.do(t, `update outbox set due_at = clock_timestamp() where id = $1`, m.ID) // the lease is over
	m = b.claimOne(t)
	same(t, "attempts", m.Attempts, 2)
	done(t, b.MessageDelivered(t.Context(), m))
	same(t, "messages left", ask[string](t, b, `select string_agg(subject, ' ') from outbox`), "later")
}

func TestOutboxClaimersNeverShareAMessage(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.do(t, `select outbox_put('propagate', n::text) from generate_series(1, 300) n`)
	var claimed sync.Map
	together(8, func(int) {
		for {
			messages, err := b.ClaimMessages(t.Context(), 7, lease)
			if err != nil || len(messages) > 7 {
				t.Errorf("%d messages, %v", len(messages), err)
			}
			if len(messages) == 0 {
				return
			}
			for _, m := range messages {
				if _, taken := claimed.LoadOrStore(m.ID, true); taken {
					t.Errorf("message %s was claimed twice", m.Subject)
				}
			}
		}
	})
	count := 0
	claimed.Range(func(any, any) bool { count++; return true })
	same(t, "claimed", count, 300)
}

func TestOutboxCoalesces(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.do(t, `select outbox_put('propagate', 'a', '1 hour')`)
	same(t, "due", len(b.claim(t)), 0)
	b.do(t, `select outbox_put('propagate', 'a')`)
	b.do(t, `select outbox_put('propagate', 'a', '2 hours')`)
	b.do(t, `select outbox_put('force_sync', 'a')`)
	messages := b.claim(t)
	same(t, "messages", len(messages), 2)
	for _, m := range messages {
		want := map[ledger.MessageKind]int64{ledger.MessagePropagate: 3, ledger.MessageForceSync: 1}[m.Kind]
		same(t, "revision of "+string(m.Kind), m.Revision, want)
		done(t, b.MessageDelivered(t.Context(), m))
	}
	same(t, "left", ask[int64](t, b, `select count(*) from outbox`), 0)
}

func TestOutboxAskedForAgainWhileOnItsWay(t *testing.T) {
	t.Parallel()
	t.Run("IsDueAfterDelivery", func(t *testing.T) {
		t.Parallel()
		b := open(t)
		b.do(t, `select outbox_put('propagate', 'a')`)
		first := b.claimOne(t)
		b.do(t, `select outbox_put('propagate', 'a')`)
		done(t, b.MessageDelivered(t.Context(), first))
		second := b.claimOne(t)
		same(t, "attempts begin again", second.Attempts, 1)
		done(t, b.MessageDelivered(t.Context(), second))
		same(t, "left", ask[int64](t, b, `select count(*) from outbox`), 0)
	})
	t.Run("KeepsItsDelay", func(t *testing.T) {
		t.Parallel()
		b := open(t)
		b.do(t, `select outbox_put('payment_changed', 'a')`)
		first := b.claimOne(t)
		b.do(t, `select outbox_put('payment_changed', 'a', '10 minutes')`)
		done(t, b.MessageDelivered(t.Context(), first))
		same(t, "due", len(b.claim(t)), 0)
		same(t, "left", ask[int64](t, b, `select count(*) from outbox where due_at <= clock_timestamp() + '10 minutes'::interval`), 1)
	})
	t.Run("StaysWithWhoeverHasItThen", func(t *testing.T) {
		t.Parallel()
		b := open(t)
		b.do(t, `select outbox_put('propagate', 'a')`)
		first := b.claimOne(t)
		b.do(t, `select outbox_put('propagate', 'a')`)
		second := b.claimOne(t)
		done(t, b.MessageDelivered(t.Context(), first))
		same(t, "due while the second is on its way", len(b.claim(t)), 0)
		done(t, b.MessageDelivered(t.Context(), second))
		same(t, "left", ask[int64](t, b, `select count(*) from outbox`), 0)
	})
}

func TestOutboxLanesAreClaimedApart(t *testing.T) {
	t.Parallel()
	b := open(t)
	for _, kind := range []ledger.MessageKind{
		ledger.MessageMailPurchaseApproved, ledger.MessageStartPurchase, ledger.MessagePaymentChanged, ledger.MessageTierPropagated,
		ledger.MessagePropagate, ledger.MessageForceSync, "mailbox",
	} {
		b.do(t, `select outbox_put($1, 'a')`, kind)
	}
	claim := func(lanes ...ledger.Lane) int {
		t.Helper()
		messages, err := b.ClaimMessages(t.Context(), 100, 0, lanes...)
		done(t, err)
		return len(messages)
	}
	same(t, "mails", claim(ledger.LaneMail), 1)
	same(t, "the others", claim(ledger.LaneWorkflows), 6)
	same(t, "both", claim(ledger.LaneMail, ledger.LaneWorkflows), 7)
	same(t, "none named", claim(), 7)
}

func TestOutboxFailureOfWhatWasAskedForAgainIsDueAtOnce(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.do(t, `select outbox_put('propagate', 'a')`)
	m := b.claimOne(t)
	b.do(t, `select outbox_put('propagate', 'a')`)
	done(t, b.MessageFailed(t.Context(), m, "down", time.Hour))
	same(t, "revision", b.claimOne(t).Revision, 2)
}

func TestOutboxFailureComesBackLater(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.do(t, `select outbox_put('propagate', 'a')`)
	m := b.claimOne(t)
	done(t, b.MessageFailed(t.Context(), m, strings.Repeat("x", 600), 10*time.Minute))
	same(t, "due", len(b.claim(t)), 0)
	same(t, "reason", ask[string](t, b, `select last_error from outbox`), strings.Repeat("x", 500))
	same(t, "due in ten minutes", ask[bool](t, b,
		`select due_at between clock_timestamp() + '9 minutes'::interval and clock_timestamp() + '10 minutes'::interval from outbox`), true)
	done(t, b.MessageFailed(t.Context(), m, "again", 0))
	same(t, "attempts", b.claimOne(t).Attempts, 2)
}

// What is announced leaves with its effect or not at all.
func TestOutboxMessageIsTakenBackWithItsEffect(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	id := b.charging(t, account, 2500)
	wrong := approval(id, 2499)
	if err := b.RecordBank(t.Context(), id, wrong); !errors.Is(err, ledger.ErrNotAsRecorded) {
		t.Errorf("got %v", err)
	}
	same(t, "mails", b.asked(t, ledger.MessageMailPurchaseApproved, id), 0)
	done(t, b.RecordBank(t.Context(), id, approval(id, 2500)))
	same(t, "mails", b.asked(t, ledger.MessageMailPurchaseApproved, id), 1)
}
