package workflows

import (
	"time"

	"github.com/paystage/paystage/activities"
	"go.temporal.io/sdk/workflow"
)

const (
	// chargeWindow is how long after the first try the same charge may be sent
	// again. Stripe forgets an idempotency key after 24 hours, and a charge sent
	// then would be a second one.
	chargeWindow = 12 * time.Hour
	// certainlyAbsent is how long after the first try a payment that Stripe does
	// not list was certainly never made: no request is under way that long.
	certainlyAbsent = 25 * time.Hour
	// actionWindow is how long the customer has to answer the bank where no
	// authorization is opened.
	actionWindow = time.Hour
	// authorizationCheck is how often an authorization is looked at whose end did not
	// wake the payment; that it ends by itself is its own workflow's care.
	authorizationCheck = 6 * time.Hour
	// closeWindow is how long it is tried to cancel a declined payment.
	closeWindow = time.Hour
)

// looking is how often Stripe is asked by itself while a payment is in a state;
// the pause doubles from first to last. A webhook cuts it short.
var looking = map[activities.PaymentState]struct{ first, last time.Duration }{
	activities.PaymentUnknown:        {time.Second, 5 * time.Minute},
	activities.PaymentProcessing:     {5 * time.Second, 30 * time.Minute},
	activities.PaymentRequiresAction: {5 * time.Second, 30 * time.Second},
}

// charge is one attempt to charge a card for a payable.
type charge struct {
	payable
	// refused: Stripe will not take the request, so it is not sent again.
	refused bool
	// mayBeThere: a charge was sent and nobody knows what became of it, so that not
	// finding it proves nothing yet.
	mayBeThere bool
	// givenUp: the time to answer is over, and the payment was canceled for that.
	givenUp bool
	// noted is the state that the database shows.
	noted activities.PaymentState
}

func newCharge(p payable) *charge { return &charge{payable: p} }

// settle charges, and asks until the bank's answer is final. Unknown is not
// final: it never guesses, and never charges under another key (R20).
func (c *charge) settle(ctx workflow.Context) (outcome, error) {
	if c.asked {
		return c.approval(ctx)
	}
	payment, err := c.firstLook(ctx)
	var state activities.PaymentState
	var since time.Time
	var pause time.Duration
	for err == nil && !c.wantsCustomer(payment) && !c.final(ctx, payment) {
		if payment.State != state {
			state, since, pause = payment.State, workflow.Now(ctx), 0
		}
		if err := c.show(ctx, payment); err != nil {
			return outcome{}, err
		}
		pause = min(max(2*pause, looking[state].first), looking[state].last)
		waitFor(ctx, c.changed, pause)
		if c.outOfTime(ctx, state, since) {
			c.givenUp = true
			payment, err = c.cancel(ctx)
		} else {
			payment, err = c.look(ctx)
		}
	}
	if err != nil {
		return outcome{}, err
	}
	if c.wantsCustomer(payment) {
		return c.approval(ctx)
	}
	return c.outcome(payment), nil
}

// wantsCustomer says whether the bank decides when its customer has been asked: it
// asks them now, or declined because they were not there (R36).
func (c *charge) wantsCustomer(payment activities.Payment) bool {
	if c.payer.Purpose == "" {
		return false
	}
	return payment.State == activities.PaymentRequiresAction ||
		c.input.OffSession && payment.State == activities.PaymentDeclined && payment.Code == activities.CodeAuthentication
}

// approval opens the payment's authorization and waits for its end, which is the
// bank's final answer. The payment is not looked at here meanwhile, and nothing is
// decided of it: of an approval and an expiry at once one ends the authorization.
func (c *charge) approval(ctx workflow.Context) (outcome, error) {
	c.asked = true
	waiting := activities.Payment{State: activities.PaymentRequiresAction, PaymentIntentID: c.intent}
	if err := c.show(ctx, waiting); err != nil {
		return outcome{}, err
	}
	_, err := record(ctx, books.OpenAuthorization, activities.OpenAuthorizationInput{
		Payer: c.payer, AccountID: c.input.AccountID, PaymentIntentID: c.intent, PaymentMethod: c.input.PaymentMethod,
		AmountCents: c.input.AmountCents, OffSession: c.input.OffSession,
	})
	for err == nil {
		var answer activities.AuthorizationAnswer
		if answer, err = record(ctx, books.ReadAuthorization, c.payer); err != nil || answer.Ended {
			return outcome{payment: answer.Payment, expired: answer.Expired}, err
		}
		pause := authorizationCheck
		if c.noted != waiting.State {
			pause = time.Minute
		}
		if waitFor(ctx, c.changed, pause); c.noted != waiting.State {
			err = c.show(ctx, waiting)
		}
	}
	return outcome{}, err
}

// final says whether there is nothing left to wait for: a bank's final answer, or
// the certainty that nothing was ever charged.
func (c *charge) final(ctx workflow.Context, payment activities.Payment) bool {
	if payment.State == activities.PaymentAbsent {
		return c.refused && !c.mayBeThere || c.certain(ctx)
	}
	return payment.BankState().Final()
}

// certain says whether so much time has gone by that no request is under way.
func (c *charge) certain(ctx workflow.Context) bool {
	return !workflow.Now(ctx).Before(c.begunAt.Add(certainlyAbsent))
}

