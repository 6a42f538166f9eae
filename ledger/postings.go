package ledger

import (
	"context"
	"time"
)

// Book is where value can stand.
type Book string

// The books that postings from Go name; the schema explains them all.
const (
	BookFree       Book = "free"
	BookPurchased  Book = "purchased"
	BookPayments   Book = "payments"
	BookPromotions Book = "promotions"
)

// Kind is what a ledger transaction is for.
type Kind string

// KindFreeCredits is credits that support grants (R4).
const KindFreeCredits Kind = "free_credits"

// Posting is one ledger transaction: its entries sum to zero (I1).
type Posting struct {
	// Key makes the posting happen once; at most 255 characters.
	Key       string
	Kind      Kind
	AccountID string
	At        time.Time
	Entries   []Entry
}

// Entry is what a book of the posting's account gains, in micro-dollars.
type Entry struct {
	Book         Book
	AmountMicros int64
}

// Posted tells of a posting.
type Posted struct {
	TransactionID int64
	// Fresh is false when the key had been posted before.
	Fresh bool
}

// PostSQL is the statement of a posting: key, kind, account, time, books,
// amounts. It is exported for the benchmark that compares Post with the bare
// statement.
const PostSQL = `select transaction_id, fresh from ledger_post($1, $2, $3, $4, $5::text[]::ledger_book[], $6)`

// Post writes a ledger transaction, once for its key: the same posting again
// answers the first, another under the same key is ErrIdempotencyMismatch.
// Credits that would go below zero are ErrInsufficientCredits.
func (l *Ledger) Post(ctx context.Context, p Posting) (Posted, error) {
	books := make([]string, len(p.Entries))
	amounts := make([]int64, len(p.Entries))
	for i, e := range p.Entries {
		books[i], amounts[i] = string(e.Book), e.AmountMicros
	}
	return one[Posted](ctx, l, "post "+string(p.Kind), PostSQL, p.Key, p.Kind, p.AccountID, p.At, books, amounts)
}
