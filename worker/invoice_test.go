package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/links"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/sim"
	"github.com/paystage/paystage/testenv"
	"github.com/stretchr/testify/require"
)

// owing opens an account that bought $5.00 with a good card, used so much of last
// month that it owes so many cents for it, and then put the card given. It answers
// the account and its invoice, which nobody has been told to collect yet.
func (s *system) owing(paymentMethod string, cents int64) (account, invoice string) {
	s.t.Helper()
	account = s.account("pm_card_visa")
	p, _ := s.buy(account, "first", 500, 30)
	s.requireCompleted(p)
	s.put(account, paymentMethod)
	return account, s.owes(account, 500+cents)
}

func (s *system) requireCompleted(p api.Purchase) {
	s.t.Helper()
	require.Equal(s.t, "completed", s.await(p.ID, ended).Status)
}

// owes has an account use so many cents of last month and closes that.
func (s *system) owes(account string, cents int64) (invoice string) {
	s.t.Helper()
	month := now().AddDate(0, 0, 1-now().Day()).Truncate(24 * time.Hour)
	var answer api.UsageAnswer
	status := s.call(models.RoleUsage, http.MethodPost, "/v1/usage", nil, map[string]any{"events": []any{map[string]any{
		"id": testenv.Unique(s.t), "account_id": account, "sku": "baai/bge-large-en-v1.5.embedding", "quantity": cents * 625_000, "at": month.Add(-time.Hour),
	}}}, &answer)
	require.Equal(s.t, http.StatusOK, status)
	require.Equal(s.t, 1, answer.Accepted, answer)
	made, err := s.store.CloseAccountMonth(context.Background(), account, month.AddDate(0, -1, 0), 50, billing.TierRules(), now())
	require.NoError(s.t, err)
	require.EqualValues(s.t, 1, made)
	invoices, err := s.store.Invoices(context.Background(), account)
	require.NoError(s.t, err)
	for _, i := range invoices {
		if i.Kind == models.InvoiceOfMonth {
			invoice = i.ID
		}
	}
	return invoice
}

// put replaces the account's card.
func (s *system) put(account, paymentMethod string) {
	s.t.Helper()
	var card map[string]any
	status := s.call(models.RoleCheckout, http.MethodPut, "/v1/accounts/"+account+"/card", nil, map[string]any{
		"payment_method":  paymentMethod,
		"billing_address": models.Address{Line1: "1 Main St", City: "Springfield", State: "IL", PostalCode: "62701", Country: "US"},
	}, &card)
	if status == http.StatusAccepted {
		s.approveCard(account)
		return
	}
	require.Equal(s.t, http.StatusOK, status, card)
}

// collect has invoices that are due collected now, as the sweep does.
func (s *system) collect() {
	s.t.Helper()
	_, err := s.store.WakeCollections(context.Background(), now(), 100)
	require.NoError(s.t, err)
}

func (s *system) awaitInvoice(invoice string, status models.InvoiceStatus) {
	s.t.Helper()
	s.eventually(func() bool {
		i, err := s.store.Invoice(context.Background(), invoice)
		return err == nil && models.InvoiceStatus(i.Status) == status
	})
}

// awaitTry waits until a try to have the invoice paid is as the bank said.
func (s *system) awaitTry(invoice string, attempt int, bank models.BankState) models.InvoicePayment {
	s.t.Helper()
	var p models.InvoicePayment
	s.eventually(func() bool {
		var err error
		p, err = s.store.InvoicePayment(context.Background(), invoice, attempt)
		return err == nil && p.Bank == bank
	})
	return p
}

// pay pays an invoice by hand.
func (s *system) pay(invoice, key string, wait int) (api.InvoicePaid, int) {
	s.t.Helper()
	var paid api.InvoicePaid
	status := s.call(models.RoleFinance, http.MethodPost, "/v1/invoices/"+invoice+"/pay",
		map[string]string{"Idempotency-Key": key, "Prefer": fmt.Sprintf("wait=%d", wait)}, nil, &paid)
	return paid, status
}

