package workflows_test

import (
	"slices"
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/workflows"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"
)

const authorizationID = "0198f3c2-7d4e-7b1a-9c00-aaaaaaaaaaaa"

// thePayer is the purchase of these tests, to its authorization.
var thePayer = activities.PayerRef{Purpose: models.AuthorizePurchase, SubjectID: purchaseID, Attempt: 1}

// authenticationRequired is the decline of a bank that wants the customer there.
func authenticationRequired() activities.Payment {
	return activities.Payment{State: activities.PaymentDeclined, PaymentIntentID: intentID, Code: activities.CodeAuthentication}
}

// authorizes mocks a bank that wants the customer of an order, whose authorization
// has ended with the answer after that long.
func (w *world) authorizes(order activities.PurchaseOrder, charged activities.Payment, after time.Duration, answer activities.AuthorizationAnswer) {
	w.opensWith(order)
	on(w, stripe.Charge, always[activities.ChargeInput](charged))
	on(w, checkout.NoteAuthorization, always[activities.AuthorizationInput](struct{}{}))
	on(w, books.OpenAuthorization, always[activities.OpenAuthorizationInput](struct{}{}))
	on(w, books.ReadAuthorization, func(int, activities.PayerRef) (activities.AuthorizationAnswer, error) {
		if w.elapsed() < after {
			return activities.AuthorizationAnswer{}, nil
		}
		return answer, nil
	})
}

func ends(payment activities.Payment, expired bool) activities.AuthorizationAnswer {
	return activities.AuthorizationAnswer{Ended: true, Payment: payment, Expired: expired}
}

// A purchase whose bank wants the customer ends as its authorization does, on- and
// off-session, and asks Stripe for nothing itself meanwhile.
func TestR38PurchaseEndsAsItsAuthorizationDoes(t *testing.T) {
	for name, c := range map[string]struct {
		answer activities.AuthorizationAnswer
		want   models.PurchaseStatus
	}{
		"approved": {ends(payment(activities.PaymentApproved), false), models.PurchaseCompleted},
		"refused":  {ends(payment(activities.PaymentDeclined), false), models.PurchaseDeclined},
		"expired":  {ends(payment(activities.PaymentCanceled), true), models.PurchaseExpired},
		"canceled": {ends(payment(activities.PaymentCanceled), false), models.PurchaseCanceled},
	} {
		for _, offSession := range []bool{false, true} {
			sub := name + map[bool]string{false: "/on-session", true: "/off-session"}[offSession]
			t.Run(sub, func(t *testing.T) {
				w := newWorld(t)
				order, charged := w.order(), payment(activities.PaymentRequiresAction)
				order.OffSession = offSession
				if offSession {
					charged = authenticationRequired()
				}
				w.authorizes(order, charged, 3*24*time.Hour, c.answer)
				w.signal(3*24*time.Hour, workflows.SignalPaymentChanged, nil)
				w.purchase(c.want)
				w.wantSame("OpenAuthorization", activities.OpenAuthorizationInput{
					Payer: thePayer, AccountID: accountID, PaymentIntentID: intentID, PaymentMethod: "pm_1", AmountCents: 2500, OffSession: offSession,
				})
				w.wantSame("ReadAuthorization", thePayer)
				w.wantCalls("FindPayment", 0)
				w.wantCalls("CancelPayment", 0)
				last := activities.BankAnswerInput{PurchaseID: purchaseID, Payment: c.answer.Payment, Expired: c.answer.Expired}
				answers := w.recorded()
				if answers[len(answers)-1] != last {
					t.Errorf("recorded %+v", answers)
				}
				if shown := len(answers) == 2 && answers[0].Payment == payment(activities.PaymentRequiresAction); shown != offSession {
					t.Errorf("recorded %+v", answers)
				}
				w.wantCalls("NoteAuthorization", map[bool]int{false: 1, true: 0}[offSession])
				if took := w.elapsed(); took > 3*24*time.Hour+time.Second {
					t.Errorf("the end was noticed after %s", took)
				}
			})
		}
	}
}

