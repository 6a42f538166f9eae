package workflows_test

import (
	"slices"
	"testing"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/workflows"
)

// What follows a charge whose answer was recorded as approved.
var otherStages = []string{"IssueInvoice", "CreditBalance", "SettleTier"}

func story(parts ...any) []string {
	var names []string
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			names = append(names, part)
		case []string:
			names = append(names, part...)
		}
	}
	return names
}

// approvedAfter is a payment that is in the state until that long after the start.
func approvedAfter[In any](w *world, after time.Duration, before activities.PaymentState) func(int, In) (activities.Payment, error) {
	return func(int, In) (activities.Payment, error) {
		if w.elapsed() < after {
			return payment(before), nil
		}
		return payment(activities.PaymentApproved), nil
	}
}

// The straight purchase is one workflow task: its charge is a local activity. What
// that one try leaves open, regular tries with the same key settle.
func TestTheFirstTryOfAChargeIsLocal(t *testing.T) {
	for name, c := range map[string]struct {
		steps, failures int
		want            []bool
	}{
		"straight":                {activities.StepsLocalCharge, 0, []bool{true}},
		"the local try fails":     {activities.StepsLocalCharge, 1, []bool{true, false}},
		"and a regular one, too":  {activities.StepsLocalCharge, 2, []bool{true, false, false}},
		"begun before that began": {activities.StepsLocalCharge - 1, 1, []bool{false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			order := w.order()
			order.Steps = c.steps
			w.opensWith(order)
			on(w, stripe.Charge, func(n int, _ activities.ChargeInput) (activities.Payment, error) {
				if n <= c.failures {
					return activities.Payment{}, errOutage
				}
				return payment(activities.PaymentApproved), nil
			})
			w.purchase(models.PurchaseCompleted)
			var local []bool
			for _, call := range w.named("Charge") {
				local = append(local, call.local)
			}
			if !slices.Equal(local, c.want) {
				t.Errorf("tries were local %v, want %v", local, c.want)
			}
			w.wantSame("Charge", theCharge())
			w.wantCalls("CreditBalance", 1)
		})
	}
}

func TestProcessingIsApprovedByASignal(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentProcessing)))
	on(w, stripe.FindPayment, always[activities.FindInput](payment(activities.PaymentApproved)))
	w.signal(2*time.Second, workflows.SignalPaymentChanged, nil)
	w.purchase(models.PurchaseCompleted)
	w.wantStory(story("BeginPurchase", "Charge", "RecordBankAnswer", "FindPayment", "RecordBankAnswer", otherStages)...)
	w.wantTimes("FindPayment", 2*time.Second)
	w.wantSame("FindPayment", w.lookup(intentID))
	w.wantAnswers(payment(activities.PaymentProcessing), payment(activities.PaymentApproved))
}

// F14: no webhook ever comes. Stripe is asked, ever more rarely, until it knows.
func TestF14ProcessingIsApprovedByPollingAlone(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentProcessing)))
	on(w, stripe.FindPayment, approvedAfter[activities.FindInput](w, 26*time.Hour, activities.PaymentProcessing))
	w.purchase(models.PurchaseCompleted)
	var want []time.Duration
	for at, pause := time.Duration(0), 5*time.Second; at < 26*time.Hour; pause = min(2*pause, 30*time.Minute) {
		at += pause
		want = append(want, at)
	}
	w.wantTimes("FindPayment", want...)
	w.wantCalls("Charge", 1)
	w.wantAnswers(payment(activities.PaymentProcessing), payment(activities.PaymentApproved))
}

func TestProcessingIsDeclinedInTheEnd(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentProcessing)))
	on(w, stripe.FindPayment, always[activities.FindInput](payment(activities.PaymentDeclined)))
	w.purchase(models.PurchaseDeclined)
	w.wantStory("BeginPurchase", "Charge", "RecordBankAnswer", "FindPayment", "RecordBankAnswer", "CancelPayment")
	w.wantAnswers(payment(activities.PaymentProcessing), payment(activities.PaymentDeclined))
}

