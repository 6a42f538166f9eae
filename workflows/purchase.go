package workflows

import (
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/models"
	"go.temporal.io/sdk/workflow"
)

// PurchaseInput names the purchase; what it is stands in the database.
type PurchaseInput struct {
	PurchaseID string `json:"purchase_id"`
}

// PurchaseResult is how the purchase ended.
type PurchaseResult struct {
	Status models.PurchaseStatus `json:"status"`
}

// Purchase takes one credit purchase from the bank's approval to acknowledged
// limits at the gateways (R17). It charges at most once and credits exactly once
// what was charged (R20), and it does not give up on a charge that succeeded
// (R21). It begins where the database says that the purchase is, so that it can
// be started again when its history is lost.
func Purchase(ctx workflow.Context, in PurchaseInput) (PurchaseResult, error) {
	// Money that is on its way is not called back by canceling a workflow.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	ref := activities.PurchaseRef{PurchaseID: in.PurchaseID}

	order, err := record(ctx, books.BeginPurchase, ref)
	if err != nil {
		return PurchaseResult{}, err
	}
	if order.Status == models.PurchaseDeclined {
		// A worker died between the decline and this.
		return PurchaseResult{Status: order.Status}, newCharge(newPurchasePayable(ctx, ref, order)).closeDeclined(ctx)
	}
	if order.Status != models.PurchasePending {
		return PurchaseResult{Status: order.Status}, nil
	}
	if order.Bank != models.BankApproved {
		status, err := bankApproval(ctx, ref, order)
		if err != nil || status != models.PurchasePending {
			return PurchaseResult{Status: status}, err
		}
	}
	if _, err := record(ctx, books.IssueInvoice, ref); err != nil {
		return PurchaseResult{}, err
	}
	if _, err := record(ctx, books.CreditBalance, ref); err != nil {
		return PurchaseResult{}, err
	}
	if err := tierPropagated(ctx, ref, order.AccountID); err != nil {
		return PurchaseResult{}, err
	}
	return PurchaseResult{Status: models.PurchaseCompleted}, nil
}

// bankApproval charges the card, waits for the bank's final answer and records
// it. It answers the purchase's status then: pending means approved.
func bankApproval(ctx workflow.Context, ref activities.PurchaseRef, order activities.PurchaseOrder) (models.PurchaseStatus, error) {
	c := newCharge(newPurchasePayable(ctx, ref, order))
	end, err := c.settle(ctx)
	if err != nil {
		return "", err
	}
	recorded, err := record(ctx, books.RecordBankAnswer, activities.BankAnswerInput{
		PurchaseID: ref.PurchaseID, Payment: end.payment, Expired: end.expired,
	})
	if err != nil {
		return "", err
	}
	switch {
	case recorded.Otherwise != "":
		return recorded.Otherwise, nil
	case end.expired:
		return models.PurchaseExpired, nil
	case end.payment.State == activities.PaymentApproved:
		return models.PurchasePending, nil
	case end.payment.State == activities.PaymentDeclined:
		return models.PurchaseDeclined, c.closeDeclined(ctx)
	}
	return models.PurchaseCanceled, nil
}

// How long a purchase waits for word of the gateways before it has the push asked
// for again; the word normally comes with the last acknowledgement.
const (
	firstTierCheck = time.Minute
	lastTierCheck  = 15 * time.Minute
)

// tierPropagated waits until every gateway holds what the purchase brought about
// (R22). A gateway that is down delays this stage and nothing else.
func tierPropagated(ctx workflow.Context, ref activities.PurchaseRef, accountID string) error {
	told := workflow.GetSignalChannel(ctx, SignalTierPropagated)
	for pause := firstTierCheck; ; pause = min(2*pause, lastTierCheck) {
		settled, err := record(ctx, books.SettleTier, ref)
		if err != nil || settled.Complete {
			return err
		}
		if waitFor(ctx, told, pause) {
			continue
		}
		if _, err := record(ctx, books.RequestPropagation, activities.AccountRef{AccountID: accountID}); err != nil {
			return err
		}
	}
}

// waitFor waits for a signal, at most for the time given, and says whether one
// came. Signals that came together are one.
func waitFor(ctx workflow.Context, signals workflow.ReceiveChannel, atMost time.Duration) (told bool) {
	timerCtx, stop := workflow.WithCancel(ctx)
	defer stop()
	workflow.NewSelector(ctx).
		AddReceive(signals, func(workflow.ReceiveChannel, bool) { told = true }).
		AddFuture(workflow.NewTimer(timerCtx, atMost), func(workflow.Future) {}).
		Select(ctx)
	for signals.ReceiveAsync(nil) {
		told = true
	}
	return told
}
