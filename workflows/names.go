package workflows

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
)

// Task queues. Pushes to gateways have their own, so that a gateway that hangs
// slows no checkout, and so have auto-recharge with its purchases and payments of
// invoices, so that the thousands of a 3rd don't stand in line before a customer. The
// closing of months has one, so that no more pages are under way than the database has
// room for.
const (
	QueuePurchases = "purchases"
	QueueGateways  = "gateways"
	QueueRecharges = "recharges"
	QueueInvoices  = "invoices"
	QueueMonths    = "months"
)

// Queues are the task queues of one installation. Tests that share a server
// give each its own prefix.
type Queues struct {
	Purchases string
	Gateways  string
	Recharges string
	Invoices  string
	Months    string
}

// DefaultQueues are those of a running system.
func DefaultQueues() Queues {
	return Queues{Purchases: QueuePurchases, Gateways: QueueGateways, Recharges: QueueRecharges, Invoices: QueueInvoices, Months: QueueMonths}
}

// Signals.
const (
	// SignalPaymentChanged: ask Stripe again how the payment stands.
	SignalPaymentChanged = "payment-changed"
	// SignalTierPropagated: see whether the gateways hold what the purchase needs.
	SignalTierPropagated = "tier-propagated"
	// SignalPropagate: the account's entitlement is to be pushed.
	SignalPropagate = "propagate"
	// SignalRecharge: see whether the account is to be recharged.
	SignalRecharge = "recharge"
	// SignalCollect: see what is to be done about the invoice.
	SignalCollect = "collect"
	// SignalAuthorizationChanged: see how the authorization and its payment stand.
	SignalAuthorizationChanged = "authorization-changed"
	// SignalCardSetup: ask Stripe again how the verification of the card stands.
	SignalCardSetup = "card-setup-changed"
)

// PurchaseWorkflowID is the id of a purchase's workflow.
func PurchaseWorkflowID(purchaseID string) string { return "purchase/" + purchaseID }

// PropagationWorkflowID is the id of an account's propagation.
func PropagationWorkflowID(accountID string) string { return "tier-propagation/" + accountID }

// RechargeWorkflowID is the id of an account's auto-recharge loop.
func RechargeWorkflowID(accountID string) string { return "auto-recharge/" + accountID }

// InvoicePaymentWorkflowID is the id of the workflow that collects an invoice.
func InvoicePaymentWorkflowID(invoiceID string) string { return "invoice-payment/" + invoiceID }

// AuthorizationWorkflowID is the id of an authorization's workflow.
func AuthorizationWorkflowID(authorizationID string) string {
	return "authorization/" + authorizationID
}

// ConfirmKey is the idempotency key of the n-th confirmation of an authorization's payment.
func ConfirmKey(authorizationID string, n int) string {
	return fmt.Sprintf("%s/%d", AuthorizationWorkflowID(authorizationID), n)
}

// MonthlyCloseWorkflowID is the id of the closing of a month, such as
// monthly-close/2026-10.
func MonthlyCloseWorkflowID(period string) string { return "monthly-close/" + period }

// MonthlyDueWorkflowID is the id of the one look for months that are to be closed.
func MonthlyDueWorkflowID(q Queues) string { return "monthly-due/" + q.Months }

// CardSetupWorkflowID is the id of the verification of a card that waits.
func CardSetupWorkflowID(setupID string) string { return "card-setup/" + setupID }

// chargeKey is the idempotency key of an attempt to charge. It is made from the
// workflow's id and not its run's: a reset or a second start sends the same key.
func chargeKey(workflowID string, attempt int) string {
	return fmt.Sprintf("%s/%d", workflowID, attempt)
}

// StartPurchase starts a purchase's workflow. It is not an error if it was
// started before: one that runs or has done its work is left alone. One that was
// terminated or failed before its work was done is started again, and goes on from
// what the database says (I6).
func StartPurchase(ctx context.Context, c client.Client, q Queues, purchaseID string) error {
	return startPurchase(ctx, c, q.Purchases, purchaseID)
}

// StartRecharge starts the workflow of an automatic purchase, as [StartPurchase] does
// that of another.
func StartRecharge(ctx context.Context, c client.Client, q Queues, purchaseID string) error {
	return startPurchase(ctx, c, q.Recharges, purchaseID)
}

func startPurchase(ctx context.Context, c client.Client, queue, purchaseID string) error {
	_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       PurchaseWorkflowID(purchaseID),
		TaskQueue:                queue,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowTaskTimeout:      workflowTaskTimeout,
	}, Purchase, PurchaseInput{PurchaseID: purchaseID})
	if isAlreadyStarted(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("start purchase workflow: %w", err)
	}
	return nil
}