// requireInvoicePaid checks what must hold of a paid invoice whatever happened on the
// way: one capture of its amount, counted to the spend and the tier, and an account
// that is not suspended, at every gateway.
func (s *system) requireInvoicePaid(account, invoice string) {
	s.t.Helper()
	s.awaitInvoice(invoice, models.InvoicePaid)
	paid, err := s.store.Invoice(context.Background(), invoice)
	require.NoError(s.t, err)
	captured := 0
	for _, intent := range s.stripe.PaymentIntents() {
		if intent.Metadata["invoice_id"] == invoice && intent.Status == "succeeded" {
			captured++
			require.EqualValues(s.t, paid.DueCents, intent.ReceivedCents)
		}
	}
	require.Equal(s.t, 1, captured, "captures for the invoice")
	balance, err := s.store.Balance(context.Background(), account)
	require.NoError(s.t, err)
	require.EqualValues(s.t, 5_000_000+paid.TotalMicros, balance.LifetimeSpendMicros)
	v, err := s.store.Verify(context.Background())
	require.NoError(s.t, err)
	require.True(s.t, v.OK(), v)
	s.awaitSuspended(account, false)
	s.requireTier(account)
}

// awaitSuspended waits until every gateway holds the account's newest entitlement, and
// that as suspended or not.
func (s *system) awaitSuspended(account string, suspended bool) {
	s.t.Helper()
	s.eventually(func() bool {
		is, err := s.store.Entitlement(context.Background(), account)
		if err != nil || is.Suspended != suspended {
			return false
		}
		for _, g := range s.gateways {
			if held, ok := g.store.Get(account); !ok || held.Suspended != suspended || held.Version < is.Version {
				return false
			}
		}
		return true
	})
}

// lastDayComes moves an invoice's schedule so that its last day is now.
func (s *system) lastDayComes(invoice string) {
	s.t.Helper()
	conn, err := pgx.Connect(context.Background(), s.settings.DatabaseURL)
	require.NoError(s.t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(context.Background(), `
		update invoice_collections set chased_from = $2, due_at = $3, wake_at = $3 where invoice_id = $1`, invoice, now().AddDate(0, 0, -8), now())
	require.NoError(s.t, err)
	s.collect()
}

// TestInvoiceOutcomes goes through what can become of the charge of an invoice.
func TestInvoiceOutcomes(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	stop := s.work()
	t.Run("R32PaidAtOnce", func(t *testing.T) {
		account, invoice := s.owing("pm_card_visa", 9_500)
		s.requireInvoicePaid(account, invoice)
		again, status := s.pay(invoice, "late", 5)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "paid", again.Status)
		require.Nil(t, again.Payment)
	})
	t.Run("R33DeclinedThenANewCard", func(t *testing.T) {
		account, invoice := s.owing("pm_sim_decline_insufficient_funds", 1_500)
		s.collect()
		s.awaitTry(invoice, 1, models.BankDeclined)
		s.awaitEvent(invoice, "payment_failed")
		s.put(account, "pm_card_mastercard")
		s.requireInvoicePaid(account, invoice)
		require.Equal(t, models.PaidByNewCard, s.awaitTry(invoice, 2, models.BankApproved).Origin)
	})
	t.Run("R33PastDueSuspendsAndPaymentRestores", func(t *testing.T) {
		account, invoice := s.owing("pm_sim_decline_do_not_honor", 1_500)
		s.collect()
		s.awaitTry(invoice, 1, models.BankDeclined)
		s.lastDayComes(invoice)
		s.awaitInvoice(invoice, models.InvoicePastDue)
		s.awaitSuspended(account, true)
		b := s.billing(account)
		require.True(t, b.Suspended)
		require.EqualValues(t, 15_000_000, b.PastDueMicros)
		// F46, R34: credits can be bought, and don't pay it.
		s.put(account, "pm_card_visa")
		s.requireInvoicePaid(account, invoice)
	})
	t.Run("R33ByHandDeclinedThenPaid", func(t *testing.T) {
		account, invoice := s.owing("pm_sim_decline_insufficient_funds", 1_500)
		s.collect()
		s.awaitTry(invoice, 1, models.BankDeclined)
		paid, status := s.pay(invoice, "k1", 30)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "open", paid.Status)
		require.Equal(t, "declined", paid.Payment.Status)
		require.Equal(t, billing.MessageInsufficientFunds, paid.Payment.Decline.Message)
		again, _ := s.pay(invoice, "k1", 0)
		require.Equal(t, paid.Payment.Attempt, again.Payment.Attempt, "the same key is the same payment")
		s.put(account, "pm_card_mastercard")
		s.requireInvoicePaid(account, invoice)
	})
	t.Run("R36ByHandAsksTheBank", func(t *testing.T) {
		account, invoice := s.owing("pm_sim_decline_insufficient_funds", 1_500)
		s.collect()
		s.awaitTry(invoice, 1, models.BankDeclined)
		stop()
		s.put(account, "pm_card_authenticationRequired")
		tab := make(chan struct{})
		go func() {
			defer close(tab)
			s.pay(invoice, "k1", 60)
		}()
		s.eventually(func() bool { return len(s.tries(invoice)) == 2 })
		s.work()
		<-tab
		paid, status := s.pay(invoice, "k1", 30)
		require.Equal(t, http.StatusAccepted, status)
		require.NotNil(t, paid.AuthorizationURL)
		joined, _ := s.pay(invoice, "k2", 5)
		require.Equal(t, paid.AuthorizationURL, joined.AuthorizationURL, "another tab goes on with the same payment")
		require.NoError(t, s.stripe.Approve(*s.awaitTry(invoice, 2, models.BankRequiresAction).PaymentIntentID))
		s.requireInvoicePaid(account, invoice)
	})
	t.Run("R36WithoutTheCustomerAnAuthorizationIsOpened", func(t *testing.T) {
		account, invoice := s.owing("pm_card_authenticationRequired", 1_500)
		s.collect()
		s.awaitTry(invoice, 1, models.BankRequiresAction)
		var open models.Authorization
		s.eventually(func() bool {
			var err error
			open, err = s.store.AuthorizationOf(context.Background(), models.AuthorizeInvoice, invoice, 1)
			return err == nil
		})
		require.False(t, open.OnSession)
		paid, status := s.pay(invoice, "there now", 5)
		require.Equal(t, http.StatusAccepted, status)
		require.Contains(t, *paid.AuthorizationURL, "/authorize/", "a customer who comes by is led to the same payment")
		// F29: another card ends it, and is charged under a key of its own.
		s.put(account, "pm_card_mastercard")
		s.requireInvoicePaid(account, invoice)
		s.awaitTry(invoice, 1, models.BankCanceled)
		require.Equal(t, models.PaidByNewCard, s.awaitTry(invoice, 2, models.BankApproved).Origin)
	})
	t.Run("F5TimeoutAfterSuccess", func(t *testing.T) {
		account, invoice := s.owing("pm_card_visa", 1_500)
		require.NoError(t, s.stripe.OrderFault(sim.Fault{
			Method: http.MethodPost, Path: "/v1/payment_intents", Kind: sim.FaultTimeoutAfter, Duration: time.Second,
		}))
		s.collect()
		s.requireInvoicePaid(account, invoice)
		require.Len(t, s.tries(invoice), 1)
	})
}

