package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/testenv"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
)

// What the customer does when the bank asks.
const (
	approves = true
	refuses  = false
)

// What a charge is for, and how it ends or first stands.
const (
	checkout = "checkout"
	recharge = "recharge"
	invoiced = "invoice"

	completed = "completed"
	declined  = "declined"
)

// territoryCase is one row of cards, territories and occasions: what the bank does
// first, and the end.
type territoryCase struct {
	territory, card, for_ string
	cents                 int64
	// first is what the charge waits for: requires_action where the bank wants the
	// customer, processing while they have notice of it; "" if it ends by itself.
	first models.BankState
	// approves is what the customer says then.
	approves bool
	end      string
	// sentence is what a decline reads as.
	sentence string
}

// The cards by number are those of https://docs.stripe.com/india-recurring-payments#testing
// and the plain card of India; the others are of https://docs.stripe.com/testing.
const (
	indianCard      = "4000003560000123"
	indianPausing   = "4000003560000297"
	indianNoNotice  = "4000003560000248"
	indianRevoked   = "4000003560000263"
	indianNoMandate = "4000003560000008"

	asksOnSession  = "pm_card_authenticationRequiredSetupForOffSession"
	asksUntilSetUp = "pm_card_authenticationRequiredOnSetup"
	asksAlways     = "pm_card_authenticationRequired"
	asksThenShort  = "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"
	short          = "pm_sim_decline_insufficient_funds"
	lost           = "pm_sim_decline_lost_card"
)

const noState = models.BankState("")

var territoryCases = []territoryCase{
	{"US", "pm_card_visa", checkout, 2500, noState, approves, completed, ""},
	{"US", "pm_card_visa", recharge, 2500, noState, approves, completed, ""},
	{"US", "pm_card_visa", invoiced, 2500, noState, approves, completed, ""},
	{"US", short, checkout, 2500, noState, approves, declined, billing.MessageInsufficientFunds},
	{"US", short, recharge, 2500, noState, approves, declined, billing.MessageInsufficientFunds},
	{"US", short, invoiced, 2500, noState, approves, declined, billing.MessageInsufficientFunds},
	{"US", lost, checkout, 2500, noState, approves, declined, billing.MessageDeclined},
	{"US", lost, recharge, 2500, noState, approves, declined, billing.MessageDeclined},
	{"US", asksAlways, recharge, 2500, models.BankRequiresAction, approves, completed, ""},

	{"DE", "pm_card_de", checkout, 2500, noState, approves, completed, ""},
	{"DE", "pm_card_de", recharge, 2500, noState, approves, completed, ""},
	{"DE", "pm_card_de", invoiced, 2500, noState, approves, completed, ""},
	{"DE", asksAlways, checkout, 2500, models.BankRequiresAction, approves, completed, ""},
	{"DE", asksAlways, checkout, 2500, models.BankRequiresAction, refuses, declined, billing.MessageSecurityStep},
	{"DE", asksAlways, recharge, 2500, models.BankRequiresAction, approves, completed, ""},
	{"DE", asksAlways, recharge, 2500, models.BankRequiresAction, refuses, declined, billing.MessageSecurityStep},
	{"DE", asksAlways, invoiced, 2500, models.BankRequiresAction, approves, completed, ""},
	{"DE", asksUntilSetUp, checkout, 2500, models.BankRequiresAction, approves, completed, ""},
	{"DE", asksUntilSetUp, recharge, 2500, noState, approves, completed, ""},
	{"DE", asksUntilSetUp, invoiced, 2500, noState, approves, completed, ""},
	{"DE", asksOnSession, checkout, 2500, models.BankRequiresAction, approves, completed, ""},
	{"DE", asksOnSession, recharge, 2500, noState, approves, completed, ""},

	{"GB", "pm_card_gb", checkout, 2500, noState, approves, completed, ""},
	{"GB", "pm_card_gb", recharge, 2500, noState, approves, completed, ""},
	{"GB", "pm_card_gb", invoiced, 2500, noState, approves, completed, ""},
	{"GB", asksThenShort, checkout, 2500, models.BankRequiresAction, approves, declined, billing.MessageInsufficientFunds},
	{"GB", asksThenShort, recharge, 2500, models.BankRequiresAction, approves, declined, billing.MessageInsufficientFunds},

	{"IN", indianCard, checkout, 2500, models.BankRequiresAction, approves, completed, ""},
	{"IN", indianCard, recharge, 2500, models.BankProcessing, approves, completed, ""},
	{"IN", indianCard, invoiced, 2500, models.BankProcessing, approves, completed, ""},
	// $200.00 are more than 15,000 INR: the customer approves each charge.
	{"IN", indianCard, recharge, 20_000, models.BankProcessing, approves, completed, ""},
	{"IN", indianCard, recharge, 20_000, models.BankProcessing, refuses, declined, billing.MessageSecurityStep},
	{"IN", indianCard, invoiced, 20_000, models.BankProcessing, approves, completed, ""},
	{"IN", indianPausing, recharge, 2500, models.BankProcessing, approves, declined, billing.MessageSecurityStep},
	{"IN", indianNoNotice, recharge, 2500, models.BankProcessing, approves, declined, billing.MessageTryLater},
	{"IN", indianRevoked, recharge, 2500, models.BankProcessing, approves, declined, billing.MessageRecurringPayments},
	{"IN", indianNoMandate, checkout, 2500, noState, approves, completed, ""},
	{"IN", indianNoMandate, recharge, 2500, models.BankRequiresAction, approves, completed, ""},
	{"IN", "pm_card_visa", recharge, 2500, noState, approves, completed, ""},
	// The card's bank has its say wherever the account is.
	{"US", indianCard, recharge, 2500, models.BankProcessing, approves, completed, ""},
}