// No word of the end ever comes. It is looked for all the same, so rarely that a
// history outlasts a month of it.
func TestAuthorizationThatEndsWithoutAWord(t *testing.T) {
	w := newWorld(t)
	w.authorizes(w.order(), payment(activities.PaymentRequiresAction), 4*24*time.Hour, ends(payment(activities.PaymentApproved), false))
	w.purchase(models.PurchaseCompleted)
	if looks := len(w.named("ReadAuthorization")); looks > 20 {
		t.Errorf("looked at %d times", looks)
	}
}

// The bank's page can't be had at first; the customer is shown it as soon as it can.
func TestBankPageIsNotedAfterAnOutage(t *testing.T) {
	w := newWorld(t)
	w.authorizes(w.order(), payment(activities.PaymentRequiresAction), time.Hour, ends(payment(activities.PaymentApproved), false))
	on(w, checkout.NoteAuthorization, failingFor[activities.AuthorizationInput](w, 90*time.Second, struct{}{}))
	w.purchase(models.PurchaseCompleted)
	calls := w.named("NoteAuthorization")
	if at := calls[len(calls)-1].at; at < 90*time.Second || at > 4*time.Minute {
		t.Errorf("noted after %s", at)
	}
}

// The history is lost while the customer is asked. What decides is the authorization:
// the payment itself may be declined for now, or about to end.
func TestSecondStartWaitsForTheAuthorization(t *testing.T) {
	w := newWorld(t)
	order := w.order()
	order.OffSession, order.Bank, order.PaymentIntentID, order.BankStartedAt = true, models.BankRequiresAction, intentID, w.begun.Add(-26*time.Hour)
	w.authorizes(order, payment(activities.PaymentUnknown), time.Hour, ends(payment(activities.PaymentApproved), false))
	w.signal(time.Hour, workflows.SignalPaymentChanged, nil)
	w.purchase(models.PurchaseCompleted)
	w.wantCalls("Charge", 0)
	w.wantCalls("FindPayment", 0)
}

// A bank that declines a recharge for another reason is not asked again: the payment is
// closed, as there is nobody to confirm it.
func TestDeclinedRechargeIsCanceledAtStripe(t *testing.T) {
	w := newWorld(t)
	order := w.order()
	order.OffSession = true
	w.declines(order)
	w.purchase(models.PurchaseDeclined)
	w.wantStory("BeginPurchase", "Charge", "RecordBankAnswer", "CancelPayment")
}

// authorization runs the workflow of an authorization to its end.
func (w *world) authorization() {
	w.t.Helper()
	w.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "authorization/" + authorizationID, TaskQueue: "purchases"})
	w.ExecuteWorkflow(workflows.Authorization, workflows.AuthorizationInput{AuthorizationID: authorizationID})
	if err := w.GetWorkflowError(); !w.IsWorkflowCompleted() || err != nil {
		w.t.Fatalf("completed %t, %v", w.IsWorkflowCompleted(), err)
	}
}

// advances mocks the database: looks every ten minutes, and a wish to close it as that
// from the time of closing on.
func (w *world) advances(closing time.Duration, as models.AuthorizationState) {
	on(w, books.AdvanceAuthorization, func(int, activities.AuthorizationRef) (activities.AuthorizationStep, error) {
		step := activities.AuthorizationStep{PaymentIntentID: intentID, WaitMillis: (10 * time.Minute).Milliseconds()}
		if w.elapsed() >= closing {
			step.Close = as
		}
		return step, nil
	})
	on(w, books.EndAuthorization, always[activities.EndAuthorizationInput](struct{}{}))
}

