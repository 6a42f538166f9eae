package activities_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/testenv"
)

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

func now() time.Time { return noon }

// world is a ledger on a database of its own, with one account that can pay.
type world struct {
	*ledger.Ledger
	account models.Account
	url     string
	// wakes counts how often the relay was told of news.
	wakes atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	url := testenv.Database(t) + "&synchronous_commit=off"
	store, err := ledger.Open(t.Context(), url, 4)
	done(t, err)
	t.Cleanup(store.Close)
	id := uuid.NewString()
	w := &world{Ledger: store, url: url, account: models.Account{
		ID: id, Email: "ada@example.com", Name: "Ada", Territory: "US", CreatedAt: noon,
	}}
	done(t, store.CreateAccount(t.Context(), w.account))
	w.pays(t, "cus_1", "pm_1")
	return w
}

// pays gives the account its customer and card at Stripe.
func (w *world) pays(t *testing.T, customer, method string) {
	t.Helper()
	_, err := w.SetStripeCustomer(t.Context(), w.account.ID, customer)
	done(t, err)
	done(t, w.PutCard(t.Context(), models.Card{
		AccountID: w.account.ID, PaymentMethodID: method, Brand: "visa", Funding: "credit", Last4: "4242", ExpMonth: 12, ExpYear: 2030,
		Fingerprint: "fp", UpdatedAt: noon, Address: models.Address{Country: "US"},
	}))
}

func (w *world) wake() { w.wakes.Add(1) }

func (w *world) books(gateways ...string) *activities.Ledger {
	return &activities.Ledger{Store: w.Ledger, Gateways: only(gateways...), Wake: w.wake, Now: now}
}

// buys makes a purchase of $25.00.
func (w *world) buys(t *testing.T, origin models.Origin) activities.PurchaseRef {
	t.Helper()
	p, _, err := w.CreatePurchase(t.Context(), ledger.NewPurchase{
		ID: uuid.NewString(), AccountID: w.account.ID, IdempotencyKey: uuid.NewString(), Origin: origin, AmountCents: 2500, At: noon,
	})
	done(t, err)
	return activities.PurchaseRef{PurchaseID: p.ID}
}

func (w *world) purchase(t *testing.T, ref activities.PurchaseRef) models.Purchase {
	t.Helper()
	p, err := w.Purchase(t.Context(), ref.PurchaseID)
	done(t, err)
	return p
}

// credits takes a purchase to the end of its balance stage.
func (w *world) credits(t *testing.T, gateways ...string) activities.PurchaseRef {
	t.Helper()
	books, ref := w.books(gateways...), w.buys(t, models.OriginCheckout)
	_, err := run(t, books.BeginPurchase, ref)
	done(t, err)
	_, err = run(t, books.RecordBankAnswer, activities.BankAnswerInput{PurchaseID: ref.PurchaseID, Payment: activities.Payment{
		State: activities.PaymentApproved, PaymentIntentID: "pi_" + ref.PurchaseID, CapturedCents: 2500,
	}})
	done(t, err)
	_, err = run(t, books.IssueInvoice, ref)
	done(t, err)
	_, err = run(t, books.CreditBalance, ref)
	done(t, err)
	return ref
}

// messages are the kinds of what is in the outbox.
func (w *world) messages(t *testing.T) map[ledger.MessageKind]int {
	t.Helper()
	claimed, err := w.ClaimMessages(t.Context(), 100, 0)
	done(t, err)
	kinds := map[ledger.MessageKind]int{}
	for _, m := range claimed {
		kinds[m.Kind]++
	}
	return kinds
}