// underWay is a row whose charge has been begun.
type underWay struct {
	territoryCase
	account, purchase, invoice, intent string
}

// R36, R39, R44: every card in every territory, as a checkout, a recharge and an
// invoice, to its end. The rows run side by side; the day that India's customers have
// notice of a charge passes once, for all of them.
func TestR36CardsInTerritories(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	rows := make([]*underWay, len(territoryCases))
	each := func(do func(i int)) {
		var all sync.WaitGroup
		turns := make(chan struct{}, 8)
		for i := range rows {
			all.Go(func() {
				turns <- struct{}{}
				defer func() { <-turns }()
				do(i)
			})
		}
		all.Wait()
	}
	each(func(i int) { rows[i] = s.beginCase(territoryCases[i]) })
	s.collect()
	each(func(i int) { s.answerCase(rows[i]) })
	require.NoError(t, s.stripe.Advance(26*time.Hour))
	each(func(i int) { s.endCase(rows[i]) })
	v, err := s.store.Verify(context.Background())
	require.NoError(t, err)
	require.True(t, v.OK(), v)
}

func (c territoryCase) String() string {
	return fmt.Sprintf("%s %s %s %d", c.territory, c.card, c.for_, c.cents)
}

// beginCase opens the account of a row, with its card, and has it charged.
func (s *system) beginCase(c territoryCase) *underWay {
	s.t.Helper()
	u := &underWay{territoryCase: c}
	var opened api.Account
	require.Equal(s.t, http.StatusCreated, s.call(models.RoleCheckout, http.MethodPost, "/v1/accounts", nil,
		map[string]string{"email": testenv.Unique(s.t) + "@example.com", "name": "Ada", "territory": c.territory}, &opened))
	u.account = opened.ID
	if c.for_ == invoiced {
		s.put(u.account, "pm_card_mastercard")
		p, _ := s.buy(u.account, "first", 500, 30)
		s.requireCompleted(p)
	}
	s.put(u.account, s.methodOf(c.card))
	switch c.for_ {
	case checkout:
		p, _ := s.buy(u.account, "k", c.cents, 0)
		u.purchase = p.ID
	case recharge:
		s.recharge(u.account, c.cents, c.cents)
	case invoiced:
		u.invoice = s.owes(u.account, 500+c.cents)
	}
	return u
}