// How an authorization ends: by what Stripe says, and where it is to end without money
// by what Stripe says to the cancellation.
func TestR38AuthorizationEnds(t *testing.T) {
	const soon, late = time.Hour, 4 * 24 * time.Hour
	refusal := activities.Payment{State: activities.PaymentDeclined, PaymentIntentID: intentID, Code: "payment_intent_authentication_failure"}
	approved, canceled := payment(activities.PaymentApproved), payment(activities.PaymentCanceled)
	for name, c := range map[string]struct {
		found    activities.Payment // after an hour; before, the customer is asked
		closing  time.Duration
		as       models.AuthorizationState
		canceled activities.Payment
		want     activities.EndAuthorizationInput
	}{
		"approved": {approved, late, "", canceled, activities.EndAuthorizationInput{State: models.AuthorizationApproved, Payment: approved}},
		"refused":  {refusal, late, "", canceled, activities.EndAuthorizationInput{State: models.AuthorizationRefused, Payment: refusal}},
		"declined after all": {payment(activities.PaymentDeclined), late, "", canceled,
			activities.EndAuthorizationInput{State: models.AuthorizationRefused, Payment: payment(activities.PaymentDeclined)}},
		"refused, and approved before that could be closed": {refusal, late, "", approved,
			activities.EndAuthorizationInput{State: models.AuthorizationApproved, Payment: approved}},
		"canceled at Stripe": {canceled, late, "", canceled, activities.EndAuthorizationInput{State: models.AuthorizationCanceled, Payment: canceled}},
		"expired": {authenticationRequired(), soon, models.AuthorizationExpired, canceled,
			activities.EndAuthorizationInput{State: models.AuthorizationExpired}},
		"approved a moment before it expired": {authenticationRequired(), soon, models.AuthorizationExpired, approved,
			activities.EndAuthorizationInput{State: models.AuthorizationApproved, Payment: approved}},
		"canceled by support": {payment(activities.PaymentRequiresAction), soon, models.AuthorizationCanceled, canceled,
			activities.EndAuthorizationInput{State: models.AuthorizationCanceled}},
		"replaced": {payment(activities.PaymentRequiresAction), soon, models.AuthorizationReplaced, canceled,
			activities.EndAuthorizationInput{State: models.AuthorizationReplaced}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.advances(c.closing, c.as)
			on(w, stripe.FindPayment, func(int, activities.FindInput) (activities.Payment, error) {
				if w.elapsed() < time.Hour {
					return authenticationRequired(), nil
				}
				return c.found, nil
			})
			on(w, stripe.CancelPayment, always[activities.CancelInput](c.canceled))
			w.authorization()
			c.want.AuthorizationID = authorizationID
			w.wantSame("EndAuthorization", c.want)
			w.wantCalls("EndAuthorization", 1)
			if took := w.elapsed(); took < time.Hour || took > time.Hour+time.Minute {
				t.Errorf("it ended after %s", took)
			}
		})
	}
}

// While the bank is processing a payment Stripe cancels nothing: the end waits for the
// bank's word, whatever the time.
func TestR38ExpiryWaitsForABankThatIsProcessing(t *testing.T) {
	w := newWorld(t)
	w.advances(0, models.AuthorizationExpired)
	on(w, stripe.CancelPayment, approvedAfter[activities.CancelInput](w, 12*time.Hour, activities.PaymentProcessing))
	w.authorization()
	w.wantSame("EndAuthorization", activities.EndAuthorizationInput{
		AuthorizationID: authorizationID, State: models.AuthorizationApproved, Payment: payment(activities.PaymentApproved),
	})
}

// A word brings the next look on; signals that come together are one.
func TestAuthorizationIsLookedAtWhenTold(t *testing.T) {
	w := newWorld(t)
	w.advances(24*time.Hour, "")
	on(w, stripe.FindPayment, approvedAfter[activities.FindInput](w, 30*time.Second, activities.PaymentRequiresAction))
	for range 5 {
		w.signal(30*time.Second, workflows.SignalAuthorizationChanged, nil)
	}
	w.authorization()
	w.wantTimes("FindPayment", 0, 30*time.Second)
}

func TestAuthorizationThatHasEndedIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	on(w, books.AdvanceAuthorization, always[activities.AuthorizationRef](activities.AuthorizationStep{Ended: true}))
	w.authorization()
	w.wantStory("AdvanceAuthorization")
}

// A long wait goes on in a fresh history, with nothing lost.
func TestAuthorizationContinuesAsNew(t *testing.T) {
	w := newWorld(t)
	w.advances(4*24*time.Hour, "")
	on(w, stripe.FindPayment, always[activities.FindInput](payment(activities.PaymentRequiresAction)))
	w.ExecuteWorkflow(workflows.Authorization, workflows.AuthorizationInput{AuthorizationID: authorizationID})
	if err := w.GetWorkflowError(); !workflow.IsContinueAsNewError(err) {
		t.Errorf("it ended with %v", err)
	}
	if names := w.story(); !slices.Contains(names, "FindPayment") || slices.Contains(names, "EndAuthorization") {
		t.Errorf("called %v", w.last(5))
	}
}
