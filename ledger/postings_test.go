package ledger_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/ledger"
)

func TestPostIsOnceForItsKey(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, other := b.account(t), b.account(t)
	first, err := b.Post(t.Context(), freeCredits("key", account, dollars(5)))
	done(t, err)
	same(t, "the first is fresh", first.Fresh, true)

	again := freeCredits("key", account, dollars(5))
	again.At = noon.Add(time.Hour)
	repeated, err := b.Post(t.Context(), again)
	done(t, err)
	same(t, "a repeat", repeated, ledger.Posted{TransactionID: first.TransactionID})

	for name, change := range map[string]func(*ledger.Posting){
		"Account":    func(p *ledger.Posting) { p.AccountID = other },
		"Kind":       func(p *ledger.Posting) { p.Kind = "purchase" },
		"Amounts":    func(p *ledger.Posting) { p.Entries = freeCredits("", "", dollars(6)).Entries },
		"Books":      func(p *ledger.Posting) { p.Entries[1].Book = ledger.BookPurchased },
		"MoreLines":  func(p *ledger.Posting) { p.Entries = append(p.Entries, freeCredits("", "", 1).Entries...) },
		"FewerLines": func(p *ledger.Posting) { p.Entries = p.Entries[:1] },
		"NoLines":    func(p *ledger.Posting) { p.Entries = nil },
	} {
		t.Run("Other"+name, func(t *testing.T) {
			p := freeCredits("key", account, dollars(5))
			change(&p)
			if _, err := b.Post(t.Context(), p); !errors.Is(err, ledger.ErrIdempotencyMismatch) {
				t.Errorf("got %v", err)
			}
		})
	}
	same(t, "free credits", b.balance(t, account).FreeMicros, dollars(5))
	b.sound(t)
}

func TestPostRefuses(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.account(t)
	for name, c := range map[string]struct {
		posting ledger.Posting
		by      string
	}{
		"I1/Unbalanced": {ledger.Posting{Key: "k", Kind: ledger.KindFreeCredits, AccountID: account, At: noon,
			Entries: []ledger.Entry{{Book: ledger.BookFree, AmountMicros: 1}, {Book: ledger.BookPromotions, AmountMicros: -2}}},
			"ledger_transactions_balance"},
		"I1/NoEntries": {ledger.Posting{Key: "k", Kind: ledger.KindFreeCredits, AccountID: account, At: noon}, "ledger_transactions_have_entries"},
		"I4/Payment": {ledger.Posting{Key: "k", Kind: ledger.KindFreeCredits, AccountID: account, At: noon,
			Entries: []ledger.Entry{{Book: ledger.BookPayments, AmountMicros: -1}, {Book: ledger.BookFree, AmountMicros: 1}}},
			"ledger_payments_are_captured"},
		"UnknownAccount": {freeCredits("k", uuid.NewString(), 1), "ledger_transactions_account_id_fkey"},
		"NoKey":          {freeCredits("", account, 1), checkViolation},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.Post(t.Context(), c.posting)
			refused(t, err, c.by)
		})
	}
	same(t, "transactions", ask[int64](t, b, `select count(*) from ledger_transactions`), 0)
}

func TestFiftyPostsOfOneKeyAreOneTransaction(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.account(t)
	var fresh atomic.Int64
	var ids sync.Map
	together(50, func(int) {
		posted, err := b.Post(t.Context(), freeCredits("key", account, dollars(5)))
		if err != nil {
			t.Error(err)
		}
		if posted.Fresh {
			fresh.Add(1)
		}
		ids.Store(posted.TransactionID, true)
	})
	same(t, "fresh postings", fresh.Load(), 1)
	same(t, "transactions", ask[int64](t, b, `select count(*) from ledger_transactions`), 1)
	if _, told := ids.Load(ask[int64](t, b, `select id from ledger_transactions`)); !told {
		t.Error("the callers were told of another transaction")
	}
	same(t, "free credits", b.balance(t, account).FreeMicros, dollars(5))
}