// outOfTime says whether a payment in that state since then is to be given up: the
// customer did not answer, or Stripe left it in a state that leads nowhere.
func (c *charge) outOfTime(ctx workflow.Context, state activities.PaymentState, since time.Time) bool {
	switch state {
	case activities.PaymentRequiresAction:
		return workflow.Now(ctx).Sub(since) >= actionWindow
	case activities.PaymentUnknown:
		return c.intent != "" && c.certain(ctx)
	}
	return false
}

// outcome is what to record. A payment that was given up because the customer did
// not answer in time, and one that was never made, expire (R38).
func (c *charge) outcome(payment activities.Payment) outcome {
	end := outcome{payment: payment}
	switch {
	case payment.State == activities.PaymentCanceled:
		end.expired = c.givenUp
	case payment.State == activities.PaymentAbsent && c.refused:
		end.payment.State = activities.PaymentCanceled
	case payment.State == activities.PaymentAbsent:
		end.expired = true
	}
	return end
}

// firstLook charges, unless a charge was sent before: then, or so long after that
// the key may be forgotten, only a lookup can tell.
func (c *charge) firstLook(ctx workflow.Context) (activities.Payment, error) {
	if c.intent == "" && c.mayCharge(ctx) {
		return c.send(ctx)
	}
	return c.look(ctx)
}

// look asks Stripe how the payment stands. A charge that never reached Stripe is
// sent again while that is safe.
func (c *charge) look(ctx workflow.Context) (activities.Payment, error) {
	payment, err := c.find(ctx)
	if err != nil || payment.State != activities.PaymentAbsent || c.final(ctx, payment) {
		return payment, err
	}
	if c.mayCharge(ctx) {
		return c.send(ctx)
	}
	return activities.Payment{State: activities.PaymentUnknown}, nil
}

func (c *charge) mayCharge(ctx workflow.Context) bool {
	return !c.refused && workflow.Now(ctx).Before(c.begunAt.Add(chargeWindow))
}

// send sends the charge, for as long as it may be sent. A request that Stripe
// refuses needs a person, and a look at what there is.
func (c *charge) send(ctx workflow.Context) (activities.Payment, error) {
	left := c.begunAt.Add(chargeWindow).Sub(workflow.Now(ctx))
	payment, err := c.sendWithin(ctx, left)
	if isGivenUp(err) {
		payment, err = activities.Payment{State: activities.PaymentUnknown}, nil
	}
	if err != nil || payment.State != activities.PaymentRefused {
		c.mayBeThere = c.mayBeThere || payment.State == activities.PaymentUnknown
		return c.seen(payment), err
	}
	// A key that Stripe knows with other parameters tells of an earlier request.
	c.refused, c.mayBeThere = true, c.mayBeThere || payment.Code == activities.CodeIdempotency
	if err := c.alert(ctx, payment.Code); err != nil {
		return payment, err
	}
	return c.look(ctx)
}

// sendWithin tries the charge once as a local activity, so that the straight
// purchase is one workflow task, which costs the Temporal server less. Whatever
// keeps that from an answer, a regular activity sends the same key.
func (c *charge) sendWithin(ctx workflow.Context, left time.Duration) (activities.Payment, error) {
	if c.localFirst {
		if payment, err := tryOut(ctx, stripe.Charge, c.input); err == nil {
			return payment, nil
		}
	}
	return callOut(ctx, left, stripe.Charge, c.input)
}

func (c *charge) find(ctx workflow.Context) (activities.Payment, error) {
	payment, err := callOut(ctx, 0, stripe.FindPayment, activities.FindInput{
		PurchaseID:      c.input.PurchaseID,
		InvoiceID:       c.input.InvoiceID,
		Attempt:         c.input.Attempt,
		PaymentIntentID: c.intent,
		Customer:        c.input.Customer,
		ChargedAfter:    c.begunAt,
	})
	return c.seen(payment), err
}

func (c *charge) cancel(ctx workflow.Context) (activities.Payment, error) {
	payment, err := callOut(ctx, 0, stripe.CancelPayment, activities.CancelInput{PaymentIntentID: c.intent})
	return c.seen(payment), err
}

// closeDeclined cancels a declined payment, which would stay open at Stripe and could
// be confirmed later. The decline is recorded and its customer told, so this is tried
// and not insisted on: money that came all the same would be put before a person, here
// or by Stripe's event (I3). What ended by an authorization is canceled already.
func (c *charge) closeDeclined(ctx workflow.Context) error {
	if !c.closesDeclined || c.asked || c.intent == "" {
		return nil
	}
	in := activities.CancelInput{PaymentIntentID: c.intent}
	payment, err := tryOut(ctx, stripe.CancelPayment, in)
	if err != nil {
		payment, err = callOut(ctx, closeWindow, stripe.CancelPayment, in)
	}
	if err != nil {
		workflow.GetLogger(ctx).Warn("declined payment left open at Stripe", "payment", c.intent, "error", err)
		return nil
	}
	if payment.State != activities.PaymentApproved {
		return nil
	}
	return c.late(ctx, payment)
}

// seen remembers the PaymentIntent, which from then on is what is asked for.
func (c *charge) seen(payment activities.Payment) activities.Payment {
	if payment.PaymentIntentID != "" {
		c.intent = payment.PaymentIntentID
	}
	return payment
}

// show has the database show what the payment waits for, once for each state.
func (c *charge) show(ctx workflow.Context, payment activities.Payment) error {
	if payment.State == c.noted {
		return nil
	}
	noted, err := c.note(ctx, payment)
	if noted {
		c.noted = payment.State
	}
	return err
}
