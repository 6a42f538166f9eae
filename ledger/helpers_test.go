package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/testenv"
)

// noon is when everything happens, unless a test is about time.
var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// tb is what *testing.T and *rapid.T have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Context() context.Context
}

// books is a ledger on a database of its own, and the same database for
// statements that the ledger would never send.
type books struct {
	*ledger.Ledger
	db  *pgxpool.Pool
	url string
}

// maxConns is more than what any test holds locks with at once.
const maxConns = 16

func open(t testing.TB) *books {
	t.Helper()
	// What a crash would lose is not what these tests are about.
	url := testenv.Database(t) + "&synchronous_commit=off"
	store, err := ledger.Open(t.Context(), url, maxConns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	db, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return &books{Ledger: store, db: db, url: url}
}

// account makes an account without a card.
func (b *books) account(t tb) string {
	t.Helper()
	id := uuid.NewString()
	done(t, b.CreateAccount(t.Context(), models.Account{
		ID: id, Email: id + "@example.com", Name: "Ada", Territory: "US", CreatedAt: noon,
	}))
	return id
}

// customer makes an account that can pay.
func (b *books) customer(t tb) string {
	t.Helper()
	id := b.account(t)
	_, err := b.SetStripeCustomer(t.Context(), id, "cus_"+id)
	done(t, err)
	done(t, b.PutCard(t.Context(), card(id, "pm_"+id)))
	return id
}

func card(accountID, method string) models.Card {
	return models.Card{
		AccountID: accountID, PaymentMethodID: method, Brand: "visa", Funding: "credit", Last4: "4242", ExpMonth: 12, ExpYear: 2030,
		Fingerprint: "fp", UpdatedAt: noon,
		Address: models.Address{Line1: "1 Main St", City: "Springfield", State: "IL", PostalCode: "62701", Country: "US"},
	}
}

func (b *books) newPurchase(account string, cents int64) ledger.NewPurchase {
	return ledger.NewPurchase{
		ID: uuid.NewString(), AccountID: account, IdempotencyKey: uuid.NewString(), Origin: models.OriginCheckout,
		AmountCents: cents, At: noon, StartWithin: time.Hour,
	}
}

// The stages of a purchase, each on top of the one before.

func (b *books) created(t tb, account string, cents int64) string {
	t.Helper()
	p, created, err := b.CreatePurchase(t.Context(), b.newPurchase(account, cents))
	done(t, err)
	if !created {
		t.Fatalf("the purchase was there already: %+v", p)
	}
	return p.ID
}

func (b *books) charging(t tb, account string, cents int64) string {
	t.Helper()
	id := b.created(t, account, cents)
	_, err := b.BeginPurchase(t.Context(), id, noon)
	done(t, err)
	return id
}

func (b *books) approved(t tb, account string, cents int64) string {
	t.Helper()
	id := b.charging(t, account, cents)
	done(t, b.RecordBank(t.Context(), id, approval(id, cents)))
	return id
}

func approval(id string, cents int64) ledger.BankAnswer {
	return ledger.BankAnswer{State: models.BankApproved, PaymentIntentID: "pi_" + id, CapturedCents: cents, At: noon}
}

func (b *books) invoiced(t tb, account string, cents int64) string {
	t.Helper()
	id := b.approved(t, account, cents)
	_, err := b.IssueInvoice(t.Context(), id, uuid.NewString(), noon)
	done(t, err)
	return id
}

func (b *books) credited(t tb, account string, cents int64) string {
	t.Helper()
	id := b.invoiced(t, account, cents)
	_, err := b.CreditPurchase(t.Context(), id, billing.TierRules(), noon)
	done(t, err)
	return id
}

func (b *books) completed(t tb, account string, cents int64) string {
	t.Helper()
	id := b.credited(t, account, cents)
	complete, err := b.SettleTier(t.Context(), id, nil, noon)
	done(t, err)
	if !complete {
		t.Fatalf("a purchase that waits for no gateway is not complete")
	}
	return id
}

// grant gives free credits.
func (b *books) grant(t tb, account string, micros int64) {
	t.Helper()
	_, err := b.GrantFreeCredits(t.Context(), uuid.NewString(), account, micros, billing.TierRules(), audit(account, "a gift"))
	done(t, err)
}

// writeOff has support end an unpaid invoice.
func (b *books) writeOff(t tb, invoice, account string, status models.InvoiceStatus) error {
	t.Helper()
	return b.WriteOffInvoice(t.Context(), ledger.WriteOff{InvoiceID: invoice, Status: status, Audit: audit(account, "a mistake")}, billing.TierRules())
}

func freeCredits(key, account string, micros int64) ledger.Posting {
	return ledger.Posting{
		Key: key, Kind: ledger.KindFreeCredits, AccountID: account, At: noon,
		Entries: []ledger.Entry{{Book: ledger.BookPromotions, AmountMicros: -micros}, {Book: ledger.BookFree, AmountMicros: micros}},
	}
}

func (b *books) purchase(t tb, id string) models.Purchase {
	t.Helper()
	p, err := b.Purchase(t.Context(), id)
	done(t, err)
	return p
}

func (b *books) balance(t tb, account string) models.Balance {
	t.Helper()
	balance, err := b.Balance(t.Context(), account)
	done(t, err)
	return balance
}

func (b *books) entitlement(t tb, account string) models.EntitlementState {
	t.Helper()
	state, err := b.Entitlement(t.Context(), account)
	done(t, err)
	return state
}

// sound fails unless the running balances are the sums of the entries.
func (b *books) sound(t tb) {
	t.Helper()
	v, err := b.Verify(t.Context())
	done(t, err)
	if !v.OK() {
		t.Fatalf("the ledger does not hold: %+v", v)
	}
}

// do runs a statement that must succeed.
func (b *books) do(t tb, sql string, args ...any) {
	t.Helper()
	_, err := b.db.Exec(t.Context(), sql, args...)
	done(t, err)
}

// ask runs a query that answers one value.
func ask[T any](t tb, b *books, sql string, args ...any) T {
	t.Helper()
	rows, _ := b.db.Query(t.Context(), sql, args...)
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	done(t, err)
	return v
}

// asked says how many messages of a kind about a subject are in the outbox, due
// or not.
func (b *books) asked(t tb, kind ledger.MessageKind, subject string) int64 {
	t.Helper()
	return ask[int64](t, b, `select count(*) from outbox where kind = $1 and subject = $2`, kind, subject)
}

// await waits until n statements wait for a lock in this database.
func (b *books) await(t tb, n int64) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		waiting := ask[int64](t, b, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
		if waiting >= n {
			return
		}
	}
	t.Fatalf("no %d statements wait for a lock", n)
}

// patience bounds what a test waits for.
const patience = 30 * time.Second

// together runs f n times at once, and ends when all of them have.
func together(n int, f func(i int)) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	group.Wait()
}

func done(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// refused fails unless err is the database's refusal by a constraint, or of a
// code where what refuses has no name.
func refused(t tb, err error, by string) {
	t.Helper()
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		t.Fatalf("got %v, want a refusal by %s", err, by)
	}
	if pg.ConstraintName != by && pg.Code != by {
		t.Fatalf("refused by %q (%s: %s), want %s", pg.ConstraintName, pg.Code, pg.Message, by)
	}
}

// same fails unless got is want.
func same[T comparable](t tb, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func dollars(n int64) int64 { return n * 1_000_000 }

// gateways are names of n gateways.
func gateways(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("http://gateway-%d", i+1))
	}
	return names
}