// A hundred signals at once say "look again" once: one look is under way when the
// others arrive, and one more answers for all of them.
func TestSignalStormIsLookedAtTwice(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentProcessing)))
	on(w, stripe.FindPayment, func(n int, _ activities.FindInput) (activities.Payment, error) {
		if n == 1 {
			for range 99 {
				w.SignalWorkflow(workflows.SignalPaymentChanged, nil)
			}
		}
		return approvedAfter[activities.FindInput](w, 3*time.Second, activities.PaymentProcessing)(n, activities.FindInput{})
	})
	w.signal(time.Second, workflows.SignalPaymentChanged, nil)
	w.signal(3*time.Second, workflows.SignalPaymentChanged, nil)
	w.purchase(models.PurchaseCompleted)
	w.wantTimes("FindPayment", time.Second, time.Second, 3*time.Second)
}

// asked mocks a bank that asks the customer of a purchase that was begun before there
// were authorizations, and waits by itself.
func (w *world) asked() {
	order := w.order()
	order.Steps = activities.StepsAuthorization - 1
	w.opensWith(order)
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentRequiresAction)))
	on(w, checkout.NoteAuthorization, always[activities.AuthorizationInput](struct{}{}))
	on(w, stripe.FindPayment, always[activities.FindInput](payment(activities.PaymentRequiresAction)))
}

// The customer answers the bank after ten minutes. The link is noted once, by an
// activity of its own: it goes through no history.
func TestCustomerAnswersTheBank(t *testing.T) {
	for answer, status := range map[activities.PaymentState]models.PurchaseStatus{
		activities.PaymentApproved: models.PurchaseCompleted,
		activities.PaymentDeclined: models.PurchaseDeclined,
	} {
		t.Run(string(answer), func(t *testing.T) {
			w := newWorld(t)
			w.asked()
			on(w, stripe.FindPayment, func(int, activities.FindInput) (activities.Payment, error) {
				if w.elapsed() < 10*time.Minute {
					return payment(activities.PaymentRequiresAction), nil
				}
				return payment(answer), nil
			})
			w.purchase(status)
			w.wantCalls("NoteAuthorization", 1)
			w.wantSame("NoteAuthorization", activities.AuthorizationInput{PurchaseID: purchaseID, PaymentIntentID: intentID})
			w.wantAnswers(payment(answer))
			w.wantCalls("Charge", 1)
			if took := w.elapsed(); took > 10*time.Minute+30*time.Second {
				t.Errorf("the answer was noticed after %s", took)
			}
		})
	}
}

func TestCustomerWhoNeverAnswersEndsThePurchaseAfterAnHour(t *testing.T) {
	w := newWorld(t)
	w.asked()
	on(w, stripe.CancelPayment, always[activities.CancelInput](payment(activities.PaymentCanceled)))
	w.purchase(models.PurchaseExpired)
	canceled := w.wantCalls("CancelPayment", 1)
	w.wantSame("CancelPayment", activities.CancelInput{PaymentIntentID: intentID})
	if at := canceled[0].at; at < time.Hour || at > time.Hour+time.Minute {
		t.Errorf("given up after %s, want an hour", at)
	}
	want := activities.BankAnswerInput{PurchaseID: purchaseID, Payment: payment(activities.PaymentCanceled), Expired: true}
	if answers := w.recorded(); len(answers) != 1 || answers[0] != want {
		t.Errorf("recorded %+v", answers)
	}
	w.wantCalls("IssueInvoice", 0)
}

// R38: an approval at the last second wins over giving up.
func TestCancelLosesToAnApproval(t *testing.T) {
	w := newWorld(t)
	w.asked()
	on(w, stripe.CancelPayment, always[activities.CancelInput](payment(activities.PaymentApproved)))
	w.purchase(models.PurchaseCompleted)
	w.wantCalls("CancelPayment", 1)
	w.wantAnswers(payment(activities.PaymentApproved))
	w.wantCalls("CreditBalance", 1)
}

// An outage keeps the link from being noted; it is noted when that is over, and the
// purchase is not held up by it.
func TestAuthorizationLinkIsNotedAfterAnOutage(t *testing.T) {
	w := newWorld(t)
	w.asked()
	on(w, checkout.NoteAuthorization, failingFor[activities.AuthorizationInput](w, 90*time.Second, struct{}{}))
	on(w, stripe.FindPayment, approvedAfter[activities.FindInput](w, 5*time.Minute, activities.PaymentRequiresAction))
	w.purchase(models.PurchaseCompleted)
	noted := 0
	for _, c := range w.named("NoteAuthorization") {
		if c.at >= 90*time.Second {
			noted++
		}
	}
	if noted != 1 {
		t.Errorf("the link was noted %d times, want once", noted)
	}
}