// methodOf makes a payment method of a test card that has a number alone.
func (s *system) methodOf(card string) string {
	s.t.Helper()
	if card[0] == 'p' {
		return card
	}
	method, err := s.cards().Verifier.API.PaymentMethods.New(&stripe.PaymentMethodParams{
		Type: stripe.String("card"),
		Card: &stripe.PaymentMethodCardParams{
			Number: stripe.String(card), ExpMonth: stripe.Int64(12), ExpYear: stripe.Int64(2040), CVC: stripe.String("123"),
		},
	})
	require.NoError(s.t, err)
	return method.ID
}

// answerCase waits until a row's charge stands as it first should, and answers the
// bank for its customer.
func (s *system) answerCase(u *underWay) {
	if u.for_ == recharge {
		s.eventually(func() bool {
			if made := s.automatic(u.account); len(made) > 0 {
				u.purchase = made[len(made)-1].ID
			}
			return u.purchase != ""
		})
	}
	if u.first == noState {
		return
	}
	s.untilCase(u, func(bank models.BankState) bool { return bank == u.first })
	api := s.cards().Verifier.API
	intent, err := api.PaymentIntents.Get(u.intent, nil)
	require.NoError(s.t, err, u)
	if intent.Status == stripe.PaymentIntentStatusRequiresPaymentMethod {
		// Without its customer the charge was refused: they confirm it, being there.
		params := &stripe.PaymentIntentConfirmParams{
			PaymentMethod: stripe.String(intent.LastPaymentError.PaymentMethod.ID), ReturnURL: stripe.String("http://shop.example/return"),
		}
		params.SetIdempotencyKey(uuid.NewString())
		intent, err = api.PaymentIntents.Confirm(u.intent, params)
		require.NoError(s.t, err, u)
		if intent.Status == stripe.PaymentIntentStatusSucceeded {
			return // that they are there is all that this bank wants
		}
	}
	if u.approves {
		require.NoError(s.t, s.stripe.Approve(u.intent), u)
	} else {
		require.NoError(s.t, s.stripe.Refuse(u.intent), u)
	}
}

// bankOf is how a row's charge stands with the bank.
func (s *system) bankOf(u *underWay) (models.BankState, string) {
	if u.invoice != "" {
		p, err := s.store.InvoicePayment(context.Background(), u.invoice, 1)
		if err != nil || p.PaymentIntentID == nil {
			return "", ""
		}
		return p.Bank, *p.PaymentIntentID
	}
	p, err := s.store.Purchase(context.Background(), u.purchase)
	if err != nil || p.PaymentIntentID == nil {
		return "", ""
	}
	return p.Bank, *p.PaymentIntentID
}

// endCase checks how a row's charge ended.
func (s *system) endCase(u *underWay) {
	s.untilCase(u, models.BankState.Final)
	bank, _ := s.bankOf(u)
	want := models.BankApproved
	if u.end == declined {
		want = models.BankDeclined
	}
	require.Equal(s.t, want, bank, u)
	var code *string
	if u.invoice != "" {
		p, err := s.store.InvoicePayment(context.Background(), u.invoice, 1)
		require.NoError(s.t, err)
		code = p.DeclineCode
	} else {
		p, err := s.store.Purchase(context.Background(), u.purchase)
		require.NoError(s.t, err)
		code = p.DeclineCode
	}
	if u.end == declined {
		require.Equal(s.t, u.sentence, billing.DeclineFor(*code).Message, "%s: %s", u, *code)
		return
	}
	if u.invoice != "" {
		s.awaitInvoice(u.invoice, models.InvoicePaid)
		return
	}
	s.requireCompleted(api.Purchase{ID: u.purchase})
}

// untilCase waits for a row's charge to be as wanted.
func (s *system) untilCase(u *underWay, wanted func(bank models.BankState) bool) {
	s.t.Helper()
	var bank models.BankState
	require.Eventually(s.t, func() bool {
		bank, u.intent = s.bankOf(u)
		return wanted(bank)
	}, patience, 20*time.Millisecond, "%s", u)
}