func (s *system) tries(invoice string) []models.InvoicePayment {
	s.t.Helper()
	tries, err := s.store.InvoicePayments(context.Background(), invoice)
	require.NoError(s.t, err)
	return tries
}

// awaitEvent waits until something was told of the invoice, and its mail has gone.
func (s *system) awaitEvent(invoice, kind string) {
	s.t.Helper()
	conn, err := pgx.Connect(context.Background(), s.settings.DatabaseURL)
	require.NoError(s.t, err)
	defer conn.Close(context.Background())
	var id int64
	s.eventually(func() bool {
		return conn.QueryRow(context.Background(), `select id from invoice_events where invoice_id = $1 and kind = $2`, invoice, kind).Scan(&id) == nil
	})
	s.awaitMail(fmt.Sprintf("invoice-%d-%s.eml", id, kind), "invoice")
}

// R37, F43: the link of a mail shows what is to be paid and changes nothing; pressed, it
// pays, once; and it works for nothing else.
func TestInvoiceIsPaidByTheLinkOfItsMail(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account, invoice := s.owing("pm_sim_decline_insufficient_funds", 1_500)
	s.collect()
	s.awaitTry(invoice, 1, models.BankDeclined)
	s.awaitEvent(invoice, "payment_failed")
	keys, err := s.settings.Links()
	require.NoError(t, err)
	link := func(purpose links.Purpose, expires time.Time) string {
		token, err := keys.Sign(links.Token{Purpose: purpose, ID: invoice, Expires: expires})
		require.NoError(t, err)
		return s.settings.URL + "/pay/" + token
	}
	good := link(links.PayInvoice, now().Add(time.Hour))
	for range 3 {
		status, page := s.visit(http.MethodGet, good)
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, page, "Pay $15.00")
		require.Contains(t, page, billing.MessageInsufficientFunds)
	}
	require.Len(t, s.tries(invoice), 1, "looking charges nothing")
	for dead, status := range map[string]int{
		link(links.Authorize, now().Add(time.Hour)): http.StatusNotFound, link(links.PayInvoice, now().Add(-time.Hour)): http.StatusGone, good + "x": http.StatusNotFound,
	} {
		got, _ := s.visit(http.MethodPost, dead)
		require.Equal(t, status, got)
	}
	require.Len(t, s.tries(invoice), 1)
	_, page := s.visit(http.MethodPost, good)
	require.Contains(t, page, "The last payment failed", "declined again")
	require.Len(t, s.tries(invoice), 2)
	s.put(account, "pm_card_visa")
	s.requireInvoicePaid(account, invoice)
	_, page = s.visit(http.MethodPost, good)
	require.Contains(t, page, "This invoice is paid")
	require.Len(t, s.tries(invoice), 3)
}