// F5: Stripe took the charge, and its answer was lost. It is looked up.
func TestF5UnknownChargeIsFoundByItsPurchase(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentUnknown)))
	on(w, stripe.FindPayment, always[activities.FindInput](payment(activities.PaymentApproved)))
	w.purchase(models.PurchaseCompleted)
	w.wantStory(story("BeginPurchase", "Charge", "RecordBankAnswer", "FindPayment", "RecordBankAnswer", otherStages)...)
	w.wantSame("FindPayment", w.lookup(""))
	w.wantTimes("FindPayment", time.Second)
	w.wantAnswers(payment(activities.PaymentUnknown), payment(activities.PaymentApproved))
}

// F6: Stripe answers 500 and has no payment. The same request is sent again, under
// the same key, until it is taken.
func TestF6UnknownAndAbsentIsChargedAgainUnderTheSameKey(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	unknown := payment(activities.PaymentUnknown)
	on(w, stripe.Charge, inTurn[activities.ChargeInput](unknown, unknown, unknown, payment(activities.PaymentApproved)))
	on(w, stripe.FindPayment, always[activities.FindInput](payment(activities.PaymentAbsent)))
	w.purchase(models.PurchaseCompleted)
	// Before each repetition it was looked up.
	w.wantTimes("FindPayment", 1*time.Second, 3*time.Second, 7*time.Second)
	w.wantTimes("Charge", 0, 1*time.Second, 3*time.Second, 7*time.Second)
	w.wantSame("Charge", theCharge())
	w.wantAnswers(unknown, payment(activities.PaymentApproved))
}

// F7: Stripe forgets a key after 24 hours, so no charge is sent after 12. What then
// isn't there was never made, which is certain after 25 hours and not before.
func TestF7UnknownForADayIsNeverChargedLate(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentUnknown)))
	on(w, stripe.FindPayment, always[activities.FindInput](payment(activities.PaymentAbsent)))
	w.purchase(models.PurchaseExpired)
	charges := w.named("Charge")
	if last := charges[len(charges)-1].at; last >= 12*time.Hour || last < 11*time.Hour+50*time.Minute {
		t.Errorf("the last charge was sent after %s, want just under 12h", last)
	}
	w.wantSame("Charge", theCharge())
	answers := w.recorded()
	want := activities.BankAnswerInput{PurchaseID: purchaseID, Payment: payment(activities.PaymentAbsent), Expired: true}
	if len(answers) != 2 || answers[1] != want {
		t.Errorf("recorded %+v", answers)
	}
	if took := w.elapsed(); took < 25*time.Hour || took > 25*time.Hour+5*time.Minute {
		t.Errorf("it expired after %s, want 25h", took)
	}
	w.wantCalls("IssueInvoice", 0)
}

func TestF7ApprovalThatShowsUpAfterADayIsCredited(t *testing.T) {
	w := newWorld(t)
	w.opensWith(w.order())
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentUnknown)))
	on(w, stripe.FindPayment, approvedAfter[activities.FindInput](w, 24*time.Hour+50*time.Minute, activities.PaymentAbsent))
	w.purchase(models.PurchaseCompleted)
	w.wantAnswers(payment(activities.PaymentUnknown), payment(activities.PaymentApproved))
	w.wantCalls("CreditBalance", 1)
}

// F7: Stripe can't be reached for 13 hours. From the twelfth on the purchase only
// looks, whatever the tries before met.
func TestF7ChargeThatCannotBeSentIsOnlyLookedUpAfterTwelveHours(t *testing.T) {
	for name, c := range map[string]struct {
		found  activities.PaymentState
		status models.PurchaseStatus
		ended  time.Duration
	}{
		"found":  {activities.PaymentApproved, models.PurchaseCompleted, 13 * time.Hour},
		"absent": {activities.PaymentAbsent, models.PurchaseExpired, 25 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.opensWith(w.order())
			on(w, stripe.Charge, failingFor[activities.ChargeInput](w, 13*time.Hour, payment(activities.PaymentApproved)))
			on(w, stripe.FindPayment, failingFor[activities.FindInput](w, 13*time.Hour, payment(c.found)))
			w.purchase(c.status)
			charges := w.named("Charge")
			if last := charges[len(charges)-1].at; last >= 12*time.Hour {
				t.Errorf("a charge was sent after %s", last)
			}
			w.wantSame("Charge", theCharge())
			w.wantSame("FindPayment", w.lookup(""))
			if took := w.elapsed(); took < c.ended || took > c.ended+5*time.Minute {
				t.Errorf("it took %s, want %s", took, c.ended)
			}
		})
	}
}

