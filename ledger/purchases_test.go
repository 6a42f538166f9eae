package ledger_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

func TestCreatePurchase(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	n := b.newPurchase(account, 2500)
	p, created, err := b.CreatePurchase(t.Context(), n)
	done(t, err)
	same(t, "created", created, true)
	same(t, "id", p.ID, n.ID)
	same(t, "amount", p.AmountCents, 2500)
	same(t, "card", p.PaymentMethodID, "pm_"+account)
	same(t, "customer", p.StripeCustomerID, "cus_"+account)
	same(t, "status", p.Status, models.PurchasePending)
	same(t, "bank", p.Bank, models.BankWaiting)
	same(t, "messages that start it", b.asked(t, ledger.MessageStartPurchase, n.ID), 1)
	claimed, err := b.ClaimMessages(t.Context(), 10, time.Hour)
	done(t, err)
	same(t, "messages due before StartWithin", len(claimed), 0)

	again := n
	again.ID = uuid.NewString()
	held, created, err := b.CreatePurchase(t.Context(), again)
	done(t, err)
	same(t, "created by a repeat", created, false)
	same(t, "id of a repeat", held.ID, n.ID)
}

func TestCreatePurchaseOfOneKeyForEver(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, neighbour := b.customer(t), b.customer(t)
	n := b.newPurchase(account, 2500)
	_, _, err := b.CreatePurchase(t.Context(), n)
	done(t, err)
	for name, change := range map[string]func(*ledger.NewPurchase){
		"OtherAmount": func(n *ledger.NewPurchase) { n.AmountCents = 2501 },
		"OtherOrigin": func(n *ledger.NewPurchase) { n.Origin = models.OriginAutoRecharge },
	} {
		t.Run(name, func(t *testing.T) {
			other := n
			other.ID = uuid.NewString()
			change(&other)
			if _, _, err := b.CreatePurchase(t.Context(), other); !errors.Is(err, ledger.ErrIdempotencyMismatch) {
				t.Errorf("got %v", err)
			}
		})
	}
	done(t, b.PutCard(t.Context(), card(account, "pm_new")))
	held, created, err := b.CreatePurchase(t.Context(), n)
	done(t, err)
	if created || held.PaymentMethodID != "pm_"+account {
		t.Errorf("F29: after a new card the key gives another purchase: %+v", held)
	}
	n.ID, n.AccountID = uuid.NewString(), neighbour
	if _, created, err := b.CreatePurchase(t.Context(), n); err != nil || !created {
		t.Errorf("another account's same key: created %t, %v", created, err)
	}
}

func TestCreatePurchaseNeedsACard(t *testing.T) {
	t.Parallel()
	b := open(t)
	withoutCustomer := b.account(t)
	done(t, b.PutCard(t.Context(), card(withoutCustomer, "pm")))
	withoutCard := b.account(t)
	_, err := b.SetStripeCustomer(t.Context(), withoutCard, "cus")
	done(t, err)
	for name, account := range map[string]string{
		"NoAccount": uuid.NewString(), "NoCard": withoutCard, "NoCustomer": withoutCustomer,
	} {
		if _, created, err := b.CreatePurchase(t.Context(), b.newPurchase(account, 2500)); created || !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%s: created %t, %v", name, created, err)
		}
	}
	same(t, "messages", ask[int64](t, b, `select count(*) from outbox`), 0)
}

// F25: a double click, two tabs.
func TestF25FiftyPurchasesOfOneKeyAreOne(t *testing.T) {
	t.Parallel()
	b := open(t)
	n := b.newPurchase(b.customer(t), 2500)
	var created atomic.Int64
	together(50, func(int) {
		mine := n
		mine.ID = uuid.NewString()
		_, fresh, err := b.CreatePurchase(t.Context(), mine)
		if err != nil {
			t.Error(err)
		}
		if fresh {
			created.Add(1)
		}
	})
	same(t, "created", created.Load(), 1)
	same(t, "purchases", ask[int64](t, b, `select count(*) from purchases`), 1)
	same(t, "messages", ask[int64](t, b, `select count(*) from outbox where subject = (select id::text from purchases)`), 1)
}

// step is a step of a purchase, and what makes a purchase that it finds.
type step struct {
	before func(b *books, t tb, account string, cents int64) string
	do     func(ctx context.Context, b *books, id string) error
}

