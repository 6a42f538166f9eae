package activities_test

import (
	"strings"
	"testing"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

func TestPurchaseStepsInTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	books, ref := w.books("http://gateway-1"), w.buys(t, models.OriginCheckout)
	order, err := run(t, books.BeginPurchase, ref)
	done(t, err)
	same(t, "order", order, activities.PurchaseOrder{
		AccountID: w.account.ID, AmountCents: 2500, Customer: "cus_1", PaymentMethod: "pm_1", Status: models.PurchasePending,
		Bank: models.BankCharging, BankStartedAt: order.BankStartedAt, Steps: activities.StepsNow,
	})
	same(t, "began", order.BankStartedAt.Equal(noon), true)

	approved := activities.Payment{State: activities.PaymentApproved, PaymentIntentID: "pi_1", CapturedCents: 2500}
	_, err = run(t, books.RecordBankAnswer, activities.BankAnswerInput{PurchaseID: ref.PurchaseID, Payment: approved})
	done(t, err)
	same(t, "wakes after the approval", w.wakes.Load(), 1)
	same(t, "mails (R24)", w.messages(t)[ledger.MessageMailPurchaseApproved], 1)
	_, err = run(t, books.IssueInvoice, ref)
	done(t, err)
	_, err = run(t, books.CreditBalance, ref)
	done(t, err)
	same(t, "wakes after the tier changed", w.wakes.Load(), 2)
	settled, err := run(t, books.SettleTier, ref)
	done(t, err)
	same(t, "complete before the gateway", settled.Complete, false)
	done(t, w.AcknowledgeEntitlement(t.Context(), w.account.ID, "http://gateway-1", 1, books.Gateways(), noon))
	settled, err = run(t, books.SettleTier, ref)
	done(t, err)
	same(t, "complete after it", settled.Complete, true)

	order, err = run(t, books.BeginPurchase, ref) // I6: a second workflow, after the first was lost
	done(t, err)
	same(t, "status", order.Status, models.PurchaseCompleted)
	same(t, "payment", order.PaymentIntentID, "pi_1")

	w.credits(t, books.Gateways()...) // tier 2
	w.wakes.Store(0)
	w.credits(t, books.Gateways()...)
	same(t, "wakes when no tier changed", w.wakes.Load(), 1) // the approval's
}

func TestAutoRechargeIsOffSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order, err := run(t, w.books().BeginPurchase, w.buys(t, models.OriginAutoRecharge))
	done(t, err)
	same(t, "off session", order.OffSession, true)
}

func TestRecordBankAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		payment activities.Payment
		expired bool
		bank    models.BankState
		status  models.PurchaseStatus
		known   bool
	}{
		"Declined":        {activities.Payment{State: activities.PaymentDeclined, Code: "lost_card"}, false, models.BankDeclined, models.PurchaseDeclined, true},
		"DeclinedUnknown": {activities.Payment{State: activities.PaymentDeclined, Code: "code_of_2031"}, false, models.BankDeclined, models.PurchaseDeclined, false},
		"Canceled":        {activities.Payment{State: activities.PaymentCanceled}, false, models.BankCanceled, models.PurchaseCanceled, false},
		"Processing":      {activities.Payment{State: activities.PaymentProcessing}, false, models.BankProcessing, models.PurchasePending, false},
		"Unknown":         {activities.Payment{State: activities.PaymentUnknown}, false, models.BankUnknown, models.PurchasePending, false},
		"Absent":          {activities.Payment{State: activities.PaymentAbsent}, false, models.BankUnknown, models.PurchasePending, false},
		"Refused":         {activities.Payment{State: activities.PaymentRefused, Code: "parameter_missing"}, false, models.BankUnknown, models.PurchasePending, false},
		"Expired":         {activities.Payment{State: activities.PaymentAbsent}, true, models.BankExpired, models.PurchaseExpired, false},
	} {
		t.Run(name, func(t *testing.T) {
			ref := w.buys(t, models.OriginCheckout)
			_, err := run(t, w.books().RecordBankAnswer, activities.BankAnswerInput{PurchaseID: ref.PurchaseID, Payment: c.payment, Expired: c.expired})
			done(t, err)
			p := w.purchase(t, ref)
			same(t, "bank", p.Bank, c.bank)
			same(t, "status", p.Status, c.status)
			if c.bank != models.BankDeclined {
				same(t, "decline", p.DeclineCode == nil && p.DeclineKnown == nil, true)
				return
			}
			same(t, "code", *p.DeclineCode, c.payment.Code)
			same(t, "known", *p.DeclineKnown, c.known)
		})
	}
}