// visit opens a page as a browser does, and follows where it leads.
func (s *system) visit(method, address string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, address, nil)
	require.NoError(s.t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	return res.StatusCode, string(page)
}

// F25: the schedule and two customers' tabs at once charge once.
func TestF25InvoicePaidByHandAndByItselfChargesOnce(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account, invoice := s.owing("pm_card_visa", 1_500)
	require.NoError(t, s.stripe.OrderFault(sim.Fault{
		Method: http.MethodPost, Path: "/v1/payment_intents", Kind: sim.FaultSlow, Duration: time.Second,
	}))
	var tabs sync.WaitGroup
	for i := range 4 {
		tabs.Go(func() {
			if i == 0 {
				s.collect()
				return
			}
			paid, _ := s.pay(invoice, fmt.Sprintf("tab-%d", i), 60)
			if paid.Status != "paid" {
				t.Errorf("tab %d sees %+v", i, paid)
			}
		})
	}
	tabs.Wait()
	s.requireInvoicePaid(account, invoice)
	require.Len(t, s.tries(invoice), 1)
}

// Support can't write off what is being paid; and what it writes off stays so.
func TestInvoiceWriteOffs(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	writeOff := func(invoice, how string, body map[string]any) (answer struct{ Status, Code string }, status int) {
		var raw map[string]any
		status = s.call(models.RoleSupport, http.MethodPost, "/v1/support/invoices/"+invoice+"/"+how, nil, body, &raw)
		answer.Code, _ = raw["code"].(string)
		answer.Status, _ = raw["status"].(string)
		return answer, status
	}
	why := map[string]any{"reason": "agreed on the phone"}

	account, invoice := s.owing("pm_sim_processing", 1_500)
	s.collect()
	held := s.awaitTry(invoice, 1, models.BankProcessing)
	for _, how := range []string{"void", "uncollectible"} {
		answer, status := writeOff(invoice, how, why)
		require.Equal(t, http.StatusConflict, status)
		require.Equal(t, "payment_in_flight", answer.Code)
	}
	require.NoError(t, s.stripe.Settle(*held.PaymentIntentID))
	s.requireInvoicePaid(account, invoice)
	answer, status := writeOff(invoice, "void", why)
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "invoice_paid", answer.Code)

	for how, restores := range map[string]bool{"void": true, "uncollectible": false} {
		account, invoice := s.owing("pm_sim_decline_do_not_honor", 1_500)
		s.collect()
		s.awaitTry(invoice, 1, models.BankDeclined)
		s.lastDayComes(invoice)
		s.awaitSuspended(account, true)
		for range 2 {
			answer, status := writeOff(invoice, how, why)
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, how, answer.Status)
		}
		if !restores {
			s.awaitSuspended(account, true)
			_, status := writeOff(invoice, how, map[string]any{"reason": "let them go on", "restore": true})
			require.Equal(t, http.StatusOK, status)
		}
		s.awaitSuspended(account, false)
		var refused api.Problem
		status := s.call(models.RoleFinance, http.MethodPost, "/v1/invoices/"+invoice+"/pay", map[string]string{"Idempotency-Key": "k"}, nil, &refused)
		require.Equal(t, http.StatusConflict, status)
		require.Equal(t, "invoice_not_owed", refused.Code)
		entries, err := s.store.AuditLog(context.Background(), account)
		require.NoError(t, err)
		require.Len(t, entries, map[bool]int{true: 1, false: 2}[restores])
	}
}

// TestF22WorkerDiesDuringAnInvoicePayment lets the worker's process die at each
// boundary of a payment: another goes on, and the invoice is paid once.
func TestF22WorkerDiesDuringAnInvoicePayment(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"AdvanceInvoice", "Charge", "RecordInvoiceAnswer"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/after=%t", at, after), func(t *testing.T) {
				t.Parallel()
				s := newSystem(t, testenv.Database(t))
				stop := s.work()
				account := s.account("pm_card_visa")
				p, _ := s.buy(account, "first", 500, 30)
				s.requireCompleted(p)
				stop()
				invoice := s.owes(account, 2_000)
				s.collect()
				_, dead := s.spawn(at, after)
				<-dead
				s.spawn("", false)
				s.requireInvoicePaid(account, invoice)
				require.Len(t, s.tries(invoice), 1)
			})
		}
	}
}