var steps = map[string]step{
	"BeginPurchase": {(*books).created, func(ctx context.Context, b *books, id string) error {
		p, err := b.BeginPurchase(ctx, id, noon)
		if err == nil && (p.Bank != models.BankCharging || p.BankStartedAt == nil) {
			return errors.New("the purchase that begins is not charging")
		}
		return err
	}},
	"RecordBankUnknown": {(*books).charging, func(ctx context.Context, b *books, id string) error {
		return b.RecordBank(ctx, id, ledger.BankAnswer{State: models.BankUnknown, At: noon})
	}},
	"RecordBankRequiresAction": {(*books).charging, func(ctx context.Context, b *books, id string) error {
		return b.RecordBank(ctx, id, ledger.BankAnswer{
			State: models.BankRequiresAction, PaymentIntentID: "pi_" + id, AuthorizationURL: "https://bank.example/" + id, At: noon,
		})
	}},
	"RecordBankApproved": {(*books).charging, func(ctx context.Context, b *books, id string) error {
		return b.RecordBank(ctx, id, approval(id, 2500))
	}},
	"RecordBankDeclined": {(*books).charging, func(ctx context.Context, b *books, id string) error {
		return b.RecordBank(ctx, id, declined(id))
	}},
	"IssueInvoice": {(*books).approved, func(ctx context.Context, b *books, id string) error {
		_, err := b.IssueInvoice(ctx, id, uuid.NewString(), noon)
		return err
	}},
	"CreditPurchase": {(*books).invoiced, func(ctx context.Context, b *books, id string) error {
		credited, err := b.CreditPurchase(ctx, id, billing.TierRules(), noon)
		if err == nil && (credited != ledger.Credited{EntitlementVersion: 1, TierChanged: true}) {
			return errors.New("the credit tells of another effect")
		}
		return err
	}},
	"SettleTier": {(*books).credited, func(ctx context.Context, b *books, id string) error {
		complete, err := b.SettleTier(ctx, id, nil, noon)
		if err == nil && !complete {
			return errors.New("not complete")
		}
		return err
	}},
}

func declined(id string) ledger.BankAnswer {
	return ledger.BankAnswer{
		State: models.BankDeclined, PaymentIntentID: "pi_" + id, DeclineCode: "insufficient_funds", DeclineKnown: true, At: noon,
	}
}

func TestEveryStepRepeatedChangesNothing(t *testing.T) {
	t.Parallel()
	b := open(t)
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			id := step.before(b, t, b.customer(t), 2500)
			before := effects(t, b, id)
			done(t, step.do(t.Context(), b, id))
			after := effects(t, b, id)
			if after == before {
				t.Fatal("the step has no effect at all")
			}
			done(t, step.do(t.Context(), b, id))
			same(t, "after the repeat", effects(t, b, id), after)
		})
	}
	b.sound(t)
}

// All begin before any of them can end: the purchase is held until they wait.
func TestEveryStepAtOnceHasOneEffect(t *testing.T) {
	t.Parallel()
	b := open(t)
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			alone, raced := step.before(b, t, b.customer(t), 2500), step.before(b, t, b.customer(t), 2500)
			done(t, step.do(t.Context(), b, alone))
			held, err := b.db.Begin(t.Context())
			done(t, err)
			_, err = held.Exec(t.Context(), `select from purchases where id = $1 for update`, raced)
			done(t, err)
			var group sync.WaitGroup
			for range 6 {
				group.Go(func() {
					if err := step.do(t.Context(), b, raced); err != nil {
						t.Error(err)
					}
				})
			}
			b.await(t, 6)
			done(t, held.Commit(t.Context()))
			group.Wait()
			same(t, "what many did at once", kinds(t, b, raced), kinds(t, b, alone))
		})
	}
	b.sound(t)
}

// effects is all that the steps of a purchase write, in full.
func effects(t *testing.T, b *books, id string) string {
	t.Helper()
	return ask[string](t, b, `
		select jsonb_build_object('purchase', p, 'entitlement', e, 'balance', b,
			'outbox', (select jsonb_agg(o order by o.id) from outbox o where o.subject in (p.id::text, p.account_id::text)),
			'invoices', (select jsonb_agg(i) from invoices i where i.purchase_id = p.id),
			'transactions', (select count(*) from ledger_transactions t where t.account_id = p.account_id))::text
		  from purchases p join entitlements e using (account_id) join balances b using (account_id) where p.id = $1`, id)
}