// I3: money that is not what the purchase asked for ends it and is put before a
// person; the purchase is not retried for ever.
func TestI3AnswerThatContradictsThePurchaseIsInReview(t *testing.T) {
	t.Parallel()
	captured := func(intent string, cents int64) activities.Payment {
		return activities.Payment{State: activities.PaymentApproved, PaymentIntentID: intent, CapturedCents: cents}
	}
	for name, c := range map[string]struct {
		first, then activities.Payment
		otherwise   models.PurchaseStatus
		bank        models.BankState
		intent      string
	}{
		"AnotherAmount": {activities.Payment{State: activities.PaymentUnknown}, captured("pi_1", 2400),
			models.PurchaseCanceled, models.BankCanceled, "pi_1"},
		"AnotherPayment": {activities.Payment{State: activities.PaymentProcessing, PaymentIntentID: "pi_2"}, captured("pi_3", 2500),
			models.PurchaseCanceled, models.BankCanceled, "pi_2"},
		"SecondPayment": {captured("pi_4", 2500), captured("pi_5", 2500),
			models.PurchasePending, models.BankApproved, "pi_4"},
		"AfterADecline": {activities.Payment{State: activities.PaymentDeclined, PaymentIntentID: "pi_6", Code: "lost_card"}, captured("pi_6", 2500),
			models.PurchaseDeclined, models.BankDeclined, "pi_6"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ref := w.buys(t, models.OriginCheckout)
			record := func(payment activities.Payment) activities.BankRecorded {
				t.Helper()
				recorded, err := run(t, w.books().RecordBankAnswer, activities.BankAnswerInput{PurchaseID: ref.PurchaseID, Payment: payment})
				done(t, err)
				return recorded
			}
			same(t, "the first answer", record(c.first).Otherwise, "")
			for range 2 {
				same(t, "the purchase stands otherwise", record(c.then).Otherwise, c.otherwise)
			}
			p := w.purchase(t, ref)
			same(t, "bank", p.Bank, c.bank)
			same(t, "payment", *p.PaymentIntentID, c.intent)
			alerts, err := w.OpenAlerts(t.Context())
			done(t, err)
			same(t, "alerts", len(alerts), 1)
			same(t, "kind", alerts[0].Kind, models.AlertCaptureInReview)
			if !strings.Contains(alerts[0].Detail, c.then.PaymentIntentID) {
				t.Errorf("the alert does not name the payment: %s", alerts[0].Detail)
			}
		})
	}
}

// I3: an alert is for money. What is not final and comes late, or another end
// without any, is none.
func TestLateAnswersWithoutMoneyAreNotInReview(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	declined := activities.Payment{State: activities.PaymentDeclined, PaymentIntentID: "pi_1", Code: "lost_card"}
	approved := activities.Payment{State: activities.PaymentApproved, PaymentIntentID: "pi_2", CapturedCents: 2500}
	for name, c := range map[string]struct {
		first, late activities.Payment
		otherwise   models.PurchaseStatus
	}{
		"ProcessingAfterADecline":   {declined, activities.Payment{State: activities.PaymentProcessing, PaymentIntentID: "pi_1"}, ""},
		"UnknownAfterADecline":      {declined, activities.Payment{State: activities.PaymentUnknown}, ""},
		"ProcessingAfterAnApproval": {approved, activities.Payment{State: activities.PaymentProcessing, PaymentIntentID: "pi_2"}, ""},
		"UnknownAfterAnApproval":    {approved, activities.Payment{State: activities.PaymentUnknown}, ""},
		"CanceledAfterADecline":     {declined, activities.Payment{State: activities.PaymentCanceled, PaymentIntentID: "pi_1"}, models.PurchaseDeclined},
	} {
		t.Run(name, func(t *testing.T) {
			ref := w.buys(t, models.OriginCheckout)
			for _, payment := range []*activities.Payment{&c.first, &c.late} {
				if payment.PaymentIntentID != "" {
					payment.PaymentIntentID += ref.PurchaseID
				}
			}
			first, err := run(t, w.books().RecordBankAnswer, activities.BankAnswerInput{PurchaseID: ref.PurchaseID, Payment: c.first})
			done(t, err)
			same(t, "the first answer", first.Otherwise, "")
			before := w.purchase(t, ref)
			late, err := run(t, w.books().RecordBankAnswer, activities.BankAnswerInput{PurchaseID: ref.PurchaseID, Payment: c.late})
			done(t, err)
			same(t, "the purchase stands otherwise", late.Otherwise, c.otherwise)
			same(t, "revision", w.purchase(t, ref).Revision, before.Revision)
			alerts, err := w.OpenAlerts(t.Context())
			done(t, err)
			same(t, "alerts", len(alerts), 0)
		})
	}
}

func TestLaggingGateways(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	books := w.books("http://a", "http://b", "http://c")
	lagging := func(all bool) []string {
		t.Helper()
		out, err := run(t, books.LaggingGateways, activities.LaggingInput{AccountID: w.account.ID, All: all})
		done(t, err)
		return out.Gateways
	}
	same(t, "of an account without an entitlement", len(lagging(false)), 0)
	w.credits(t, books.Gateways()...)
	same(t, "before any push", len(lagging(false)), 3)
	done(t, w.AcknowledgeEntitlement(t.Context(), w.account.ID, "http://b", 1, books.Gateways(), noon))
	done(t, w.NotePushFailure(t.Context(), w.account.ID, "http://a", "down", noon))
	if got := lagging(false); len(got) != 2 || got[0] != "http://a" || got[1] != "http://c" {
		t.Errorf("got %v", got)
	}
	same(t, "when all are asked for (R23)", len(lagging(true)), 3)
}

func TestRequestPropagationAndRaiseAlert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	books, ref := w.books(), w.buys(t, models.OriginCheckout)
	_, err := run(t, books.RequestPropagation, activities.AccountRef{AccountID: w.account.ID})
	done(t, err)
	same(t, "wakes", w.wakes.Load(), 1)
	same(t, "messages", w.messages(t)[ledger.MessagePropagate], 1)

	in := activities.AlertInput{Kind: models.AlertChargeRefused, PurchaseID: ref.PurchaseID, AccountID: w.account.ID, Detail: "parameter_missing"}
	for range 2 {
		_, err = run(t, books.RaiseAlert, in)
		done(t, err)
	}
	alerts, err := w.OpenAlerts(t.Context())
	done(t, err)
	same(t, "alerts", len(alerts), 1)
	same(t, "subject", alerts[0].Subject, "purchase/"+ref.PurchaseID)
	same(t, "kind", alerts[0].Kind, models.AlertChargeRefused)
}
