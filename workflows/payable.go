package workflows

import (
	"time"

	"github.com/paystage/paystage/activities"
	"go.temporal.io/sdk/workflow"
)

// payable is one attempt to have something paid by card: the request that may be sent
// for it, and what becomes of the answers. It is all that [charge] knows of what is paid.
// [newPurchasePayable] fills it for a purchase.
//
// An invoice payment fills it in the same way: a ChargeInput with InvoiceID and Attempt in
// the place of PurchaseID, and chargeKey(workflow id, attempt) as its key; the signal channel that
// its webhooks and the end of its authorization reach; its own local activities behind note, alert and late. It then has
// newCharge(p).settle(ctx) tell the bank's final answer, records that as its own, and
// calls closeDeclined once a decline is recorded. Whatever decides on a path (all the
// booleans here) must come out of its history.
type payable struct {
	// input is the one request of this attempt: the same attempt always sends the same
	// key, whatever crashed (R20).
	input activities.ChargeInput
	// begunAt is when it may first have been sent.
	begunAt time.Time
	// intent is the PaymentIntent that an earlier run saw, "" if none did.
	intent string
	// localFirst: the first try is a local activity.
	localFirst bool
	// closesDeclined: a declined payment is canceled at Stripe, so that nobody can
	// confirm it later.
	closesDeclined bool
	// payer names the attempt to its authorization: where the bank wants the customer, one is
	// opened and its end is the answer. Without a name the charge waits by itself for an
	// hour, as purchases of before authorizations do.
	payer activities.PayerRef
	// asked: an earlier run has opened the authorization.
	asked bool
	// changed says that the payment is to be looked at.
	changed workflow.ReceiveChannel

	// note shows what the payment waits for, once for each state that is not final; where
	// the bank wants the customer that is requires_action, off-session as well. It
	// says whether that was done; if not, it is tried again after the next look.
	note func(ctx workflow.Context, payment activities.Payment) (noted bool, err error)
	// alert puts before a person that Stripe refused the request, with its code.
	alert func(ctx workflow.Context, code string) error
	// late takes an approval that came after the decline was recorded.
	late func(ctx workflow.Context, payment activities.Payment) error
}

// outcome is how a charge ended.
type outcome struct {
	payment activities.Payment
	// expired: the time to answer is over and nothing was charged.
	expired bool
}
