package workflows

import (
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/models"
	"go.temporal.io/sdk/workflow"
)

// AuthorizationInput names the authorization; what is paid stands in the database.
type AuthorizationInput struct {
	AuthorizationID string `json:"authorization_id"`
}

// maxAuthorizationRounds bounds a history: each round leaves some ten events.
const maxAuthorizationRounds = 100

// Authorization looks after a payment whose bank wants the customer, for whatever is
// paid (R36): the link by mail, the reminders, the end of its time (R38), and what the
// bank says in the end, which it tells to the payment that waits. It is the only one that
// ends an authorization. Each round reads in the database what is due, and asks Stripe; a
// word from Stripe, from the page behind the link or from support brings the next one on.
func Authorization(ctx workflow.Context, in AuthorizationInput) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	ref := activities.AuthorizationRef{AuthorizationID: in.AuthorizationID}
	changed := workflow.GetSignalChannel(ctx, SignalAuthorizationChanged)
	for range maxAuthorizationRounds {
		drainAll(changed)
		step, err := record(ctx, books.AdvanceAuthorization, ref)
		if err != nil || step.Ended {
			return err
		}
		end, err := approvalOf(ctx, step)
		if err != nil {
			return err
		}
		if end.State != "" {
			end.AuthorizationID = in.AuthorizationID
			_, err := record(ctx, books.EndAuthorization, end)
			return err
		}
		waitFor(ctx, changed, time.Duration(step.WaitMillis)*time.Millisecond)
	}
	drainAll(changed)
	return workflow.NewContinueAsNewError(ctx, Authorization, in)
}

// approvalOf says how an authorization ends by what Stripe says of its payment; no
// state is not yet.
func approvalOf(ctx workflow.Context, step activities.AuthorizationStep) (activities.EndAuthorizationInput, error) {
	if step.Close != "" {
		return closeUnapproved(ctx, step, activities.EndAuthorizationInput{State: step.Close})
	}
	payment, err := callOut(ctx, 0, stripe.FindPayment, activities.FindInput{PaymentIntentID: step.PaymentIntentID})
	end := activities.EndAuthorizationInput{Payment: payment}
	switch {
	case err != nil:
	case payment.State == activities.PaymentApproved:
		end.State = models.AuthorizationApproved
	case payment.State == activities.PaymentCanceled:
		end.State = models.AuthorizationCanceled
	case payment.State == activities.PaymentDeclined && payment.Code != activities.CodeAuthentication:
		end.State = models.AuthorizationRefused
		return closeUnapproved(ctx, step, end)
	}
	return end, err
}

// closeUnapproved cancels the payment at Stripe before an end without money: an approval
// that came a moment before wins, and none can come after (R38). If Stripe can't cancel it
// now, as while the bank is processing it, this is no end yet.
func closeUnapproved(ctx workflow.Context, step activities.AuthorizationStep, end activities.EndAuthorizationInput) (activities.EndAuthorizationInput, error) {
	payment, err := callOut(ctx, 0, stripe.CancelPayment, activities.CancelInput{PaymentIntentID: step.PaymentIntentID})
	switch {
	case err != nil:
		return end, err
	case payment.State == activities.PaymentApproved:
		return activities.EndAuthorizationInput{State: models.AuthorizationApproved, Payment: payment}, nil
	case payment.State == activities.PaymentCanceled:
		return end, nil
	}
	return activities.EndAuthorizationInput{}, nil
}
