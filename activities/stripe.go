package activities

import (
	"cmp"
	"context"
	"time"

	"github.com/paystage/paystage/models"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
	"go.temporal.io/sdk/activity"
)

// Stripe charges cards and looks charges up.
type Stripe struct {
	API *client.API
	// ReturnURL is where a bank sends the customer after an authorization.
	ReturnURL string
}

// PaymentState is what is known of a charge: a bank's answer, or why there is none.
type PaymentState string

// The states of a payment.
const (
	PaymentApproved       PaymentState = "approved"
	PaymentDeclined       PaymentState = "declined"
	PaymentProcessing     PaymentState = "processing"
	PaymentRequiresAction PaymentState = "requires_action"
	PaymentCanceled       PaymentState = "canceled"
	// PaymentUnknown: the charge may or may not have happened.
	PaymentUnknown PaymentState = "unknown"
	// PaymentAbsent: Stripe has no such payment.
	PaymentAbsent PaymentState = "absent"
	// PaymentRefused: Stripe refused the request itself, with Code.
	PaymentRefused PaymentState = "refused"
)

// CodeIdempotency is the code of a request refused because its key was used before
// with other parameters (F8).
const CodeIdempotency = string(stripe.ErrorTypeIdempotency)

// Payment is what Stripe says of a charge.
type Payment struct {
	State           PaymentState `json:"state"`
	PaymentIntentID string       `json:"payment_intent_id,omitempty"`
	CapturedCents   int64        `json:"captured_cents,omitempty"`
	// Code is the decline code when declined, Stripe's error code when refused.
	Code string `json:"code,omitempty"`
}

// ChargeInput is one attempt to charge a card, for a purchase or for an invoice.
type ChargeInput struct {
	PurchaseID string `json:"purchase_id,omitempty"`
	// InvoiceID and Attempt say which attempt to pay which invoice, if it is for one.
	InvoiceID     string `json:"invoice_id,omitempty"`
	Attempt       int    `json:"attempt,omitempty"`
	AccountID     string `json:"account_id"`
	Customer      string `json:"customer"`
	PaymentMethod string `json:"payment_method"`
	AmountCents   int64  `json:"amount_cents"`
	// IdempotencyKey is the attempt's own: the same attempt always sends the same
	// key, so that however often it is sent it charges once (R20).
	IdempotencyKey string `json:"idempotency_key"`
	// OffSession: the customer is not there to answer the bank.
	OffSession bool `json:"off_session"`
	// Mandate is Stripe's id of the customer's standing permission, where the card's
	// country asks for one.
	Mandate string `json:"mandate,omitempty"`
}

// Charge creates and confirms the PaymentIntent of an attempt. Declined, unknown
// and refused are values; an error means that nothing was charged and that the
// same attempt may be sent again.
func (s *Stripe) Charge(ctx context.Context, in ChargeInput) (Payment, error) {
	defer heartbeat(ctx)()
	params := &stripe.PaymentIntentParams{
		Amount:             stripe.Int64(in.AmountCents),
		Currency:           stripe.String(string(stripe.CurrencyUSD)),
		Customer:           stripe.String(in.Customer),
		PaymentMethod:      stripe.String(in.PaymentMethod),
		PaymentMethodTypes: []*string{stripe.String("card")},
		Confirm:            stripe.Bool(true),
		Metadata:           in.metadata(),
	}
	if in.Mandate != "" {
		params.Mandate = stripe.String(in.Mandate)
	}
	if in.OffSession {
		params.OffSession = stripe.Bool(true)
	} else {
		params.ReturnURL = stripe.String(s.ReturnURL)
	}
	params.SetIdempotencyKey(in.IdempotencyKey)
	params.Context = ctx
	intent, err := s.API.PaymentIntents.New(params)
	if err == nil {
		return paymentOf(intent), nil
	}
	switch meaningOf(err) {
	case meaningDeclined:
		return declinedBy(err), nil
	case meaningRefused:
		return Payment{State: PaymentRefused, Code: errorCode(err)}, nil
	case meaningUnknown:
		activity.GetLogger(ctx).Warn("outcome of charge unknown", "purchase", in.PurchaseID, "invoice", in.InvoiceID, "error", plain("charge", err))
		return Payment{State: PaymentUnknown}, nil
	case meaningLater:
	}
	return Payment{}, plain("charge", err)
}

// FindInput names a payment: by its PaymentIntent if that is known, else by the
// customer and what the charge's metadata holds.
type FindInput struct {
	PurchaseID      string    `json:"purchase_id,omitempty"`
	InvoiceID       string    `json:"invoice_id,omitempty"`
	Attempt         int       `json:"attempt,omitempty"`
	PaymentIntentID string    `json:"payment_intent_id,omitempty"`
	Customer        string    `json:"customer"`
	ChargedAfter    time.Time `json:"charged_after"`
}

// clockSlack allows for the difference between Stripe's clock and ours (F24).
const clockSlack = time.Hour