// kinds is the same without what differs between two purchases.
func kinds(t *testing.T, b *books, id string) string {
	t.Helper()
	return ask[string](t, b, `
		select jsonb_build_object('status', p.status, 'bank', p.bank, 'revision', p.revision, 'version', e.version, 'balance', b.purchased_micros,
			'outbox', (select jsonb_agg(o.kind || o.revision order by o.id) from outbox o where o.subject in (p.id::text, p.account_id::text)),
			'invoices', (select count(*) from invoices i where i.purchase_id = p.id),
			'transactions', (select count(*) from ledger_transactions t where t.account_id = p.account_id))::text
		  from purchases p join entitlements e using (account_id) join balances b using (account_id) where p.id = $1`, id)
}

// A begin that waits for another one's sees what that one wrote: with a purchase
// that seems never to have begun, the workflow would take its charge for absent.
func TestBeginPurchaseBehindAnotherSeesItsEffect(t *testing.T) {
	t.Parallel()
	b := open(t)
	id := b.created(t, b.customer(t), 2500)
	first, err := b.db.Begin(t.Context())
	done(t, err)
	defer func() { _ = first.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = first.Exec(t.Context(), `update purchases set bank = 'charging', bank_started_at = $2 where id = $1`, id, noon)
	done(t, err)

	answer := make(chan models.Purchase, 1)
	go func() {
		p, err := b.BeginPurchase(t.Context(), id, noon.Add(time.Minute))
		if err != nil {
			t.Error(err)
		}
		answer <- p
	}()
	b.await(t, 1)
	done(t, first.Commit(t.Context()))
	p := <-answer
	same(t, "bank", p.Bank, models.BankCharging)
	if p.BankStartedAt == nil || !p.BankStartedAt.Equal(noon) {
		t.Errorf("begun at %v, want %v", p.BankStartedAt, noon)
	}
}

func TestBeginPurchaseOfOneThatEnded(t *testing.T) {
	t.Parallel()
	b := open(t)
	id := b.completed(t, b.customer(t), 2500)
	p, err := b.BeginPurchase(t.Context(), id, noon.Add(time.Hour))
	done(t, err)
	same(t, "status", p.Status, models.PurchaseCompleted)
	same(t, "payment", *p.PaymentIntentID, "pi_"+id)
}

// F13, I3: what the bank said last cannot be replaced, and an attempt to is told. A
// word that is not final says nothing about it, however late it comes.
func TestF13AnotherFinalAnswerIsAnError(t *testing.T) {
	t.Parallel()
	b := open(t)
	answers := map[string]func(id string) ledger.BankAnswer{
		"Approved":            func(id string) ledger.BankAnswer { return approval(id, 2500) },
		"ApprovedAnotherTime": func(id string) ledger.BankAnswer { a := approval(id, 2500); a.PaymentIntentID += "_2"; return a },
		"Declined":            declined,
		"Canceled": func(id string) ledger.BankAnswer {
			return ledger.BankAnswer{State: models.BankCanceled, PaymentIntentID: "pi_" + id, At: noon}
		},
		"Expired":    func(string) ledger.BankAnswer { return ledger.BankAnswer{State: models.BankExpired, At: noon} },
		"Processing": func(string) ledger.BankAnswer { return ledger.BankAnswer{State: models.BankProcessing, At: noon} },
		"Unknown":    func(string) ledger.BankAnswer { return ledger.BankAnswer{State: models.BankUnknown, At: noon} },
		"RequiresAction": func(id string) ledger.BankAnswer {
			return ledger.BankAnswer{State: models.BankRequiresAction, PaymentIntentID: "pi_" + id, AuthorizationURL: "https://bank.example", At: noon}
		},
	}
	for _, first := range []string{"Approved", "Declined", "Canceled", "Expired"} {
		for second, answer := range answers {
			t.Run(first+"Then"+second, func(t *testing.T) {
				id := b.charging(t, b.customer(t), 2500)
				done(t, b.RecordBank(t.Context(), id, answers[first](id)))
				before := effects(t, b, id)
				err := b.RecordBank(t.Context(), id, answer(id))
				contradicts := first != second && answer(id).State.Final()
				if !contradicts && err != nil || contradicts && !errors.Is(err, ledger.ErrNotAsRecorded) {
					t.Errorf("got %v", err)
				}
				same(t, "the purchase", effects(t, b, id), before)
			})
		}
	}
}

func TestRecordBankTakesTheLinkAwayWhenItIsOver(t *testing.T) {
	t.Parallel()
	b := open(t)
	id := b.charging(t, b.customer(t), 2500)
	done(t, steps["RecordBankRequiresAction"].do(t.Context(), b, id))
	if link := b.purchase(t, id).AuthorizationURL; link == nil || *link != "https://bank.example/"+id {
		t.Errorf("link %v", link)
	}
	done(t, b.RecordBank(t.Context(), id, ledger.BankAnswer{State: models.BankUnknown, At: noon}))
	p := b.purchase(t, id)
	if p.AuthorizationURL != nil || p.PaymentIntentID == nil || *p.PaymentIntentID != "pi_"+id {
		t.Errorf("link %v, payment %v", p.AuthorizationURL, p.PaymentIntentID)
	}
	done(t, b.RecordBank(t.Context(), id, declined(id)))
	p = b.purchase(t, id)
	same(t, "status", p.Status, models.PurchaseDeclined)
	same(t, "code", *p.DeclineCode, "insufficient_funds")
	same(t, "known", *p.DeclineKnown, true)
}

func TestUnknownPurchase(t *testing.T) {
	t.Parallel()
	b := open(t)
	for name, step := range steps {
		if err := step.do(t.Context(), b, uuid.NewString()); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Purchase(t.Context(), uuid.NewString()); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("Purchase: %v", err)
	}
}

func TestPendingPurchases(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	first, ended, second := b.created(t, account, 500), b.completed(t, account, 500), b.approved(t, account, 500)
	b.created(t, b.customer(t), 500)
	pending, err := b.PendingPurchases(t.Context(), account)
	done(t, err)
	var ids []string
	for _, p := range pending {
		ids = append(ids, p.ID)
	}
	got := strings.Join(ids, " ")
	if len(ids) != 2 || !strings.Contains(got, first) || !strings.Contains(got, second) {
		t.Errorf("got %s, want %s and %s", got, first, second)
	}
	revisions, err := b.Revisions(t.Context(), []string{first, ended, uuid.NewString()})
	done(t, err)
	same(t, "revisions", len(revisions), 2)
	for _, r := range revisions {
		same(t, "revision", r.Revision, b.purchase(t, r.ID).Revision)
	}
}

// R23: support knows an address and about when.
func TestPurchasesNear(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	at := func(after time.Duration) string {
		n := b.newPurchase(account, 500)
		n.At = noon.Add(after)
		p, _, err := b.CreatePurchase(t.Context(), n)
		done(t, err)
		return p.ID
	}
	late, early, exact := at(time.Hour), at(-30*time.Minute), at(0)
	at(time.Hour + time.Microsecond)
	b.created(t, b.customer(t), 500)
	n := b.newPurchase(account, 500)
	n.At = noon.Add(time.Second)
	_, _, err := b.CreatePurchase(t.Context(), n)
	done(t, err)
	done(t, b.RecordBank(t.Context(), n.ID, ledger.BankAnswer{State: models.BankCanceled, At: noon}))
	near, err := b.PurchasesNear(t.Context(), strings.ToUpper(account)+"@Example.com", noon.In(time.FixedZone("", -8*3600)), time.Hour)
	done(t, err)
	var got []string
	for _, p := range near {
		got = append(got, p.ID)
	}
	want := []string{exact, early, late, n.ID} // what ended without payment comes last, however near
	same(t, "nearest first", strings.Join(got, " "), strings.Join(want, " "))
}

func TestRowsAreScannedWhole(t *testing.T) {
	t.Parallel()
	b := open(t)
	id := b.completed(t, b.customer(t), 2500)
	p := b.purchase(t, id)
	for name, at := range map[string]*time.Time{
		"bank began": p.BankStartedAt, "bank": p.BankEndedAt, "invoice": p.InvoiceEndedAt, "balance": p.BalanceEndedAt, "tier": p.TierEndedAt,
	} {
		if at == nil || !at.Equal(noon) {
			t.Errorf("%s: %v", name, at)
		}
	}
	invoice, err := b.Invoice(t.Context(), *p.InvoiceID)
	done(t, err)
	same(t, "total", invoice.TotalMicros, dollars(25))
	same(t, "invoice's purchase", *invoice.PurchaseID, id)
	same(t, "status", p.Status, models.PurchaseCompleted)
	same(t, "captured", p.CapturedCents, 2500)
	if _, err := b.Invoice(t.Context(), uuid.NewString()); !errors.Is(err, ledger.ErrNotFound) || errors.Is(err, pgx.ErrNoRows) {
		t.Errorf("got %v", err)
	}
}
