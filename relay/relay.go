package relay

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/workflows"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"
)

const (
	// poll is how often the outbox is looked at when nobody says that there is
	// news: what other processes write is seen that soon.
	poll = 25 * time.Millisecond
	// batch bounds how many messages one look takes, parallel how many are on
	// their way at once.
	batch    = 200
	parallel = 16
	// lease is how long a claimed message is this relay's; delivery bounds a
	// delivery to well within it.
	lease    = 30 * time.Second
	delivery = 10 * time.Second
	// afterTrouble is the pause after the database could not be read.
	afterTrouble = time.Second
)

// Relay delivers the messages of the outbox.
type Relay struct {
	Store    *ledger.Ledger
	Temporal client.Client
	Queues   workflows.Queues
	Mail     *activities.Mail
	Log      *slog.Logger
	news     chan struct{}
}

// New makes a relay. Its Wake may be called before Run.
func New(store *ledger.Ledger, temporal client.Client, queues workflows.Queues, mail *activities.Mail, log *slog.Logger) *Relay {
	return &Relay{Store: store, Temporal: temporal, Queues: queues, Mail: mail, Log: log, news: make(chan struct{}, 1)}
}

// Wake has the outbox looked at now. It never blocks.
func (r *Relay) Wake() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends.
func (r *Relay) Run(ctx context.Context) {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for ctx.Err() == nil {
		delivered, err := r.deliverDue(ctx)
		if err != nil && ctx.Err() == nil {
			r.Log.Error("outbox not drained", "error", err)
			pause(ctx, afterTrouble)
			continue
		}
		if delivered == batch {
			continue
		}
		select {
		case <-ctx.Done():
		case <-r.news:
		case <-ticker.C:
		}
	}
}

// deliverDue takes a batch of due messages and delivers them side by side. One
// that fails comes back later and keeps none of the others.
func (r *Relay) deliverDue(ctx context.Context) (int, error) {
	messages, err := r.Store.ClaimMessages(ctx, batch, lease)
	if err != nil {
		return 0, err
	}
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, m := range messages {
		group.Go(func() error { return r.handle(ctx, m) })
	}
	return len(messages), group.Wait()
}

func (r *Relay) handle(ctx context.Context, m ledger.Message) error {
	limited, cancel := context.WithTimeout(ctx, delivery)
	defer cancel()
	if err := r.deliver(limited, m); err != nil {
		r.Log.Warn("outbox message not delivered", "kind", m.Kind, "subject", m.Subject, "attempt", m.Attempts, "error", err)
		return r.Store.MessageFailed(ctx, m, err.Error(), backoff(m.Attempts))
	}
	return r.Store.MessageDelivered(ctx, m)
}

// deliver does what a message asks for. Each way is safe to repeat.
func (r *Relay) deliver(ctx context.Context, m ledger.Message) error {
	switch m.Kind {
	case ledger.MessageStartPurchase:
		return workflows.StartPurchase(ctx, r.Temporal, r.Queues, m.Subject)
	case ledger.MessagePaymentChanged:
		return r.tellOfPayment(ctx, m.Subject)
	case ledger.MessageTierPropagated:
		return workflows.TellPurchase(ctx, r.Temporal, m.Subject, workflows.SignalTierPropagated)
	case ledger.MessagePropagate:
		return workflows.Propagate(ctx, r.Temporal, r.Queues, m.Subject, workflows.PropagationRequest{})
	case ledger.MessageForceSync:
		return workflows.Propagate(ctx, r.Temporal, r.Queues, m.Subject, workflows.PropagationRequest{Force: true})
	case ledger.MessageMailPurchaseApproved:
		return r.mailPurchaseApproved(ctx, m.Subject)
	}
	return fmt.Errorf("no such kind of message: %s", m.Kind)
}

// tellOfPayment has a purchase look at its payment again, unless it knows the
// bank's final answer already: most webhooks tell what the charge's own response
// said before them.
func (r *Relay) tellOfPayment(ctx context.Context, purchaseID string) error {
	purchase, err := r.Store.Purchase(ctx, purchaseID)
	if err != nil || purchase.Bank.Final() {
		return err
	}
	return workflows.TellPurchase(ctx, r.Temporal, purchaseID, workflows.SignalPaymentChanged)
}

func (r *Relay) mailPurchaseApproved(ctx context.Context, purchaseID string) error {
	purchase, err := r.Store.Purchase(ctx, purchaseID)
	if err != nil {
		return err
	}
	account, err := r.Store.Account(ctx, purchase.AccountID)
	if err != nil {
		return err
	}
	return r.Mail.PurchaseApproved(ctx, account, purchase)
}

// backoff is the pause before a message's next delivery: a quarter of a second,
// doubling to a minute.
func backoff(attempts int32) time.Duration {
	return min(250*time.Millisecond<<min(attempts-1, 10), time.Minute)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