// F8: Stripe refuses the request itself. It is not sent again; a person is told;
// what there is decides.
func TestF8RefusedChargeIsLookedUpAndNeverSentAgain(t *testing.T) {
	approved, declined := payment(activities.PaymentApproved), payment(activities.PaymentDeclined)
	processing := payment(activities.PaymentProcessing)
	for name, c := range map[string]struct {
		found, recorded []activities.Payment
		status          models.PurchaseStatus
	}{
		"approved":   {[]activities.Payment{approved}, []activities.Payment{approved}, models.PurchaseCompleted},
		"declined":   {[]activities.Payment{declined}, []activities.Payment{declined}, models.PurchaseDeclined},
		"processing": {[]activities.Payment{processing, approved}, []activities.Payment{processing, approved}, models.PurchaseCompleted},
		"absent": {
			[]activities.Payment{payment(activities.PaymentAbsent)},
			[]activities.Payment{{State: activities.PaymentCanceled}}, models.PurchaseCanceled,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.opensWith(w.order())
			on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentRefused)))
			on(w, books.RaiseAlert, always[activities.AlertInput](struct{}{}))
			on(w, stripe.FindPayment, inTurn[activities.FindInput](c.found...))
			w.purchase(c.status)
			w.wantCalls("Charge", 1)
			w.wantCalls("FindPayment", len(c.found))
			w.wantAnswers(c.recorded...)
			alert := w.wantCalls("RaiseAlert", 1)[0].in.(activities.AlertInput)
			if alert.Kind != models.AlertChargeRefused || alert.PurchaseID != purchaseID || alert.AccountID != accountID || alert.Detail == "" {
				t.Errorf("the alert says %+v", alert)
			}
		})
	}
}

// F8: a refusal proves nothing of a charge that was sent before it. When its key is
// known with other parameters, or an earlier try is unknown, the payment may still
// show up: it is looked for until that is certain not to be so, and never sent again.
func TestF8RefusalAfterAChargeThatMayBeThere(t *testing.T) {
	known := payment(activities.PaymentRefused)
	known.Code = activities.CodeIdempotency
	unknownBefore := []activities.Payment{payment(activities.PaymentUnknown), payment(activities.PaymentRefused)}
	for name, c := range map[string]struct {
		charges []activities.Payment
		shows   time.Duration
		status  models.PurchaseStatus
		ended   time.Duration
	}{
		"known key, never shows": {[]activities.Payment{known}, 100 * time.Hour, models.PurchaseCanceled, 25 * time.Hour},
		"known key, shows":       {[]activities.Payment{known}, 2 * time.Hour, models.PurchaseCompleted, 2 * time.Hour},
		"unknown before, shows":  {unknownBefore, 2 * time.Hour, models.PurchaseCompleted, 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.opensWith(w.order())
			on(w, stripe.Charge, inTurn[activities.ChargeInput](c.charges...))
			on(w, books.RaiseAlert, always[activities.AlertInput](struct{}{}))
			on(w, stripe.FindPayment, approvedAfter[activities.FindInput](w, c.shows, activities.PaymentAbsent))
			w.purchase(c.status)
			w.wantCalls("Charge", len(c.charges))
			w.wantSame("Charge", theCharge())
			w.wantCalls("RaiseAlert", 1)
			if took := w.elapsed(); took < c.ended || took > c.ended+5*time.Minute {
				t.Errorf("it took %s, want %s", took, c.ended)
			}
		})
	}
}

// A payment that is there but leads nowhere is given up when nothing can be under
// way any more, unless it was approved after all.
func TestPaymentThatLeadsNowhereIsGivenUpAfterADay(t *testing.T) {
	for end, status := range map[activities.PaymentState]models.PurchaseStatus{
		activities.PaymentCanceled: models.PurchaseExpired,
		activities.PaymentApproved: models.PurchaseCompleted,
	} {
		t.Run(string(end), func(t *testing.T) {
			nowhere := activities.Payment{State: activities.PaymentUnknown, PaymentIntentID: intentID}
			w := newWorld(t)
			w.opensWith(w.order())
			on(w, stripe.Charge, always[activities.ChargeInput](nowhere))
			on(w, stripe.FindPayment, always[activities.FindInput](nowhere))
			on(w, stripe.CancelPayment, always[activities.CancelInput](payment(end)))
			w.purchase(status)
			w.wantCalls("Charge", 1)
			w.wantSame("FindPayment", w.lookup(intentID))
			canceled := w.wantCalls("CancelPayment", 1)
			if at := canceled[0].at; at < 25*time.Hour || at > 25*time.Hour+5*time.Minute {
				t.Errorf("given up after %s, want 25h", at)
			}
		})
	}
}