// FindPayment asks Stripe how an attempt's payment stands. It lists rather than
// searches: a list shows a payment as soon as it is there, the search index
// minutes later. An error is an outage; absent is an answer.
func (s *Stripe) FindPayment(ctx context.Context, in FindInput) (Payment, error) {
	defer heartbeat(ctx)()
	if in.PaymentIntentID != "" {
		params := &stripe.PaymentIntentParams{}
		params.Context = ctx
		intent, err := s.API.PaymentIntents.Get(in.PaymentIntentID, params)
		if err != nil {
			return Payment{}, plain("look up payment", err)
		}
		return paymentOf(intent), nil
	}
	params := &stripe.PaymentIntentListParams{Customer: stripe.String(in.Customer)}
	params.CreatedRange = &stripe.RangeQueryParams{GreaterThanOrEqual: in.ChargedAfter.Add(-clockSlack).Unix()}
	params.Limit = stripe.Int64(100)
	params.Context = ctx
	intents := s.API.PaymentIntents.List(params)
	for intents.Next() {
		if in.isOf(intents.PaymentIntent().Metadata) {
			return paymentOf(intents.PaymentIntent()), nil
		}
	}
	if err := intents.Err(); err != nil {
		return Payment{}, plain("look for payment", err)
	}
	return Payment{State: PaymentAbsent}, nil
}

// CancelInput names the payment to give up.
type CancelInput struct {
	PaymentIntentID string `json:"payment_intent_id"`
}

// CancelPayment gives up a payment that waits for the customer or was declined, and
// answers how the payment stands then: it may have been approved a moment before, in
// which case the approval wins. It needs no key: a payment is canceled once.
func (s *Stripe) CancelPayment(ctx context.Context, in CancelInput) (Payment, error) {
	defer heartbeat(ctx)()
	params := &stripe.PaymentIntentCancelParams{CancellationReason: stripe.String("abandoned")}
	params.Context = ctx
	intent, err := s.API.PaymentIntents.Cancel(in.PaymentIntentID, params)
	if err == nil {
		return paymentOf(intent), nil
	}
	if meaningOf(err) == meaningLater {
		return Payment{}, plain("cancel payment", err)
	}
	return s.FindPayment(ctx, FindInput{PaymentIntentID: in.PaymentIntentID})
}

// paymentStates is what each PaymentIntent status says. requires_confirmation and
// requires_capture are never left behind by Charge: whoever made them is looked
// into, not guessed at.
var paymentStates = map[stripe.PaymentIntentStatus]PaymentState{
	stripe.PaymentIntentStatusSucceeded:             PaymentApproved,
	stripe.PaymentIntentStatusProcessing:            PaymentProcessing,
	stripe.PaymentIntentStatusRequiresAction:        PaymentRequiresAction,
	stripe.PaymentIntentStatusRequiresPaymentMethod: PaymentDeclined,
	stripe.PaymentIntentStatusCanceled:              PaymentCanceled,
	stripe.PaymentIntentStatusRequiresConfirmation:  PaymentUnknown,
	stripe.PaymentIntentStatusRequiresCapture:       PaymentUnknown,
}

func paymentOf(intent *stripe.PaymentIntent) Payment {
	state, known := paymentStates[intent.Status]
	if !known {
		state = PaymentUnknown
	}
	if state == PaymentDeclined && intent.LastPaymentError == nil {
		// Nobody has said no: the bank may still be thinking about a confirmation
		// whose answer we did not wait for (F5).
		state = PaymentUnknown
	}
	payment := Payment{State: state, PaymentIntentID: intent.ID}
	switch state {
	case PaymentApproved:
		// Captured by itself, a payment that succeeded is captured whole.
		payment.CapturedCents = cmp.Or(intent.AmountReceived, intent.Amount)
	case PaymentDeclined:
		payment.Code = declineCode(intent.LastPaymentError)
	}
	return payment
}

func declinedBy(err error) Payment {
	e := stripeError(err)
	payment := Payment{State: PaymentDeclined, Code: declineCode(e)}
	if e.PaymentIntent != nil {
		payment.PaymentIntentID = e.PaymentIntent.ID
	}
	return payment
}

// noReason stands for a decline that came without any code.
const noReason = "no_reason_given"

// declineCode is the bank's code, or Stripe's own where the bank gave none.
func declineCode(e *stripe.Error) string {
	switch {
	case e.DeclineCode != "":
		return string(e.DeclineCode)
	case e.Code != "":
		return string(e.Code)
	}
	return noReason
}

// BankState is the state of the purchase that a payment's state amounts to. A
// payment that is absent or refused says nothing of the bank.
func (p Payment) BankState() models.BankState {
	switch p.State {
	case PaymentApproved:
		return models.BankApproved
	case PaymentDeclined:
		return models.BankDeclined
	case PaymentProcessing:
		return models.BankProcessing
	case PaymentRequiresAction:
		return models.BankRequiresAction
	case PaymentCanceled:
		return models.BankCanceled
	case PaymentUnknown, PaymentAbsent, PaymentRefused:
	}
	return models.BankUnknown
}