// TellPurchase sends a signal without content to a purchase's workflow. It is not
// an error if the workflow has ended: then there is nothing to tell.
func TellPurchase(ctx context.Context, c client.Client, purchaseID, signal string) error {
	return tell(ctx, c, PurchaseWorkflowID(purchaseID), signal)
}

// TellInvoicePayment sends a signal without content to the workflow that collects an
// invoice. It is not an error if none runs: then no charge is under way.
func TellInvoicePayment(ctx context.Context, c client.Client, invoiceID, signal string) error {
	return tell(ctx, c, InvoicePaymentWorkflowID(invoiceID), signal)
}

func tell(ctx context.Context, c client.Client, workflowID, signal string) error {
	err := c.SignalWorkflow(ctx, workflowID, "", signal, nil)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("signal %s: %w", workflowID, err)
	}
	return nil
}

// CollectInvoice has an invoice's collection looked at by the one workflow that does
// it, starting it if it doesn't run.
func CollectInvoice(ctx context.Context, c client.Client, q Queues, invoiceID string) error {
	_, err := c.SignalWithStartWorkflow(ctx, InvoicePaymentWorkflowID(invoiceID), SignalCollect, nil,
		client.StartWorkflowOptions{TaskQueue: q.Invoices, WorkflowTaskTimeout: workflowTaskTimeout},
		InvoicePayment, InvoicePaymentInput{InvoiceID: invoiceID})
	if err != nil {
		return fmt.Errorf("start payment of invoice: %w", err)
	}
	return nil
}

// StartInvoicePayment starts the workflow that collects an invoice, and leaves one that
// runs alone: a signal at each sweep would make the history of a long wait longer.
func StartInvoicePayment(ctx context.Context, c client.Client, q Queues, invoiceID string) error {
	_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       InvoicePaymentWorkflowID(invoiceID),
		TaskQueue:                q.Invoices,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowTaskTimeout:      workflowTaskTimeout,
	}, InvoicePayment, InvoicePaymentInput{InvoiceID: invoiceID})
	if err != nil {
		return fmt.Errorf("start payment of invoice: %w", err)
	}
	return nil
}

// Propagate has an account's entitlement pushed to the gateways by the one
// workflow that does it, starting it if it doesn't run.
func Propagate(ctx context.Context, c client.Client, q Queues, accountID string, request PropagationRequest) error {
	_, err := c.SignalWithStartWorkflow(ctx, PropagationWorkflowID(accountID), SignalPropagate, request,
		client.StartWorkflowOptions{TaskQueue: q.Purchases, WorkflowTaskTimeout: workflowTaskTimeout},
		TierPropagation, PropagationInput{AccountID: accountID, GatewayQueue: q.Gateways})
	if err != nil {
		return fmt.Errorf("start tier propagation: %w", err)
	}
	return nil
}

// Recharge has an account's auto-recharge looked at by the one workflow that does
// it, starting it if it doesn't run.
func Recharge(ctx context.Context, c client.Client, q Queues, accountID string) error {
	_, err := c.SignalWithStartWorkflow(ctx, RechargeWorkflowID(accountID), SignalRecharge, nil,
		client.StartWorkflowOptions{TaskQueue: q.Recharges, WorkflowTaskTimeout: workflowTaskTimeout},
		AutoRecharge, RechargeInput{AccountID: accountID})
	if err != nil {
		return fmt.Errorf("start auto-recharge: %w", err)
	}
	return nil
}

// Authorize has an authorization looked after by the one workflow that does it,
// starting it if it doesn't run. One that has ended is looked at once more and left.
func Authorize(ctx context.Context, c client.Client, q Queues, authorizationID string) error {
	_, err := c.SignalWithStartWorkflow(ctx, AuthorizationWorkflowID(authorizationID), SignalAuthorizationChanged, nil,
		client.StartWorkflowOptions{TaskQueue: q.Purchases, WorkflowTaskTimeout: workflowTaskTimeout},
		Authorization, AuthorizationInput{AuthorizationID: authorizationID})
	if err != nil {
		return fmt.Errorf("start authorization: %w", err)
	}
	return nil
}

// LookAtCardSetup has the verification of a card looked at by the one workflow that
// does it, starting it if it doesn't run.
func LookAtCardSetup(ctx context.Context, c client.Client, q Queues, setupID string) error {
	_, err := c.SignalWithStartWorkflow(ctx, CardSetupWorkflowID(setupID), SignalCardSetup, nil,
		client.StartWorkflowOptions{TaskQueue: q.Purchases, WorkflowTaskTimeout: workflowTaskTimeout},
		CardSetup, CardSetupInput{SetupID: setupID})
	if err != nil {
		return fmt.Errorf("start card setup: %w", err)
	}
	return nil
}
