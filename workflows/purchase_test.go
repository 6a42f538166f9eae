package workflows_test

import (
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/workflows"
)

var purchaseRef = activities.PurchaseRef{PurchaseID: purchaseID}

func TestPurchaseApprovedStraight(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentApproved)))
	w.purchase(models.PurchaseCompleted)
	w.wantStory("BeginPurchase", "Charge", "RecordBankAnswer", "IssueInvoice", "CreditBalance", "SettleTier")
	w.wantSame("Charge", theCharge())
	w.wantAnswers(payment(activities.PaymentApproved))
	for _, stage := range []string{"BeginPurchase", "IssueInvoice", "CreditBalance", "SettleTier"} {
		w.wantSame(stage, purchaseRef)
	}
	if took := w.elapsed(); took != 0 {
		t.Errorf("it waited %s for nothing", took)
	}
}

func TestPurchaseOfAutoRechargeIsChargedOffSession(t *testing.T) {
	w := newWorld(t)
	order := w.order()
	order.OffSession = true
	w.opensWith(order)
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentApproved)))
	w.purchase(models.PurchaseCompleted)
	want := theCharge()
	want.OffSession = true
	w.wantSame("Charge", want)
}

// What the bank ends, ends there: nothing is invoiced or credited.
func TestPurchaseEndedByTheBank(t *testing.T) {
	for state, c := range map[activities.PaymentState]struct {
		status models.PurchaseStatus
		story  []string
	}{
		activities.PaymentDeclined: {models.PurchaseDeclined, []string{"BeginPurchase", "Charge", "RecordBankAnswer", "CancelPayment"}},
		activities.PaymentCanceled: {models.PurchaseCanceled, []string{"BeginPurchase", "Charge", "RecordBankAnswer"}},
	} {
		t.Run(string(state), func(t *testing.T) {
			w := newWorld(t)
			w.opensWith(w.order())
			on(w, stripe.Charge, always[activities.ChargeInput](payment(state)))
			w.purchase(c.status)
			w.wantStory(c.story...)
			w.wantAnswers(payment(state))
		})
	}
}

// I3: money that does not fit the purchase is put before a person, and the purchase
// ends as the database then says, without invoice and credit.
func TestPurchaseWhoseCaptureIsInReview(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentApproved)))
	on(w, books.RecordBankAnswer, always[activities.BankAnswerInput](activities.BankRecorded{Otherwise: models.PurchaseCanceled}))
	w.purchase(models.PurchaseCanceled)
	w.wantStory("BeginPurchase", "Charge", "RecordBankAnswer")
}

// A purchase that ended is left alone, whoever starts its workflow again.
func TestPurchaseThatEndedIsNotTouched(t *testing.T) {
	for _, status := range []models.PurchaseStatus{
		models.PurchaseCompleted, models.PurchaseDeclined, models.PurchaseCanceled, models.PurchaseExpired,
	} {
		t.Run(string(status), func(t *testing.T) {
			w := newWorld(t)
			order := w.order()
			order.Status, order.Bank = status, models.BankApproved
			w.opensWith(order)
			w.purchase(status)
			w.wantStory("BeginPurchase")
		})
	}
}

// The database says that the bank approved, the history is lost: the other stages
// follow, and the bank is not asked again (I6).
func TestPurchaseStartedAgainAfterTheApproval(t *testing.T) {
	w := newWorld(t)
	order := w.order()
	order.Bank, order.PaymentIntentID, order.BankStartedAt = models.BankApproved, intentID, w.begun.Add(-72*time.Hour)
	w.opensWith(order)
	w.purchase(models.PurchaseCompleted)
	w.wantStory("BeginPurchase", "IssueInvoice", "CreditBalance", "SettleTier")
}

func TestPurchaseWaitsForTheGateways(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentApproved)))
	on(w, books.RequestPropagation, always[activities.AccountRef](struct{}{}))
	on(w, books.SettleTier, inTurn[activities.PurchaseRef](activities.TierSettled{}, activities.TierSettled{Complete: true}))
	w.signal(3*time.Second, workflows.SignalTierPropagated, nil)
	w.purchase(models.PurchaseCompleted)
	w.wantTimes("SettleTier", 0, 3*time.Second)
	w.wantCalls("RequestPropagation", 0)
}

