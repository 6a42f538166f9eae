package workflows_test

import (
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/models"
)

// declines opens a purchase that the bank declines at once.
func (w *world) declines(order activities.PurchaseOrder) {
	w.opensWith(order)
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentDeclined)))
}

// A declined payment stays open at Stripe, where it could be confirmed later. It is
// canceled once the decline stands, in the workflow's one task.
func TestDeclinedPaymentIsCanceledAtStripe(t *testing.T) {
	w := newWorld(t)
	w.declines(w.order())
	w.purchase(models.PurchaseDeclined)
	w.wantStory("BeginPurchase", "Charge", "RecordBankAnswer", "CancelPayment")
	w.wantSame("CancelPayment", activities.CancelInput{PaymentIntentID: intentID})
	if calls := w.named("CancelPayment"); len(calls) == 0 || !calls[0].local {
		t.Errorf("it was not canceled in the workflow's own task: %+v", calls)
	}
}

// A worker died after the decline was recorded: its one task is run again, and the
// database says how the purchase ended.
func TestDeclinedPaymentIsCanceledByTheNextWorker(t *testing.T) {
	w := newWorld(t)
	order := w.order()
	order.Status, order.Bank, order.PaymentIntentID = models.PurchaseDeclined, models.BankDeclined, intentID
	w.opensWith(order)
	w.purchase(models.PurchaseDeclined)
	w.wantStory("BeginPurchase", "CancelPayment")
	w.wantSame("CancelPayment", activities.CancelInput{PaymentIntentID: intentID})
}

// What can't be canceled, need not or must not be is left alone.
func TestDeclinedPaymentThatIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*activities.PurchaseOrder)
		said   activities.Payment
		held   models.PurchaseStatus
	}{
		"begun before that began": {func(o *activities.PurchaseOrder) { o.Steps = activities.StepsCloseDeclined - 1 }, payment(activities.PaymentDeclined), ""},
		"off session, before authorizations": {func(o *activities.PurchaseOrder) {
			o.OffSession, o.Steps = true, activities.StepsAuthorization-1
		}, payment(activities.PaymentDeclined), ""},
		"without a payment": {func(*activities.PurchaseOrder) {},
			activities.Payment{State: activities.PaymentDeclined, Code: "card_declined"}, ""},
		"the purchase is otherwise": {func(*activities.PurchaseOrder) {}, payment(activities.PaymentDeclined), models.PurchaseCompleted},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			order := w.order()
			c.change(&order)
			w.declines(order)
			on(w, stripe.Charge, always[activities.ChargeInput](c.said))
			on(w, books.RecordBankAnswer, always[activities.BankAnswerInput](activities.BankRecorded{Otherwise: c.held}))
			want := models.PurchaseDeclined
			if c.held != "" {
				want = c.held
			}
			w.purchase(want)
			w.wantStory("BeginPurchase", "Charge", "RecordBankAnswer")
		})
	}
}

// Stripe is down after the decline: a regular activity goes on for an hour, and then
// the purchase ends as it had been declined.
func TestCancelingADeclinedPaymentIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.declines(w.order())
	on(w, stripe.CancelPayment, func(int, activities.CancelInput) (activities.Payment, error) { return activities.Payment{}, errOutage })
	w.purchase(models.PurchaseDeclined)
	w.wantAnswers(payment(activities.PaymentDeclined))
	calls := w.named("CancelPayment")
	if len(calls) < 3 || !calls[0].local || calls[1].local {
		t.Errorf("tried %d times", len(calls))
	}
	if took := w.elapsed(); took > time.Hour+time.Minute {
		t.Errorf("it went on for %s", took)
	}
}

func TestCancelingADeclinedPaymentOutlivesAShortOutage(t *testing.T) {
	w := newWorld(t)
	w.declines(w.order())
	on(w, stripe.CancelPayment, failingFor[activities.CancelInput](w, 10*time.Minute, payment(activities.PaymentCanceled)))
	w.purchase(models.PurchaseDeclined)
	if took := w.elapsed(); took < 10*time.Minute || took > 11*time.Minute {
		t.Errorf("it took %s", took)
	}
}

// I3: the payment was confirmed a moment before. The money is put before a person,
// and the purchase stays declined.
func TestI3DeclinedPaymentThatWasPaidMeanwhileIsInReview(t *testing.T) {
	w := newWorld(t)
	w.declines(w.order())
	on(w, stripe.CancelPayment, always[activities.CancelInput](payment(activities.PaymentApproved)))
	on(w, books.RecordBankAnswer, inTurn[activities.BankAnswerInput](
		activities.BankRecorded{}, activities.BankRecorded{Otherwise: models.PurchaseDeclined}))
	w.purchase(models.PurchaseDeclined)
	w.wantAnswers(payment(activities.PaymentDeclined), payment(activities.PaymentApproved))
	w.wantCalls("IssueInvoice", 0)
}