// The history is lost while the bank had the payment: it is asked for, not made (I2).
func TestSecondStartAsksForThePaymentThatIsThere(t *testing.T) {
	w := newWorld(t)
	order := w.order()
	order.Bank, order.PaymentIntentID, order.BankStartedAt = models.BankProcessing, intentID, w.begun.Add(-time.Minute)
	w.opensWith(order)
	on(w, stripe.FindPayment, always[activities.FindInput](payment(activities.PaymentApproved)))
	w.purchase(models.PurchaseCompleted)
	w.wantStory(story("BeginPurchase", "FindPayment", "RecordBankAnswer", otherStages)...)
	want := w.lookup(intentID)
	want.ChargedAfter = order.BankStartedAt
	w.wantSame("FindPayment", want)
}

// The history is lost in mid-charge. While Stripe holds the key the same request is
// sent under it; when it may have forgotten it, only a look can tell.
func TestSecondStartInMidCharge(t *testing.T) {
	t.Run("an hour later", func(t *testing.T) {
		w := newWorld(t)
		order := w.order()
		order.BankStartedAt = w.begun.Add(-time.Hour)
		w.opensWith(order)
		on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentApproved)))
		w.purchase(models.PurchaseCompleted)
		w.wantSame("Charge", theCharge())
		w.wantStory(story("BeginPurchase", "Charge", "RecordBankAnswer", otherStages)...)
	})
	t.Run("13 hours later", func(t *testing.T) {
		w := newWorld(t)
		order := w.order()
		order.BankStartedAt = w.begun.Add(-13 * time.Hour)
		w.opensWith(order)
		on(w, stripe.FindPayment, always[activities.FindInput](payment(activities.PaymentAbsent)))
		w.purchase(models.PurchaseExpired)
		w.wantCalls("Charge", 0)
		if took := w.elapsed(); took < 12*time.Hour || took > 12*time.Hour+5*time.Minute {
			t.Errorf("it expired %s after the second start, want 12h", took)
		}
	})
	t.Run("a week later", func(t *testing.T) {
		w := newWorld(t)
		order := w.order()
		order.BankStartedAt = w.begun.Add(-7 * 24 * time.Hour)
		w.opensWith(order)
		on(w, stripe.FindPayment, always[activities.FindInput](payment(activities.PaymentApproved)))
		w.purchase(models.PurchaseCompleted)
		w.wantStory(story("BeginPurchase", "FindPayment", "RecordBankAnswer", otherStages)...)
	})
}

// Each state has its own pace, and its own hour: what a payment took to come to it
// does not count.
func TestEachStateIsLookedAtByItsOwnPace(t *testing.T) {
	const known = 50 * time.Minute // asked after the time that the payment was unknown for
	w := newWorld(t)
	w.asked()
	on(w, stripe.Charge, always[activities.ChargeInput](payment(activities.PaymentUnknown)))
	on(w, stripe.FindPayment, func(int, activities.FindInput) (activities.Payment, error) {
		if w.elapsed() < known {
			return payment(activities.PaymentUnknown), nil
		}
		return payment(activities.PaymentRequiresAction), nil
	})
	on(w, stripe.CancelPayment, always[activities.CancelInput](payment(activities.PaymentCanceled)))
	w.purchase(models.PurchaseExpired)
	var asked []time.Duration
	for _, look := range w.named("FindPayment") {
		if look.at >= known {
			asked = append(asked, look.at)
		}
	}
	if pause := asked[1] - asked[0]; pause != 5*time.Second {
		t.Errorf("the first look after the bank asked came after %s, want 5s", pause)
	}
	given := w.named("CancelPayment")[0].at - asked[0]
	if given < time.Hour || given > time.Hour+time.Minute {
		t.Errorf("the customer had %s, want an hour", given)
	}
}