// F44: a gateway that is down for 20 minutes delays the stage and nothing else.
// Without a word of the gateways the push is asked for again, ever more rarely.
func TestF44PurchaseOutlivesAGatewayThatIsDown(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentApproved)))
	on(w, books.RequestPropagation, always[activities.AccountRef](struct{}{}))
	on(w, books.SettleTier, func(int, activities.PurchaseRef) (activities.TierSettled, error) {
		return activities.TierSettled{Complete: w.elapsed() >= 20*time.Minute}, nil
	})
	w.purchase(models.PurchaseCompleted)
	w.wantTimes("RequestPropagation", 1*time.Minute, 3*time.Minute, 7*time.Minute, 15*time.Minute, 30*time.Minute)
	w.wantSame("RequestPropagation", activities.AccountRef{AccountID: accountID})
	w.wantTimes("SettleTier", 0, 1*time.Minute, 3*time.Minute, 7*time.Minute, 15*time.Minute, 30*time.Minute)
	w.wantCalls("CreditBalance", 1)
}

func TestF44TheLastAcknowledgementEndsTheWaitAtOnce(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentApproved)))
	on(w, books.RequestPropagation, always[activities.AccountRef](struct{}{}))
	on(w, books.SettleTier, func(int, activities.PurchaseRef) (activities.TierSettled, error) {
		return activities.TierSettled{Complete: w.elapsed() >= 20*time.Minute}, nil
	})
	w.signal(20*time.Minute, workflows.SignalTierPropagated, nil)
	w.purchase(models.PurchaseCompleted)
	if took := w.elapsed(); took != 20*time.Minute {
		t.Errorf("it took %s, want 20m", took)
	}
}

// Whoever cancels the workflow does not call money back: it goes on.
func TestPurchaseGoesOnWhenItsWorkflowIsCanceled(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentProcessing)))
	on(w, stripe.FindPayment, always[activities.FindInput](payment(activities.PaymentApproved)))
	w.RegisterDelayedCallback(w.CancelWorkflow, time.Second)
	w.purchase(models.PurchaseCompleted)
	w.wantStory("BeginPurchase", "Charge", "RecordBankAnswer", "FindPayment", "RecordBankAnswer", "IssueInvoice", "CreditBalance", "SettleTier")
}

// F19: the database is down for ten minutes at each step in turn. The step waits,
// nothing is charged twice, and the purchase completes.
func TestF19PurchaseOutlivesADatabaseThatIsDown(t *testing.T) {
	const outage = 10 * time.Minute
	steps := map[string]func(*world){
		"begin": func(w *world) { on(w, books.BeginPurchase, failingFor[activities.PurchaseRef](w, outage, w.order())) },
		"answer": func(w *world) {
			on(w, books.RecordBankAnswer, failingFor[activities.BankAnswerInput](w, outage, activities.BankRecorded{}))
		},
		"invoice": func(w *world) { on(w, books.IssueInvoice, failingFor[activities.PurchaseRef](w, outage, struct{}{})) },
		"balance": func(w *world) { on(w, books.CreditBalance, failingFor[activities.PurchaseRef](w, outage, struct{}{})) },
		"tier": func(w *world) {
			on(w, books.SettleTier, failingFor[activities.PurchaseRef](w, outage, activities.TierSettled{Complete: true}))
		},
	}
	for name, down := range steps {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.opensWith(w.order())
			down(w)
			on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentApproved)))
			w.purchase(models.PurchaseCompleted)
			w.wantCalls("Charge", 1)
			if took := w.elapsed(); took < outage || took > outage+time.Minute {
				t.Errorf("it took %s, want the outage and not much more", took)
			}
		})
	}
}

// R21: a step that fails for days still happens, and its tries do not use up the
// history before that: each leaves six events, and a history ends at 50,000.
func TestR21AStepMayFailForDays(t *testing.T) {
	const mostTriesADay = 50_000 / 6 / 5 // five days
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentApproved)))
	on(w, books.CreditBalance, failingFor[activities.PurchaseRef](w, 24*time.Hour, struct{}{}))
	w.purchase(models.PurchaseCompleted)
	if tries := len(w.named("CreditBalance")); tries > mostTriesADay {
		t.Errorf("%d tries in a day, want at most %d", tries, mostTriesADay)
	}
}
