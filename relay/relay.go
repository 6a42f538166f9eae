package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/letters"
	"github.com/paystage/paystage/links"
	"github.com/paystage/paystage/workflows"
	"go.temporal.io/sdk/client"
)

const (
	// poll is how often the outbox is looked at when nobody says that there is
	// news: what other processes write is seen that soon.
	poll = 25 * time.Millisecond
	// parallel bounds how many messages of a lane are on their way at once. No more
	// are claimed than can be delivered now, so that no lease runs out in a queue.
	parallel = 32
	// lease is how long a claimed message is this relay's; delivery and noteWithin
	// bound a delivery and the note of it to well within it.
	lease      = 30 * time.Second
	delivery   = 10 * time.Second
	noteWithin = 5 * time.Second
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
	// Company is who sells, as customers know it.
	Company string
	// URL is the front door's address as customers reach it, and Links signs the links to it.
	URL   string
	Links links.Keyring
	// Gateways gives the base URLs of the gateways that must hold an entitlement.
	Gateways func() []string
	// RechargesAlertPerHour is how many automatic charges in an hour raise an alert.
	RechargesAlertPerHour int64
	lanes                 []*lane
}

// lane delivers the messages that go to one place.
type lane struct {
	name ledger.Lane
	// pace is, unless 0, the time between two deliveries.
	pace time.Duration
	// news has a token when the lane is to be looked at; slots one for each
	// delivery under way.
	news  chan struct{}
	slots chan struct{}
}

// New makes a relay. Its Wake may be called before Run.
func New(store *ledger.Ledger, temporal client.Client, queues workflows.Queues, mail *activities.Mail, log *slog.Logger) *Relay {
	r := &Relay{Store: store, Temporal: temporal, Queues: queues, Mail: mail, Log: log}
	for _, name := range []ledger.Lane{ledger.LaneWorkflows, ledger.LaneMail, ledger.LaneRecharges, ledger.LaneInvoices} {
		r.lanes = append(r.lanes, &lane{name: name, news: make(chan struct{}, 1), slots: make(chan struct{}, parallel)})
	}
	return r
}

// Pace has what a lane starts begin no faster than it may charge, so that a thousand
// loops or invoices don't wait for their turns as open workflows. Called before Run.
func (r *Relay) Pace(lane ledger.Lane, pace time.Duration) {
	for _, l := range r.lanes {
		if l.name == lane {
			l.pace = pace
		}
	}
}

// Wake has the outbox looked at now. It never blocks.
func (r *Relay) Wake() {
	for _, l := range r.lanes {
		l.wake()
	}
}

// wake has the lane looked at now, unless it keeps its pace.
func (l *lane) wake() {
	if l.pace > 0 {
		return
	}
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends, and what is under way then to its end.
func (r *Relay) Run(ctx context.Context) {
	var lanes sync.WaitGroup
	for _, l := range r.lanes {
		lanes.Go(func() { r.runLane(ctx, l) })
	}
	lanes.Wait()
}

func (r *Relay) runLane(ctx context.Context, l *lane) {
	ticker := time.NewTicker(cmp.Or(l.pace, poll))
	defer ticker.Stop()
	var underway sync.WaitGroup
	defer underway.Wait()
	for ctx.Err() == nil {
		if err := r.deliverDue(ctx, l, &underway); err != nil && ctx.Err() == nil {
			r.Log.Error("outbox not drained", "lane", l.name, "error", err)
			pause(ctx, afterTrouble)
		}
		select {
		case <-ctx.Done():
		case <-l.news:
		case <-ticker.C:
		}
	}
}

// deliverDue claims as many due messages as the lane has room for and sets out to
// deliver them side by side. One that is slow or fails keeps none of the others.
func (r *Relay) deliverDue(ctx context.Context, l *lane, underway *sync.WaitGroup) error {
	room := cap(l.slots) - len(l.slots)
	if l.pace > 0 {
		room = min(room, 1)
	}
	if room == 0 {
		return nil
	}
	messages, err := r.Store.ClaimMessages(ctx, room, lease, l.name)
	for _, m := range messages {
		l.slots <- struct{}{}
		underway.Go(func() {
			if err := r.handle(ctx, m); err != nil {
				r.Log.Error("outbox message not noted", "kind", m.Kind, "subject", m.Subject, "error", err)
			}
			<-l.slots
			if len(messages) == room {
				l.wake()
			}
		})
	}
	return err
}

func (r *Relay) handle(ctx context.Context, m ledger.Message) error {
	limited, cancel := context.WithTimeout(ctx, delivery)
	defer cancel()
	err := r.deliver(limited, m)
	// A relay that is told to stop gives back what it could not deliver, so that
	// nobody has to wait until the lease is over.
	noting, noted := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer noted()
	if err != nil {
		r.Log.Warn("outbox message not delivered", "kind", m.Kind, "subject", m.Subject, "attempt", m.Attempts, "error", err)
		return r.Store.MessageFailed(noting, m, err.Error(), backoff(m.Attempts, err))
	}
	return r.Store.MessageDelivered(noting, m)
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
	case ledger.MessageCardSetup:
		return workflows.LookAtCardSetup(ctx, r.Temporal, r.Queues, m.Subject)
	case ledger.MessageStartRecharge:
		return workflows.StartRecharge(ctx, r.Temporal, r.Queues, m.Subject)
	case ledger.MessageRecharge, ledger.MessageRechargeEnded:
		return workflows.Recharge(ctx, r.Temporal, r.Queues, m.Subject)
	case ledger.MessageInvoicePayment, ledger.MessageInvoicePaymentNow:
		return workflows.CollectInvoice(ctx, r.Temporal, r.Queues, m.Subject)
	case ledger.MessageStartInvoicePayment:
		return workflows.StartInvoicePayment(ctx, r.Temporal, r.Queues, m.Subject)
	case ledger.MessageInvoicePaymentChanged:
		return workflows.TellInvoicePayment(ctx, r.Temporal, m.Subject, workflows.SignalPaymentChanged)
	case ledger.MessageMailInvoiceEvent:
		return r.mailInvoiceEvent(ctx, m.Subject)
	case ledger.MessageMailInvoice:
		return r.mailInvoice(ctx, m.Subject)
	case ledger.MessageAuthorizationChanged:
		return workflows.Authorize(ctx, r.Temporal, r.Queues, m.Subject)
	case ledger.MessageMailAuthorization:
		return r.mailAuthorization(ctx, m.Subject, letters.AuthorizationAsked)
	case ledger.MessageMailAuthorizationReminder:
		return r.mailAuthorization(ctx, m.Subject, letters.AuthorizationReminder)
	case ledger.MessageMailRechargeHalted:
		return r.mailRechargeHalted(ctx, m.Subject)
	case ledger.MessageMailPurchaseApproved, ledger.MessageMailPurchaseDeclined, ledger.MessageMailPurchaseExpired:
		return r.mailPurchase(ctx, m.Subject)
	case ledger.MessageMailTierReached:
		return r.mailTierReached(ctx, m.Subject)
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

// backoff is the pause before a message's next delivery: a quarter of a second,
// doubling to a minute, or to an hour for a mail that is refused for good. Somebody
// may mend the address or the mail server meanwhile.
func backoff(attempts int32, err error) time.Duration {
	longest := time.Minute
	if errors.Is(err, activities.ErrMailRefused) {
		longest = time.Hour
	}
	return min(250*time.Millisecond<<min(attempts-1, 20), longest)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
