package relay

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/ledger"
	"golang.org/x/sync/errgroup"
)

const (
	// lookEvery is how often the configuration of gateways is looked at, and each of
	// them for accounts that wait.
	lookEvery = time.Second
	// askEvery is how often a gateway is asked whether it needs a full sync. That
	// also tells it that it is not forgotten.
	askEvery = 5 * time.Second
	// careLease is how long a gateway stays this worker's that does not renew it.
	careLease = 30 * time.Second
	// waitingPage is how many waiting accounts go by one push: few enough that an
	// urgent change does not stand behind a long one.
	waitingPage = 500
	// waitingAge is how long an account has waited before a page takes it: until then
	// the propagation of its own has time to bring it.
	waitingAge = 2 * time.Second
	// atOnce is how many pages of a full sync are on their way to one gateway, and
	// stretch how many pages lie between two notes of how far it came.
	atOnce  = 4
	stretch = 20
	// firstTrouble is the pause after a failure, doubling to longestTrouble, each up
	// to half shorter or longer.
	firstTrouble   = time.Second
	longestTrouble = 30 * time.Second
)

// Gateways looks after the gateways: fills those that are new or were away, by pages
// and without a workflow for each account, and brings what waits to each, in the
// order of waiting. One worker looks after a gateway at a time; each has a goroutine
// of its own, so that a slow one holds up no other.
type Gateways struct {
	Store *ledger.Ledger
	Pages *activities.GatewayPages
	// All gives the base URLs of the configuration as it is now.
	All    func() []string
	Holder string
	Wake   func()
	Now    func() time.Time
	Log    *slog.Logger
}

// Run looks after the gateways of the configuration, as they come and go, until ctx
// ends.
func (g *Gateways) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	running := map[string]context.CancelFunc{}
	defer func() {
		for _, stop := range running {
			stop()
		}
	}()
	for ctx.Err() == nil {
		configured := g.All()
		for url, stop := range running {
			if !slices.Contains(configured, url) {
				stop()
				delete(running, url)
				g.Log.Info("a gateway has left the configuration", "gateway", url)
			}
		}
		for _, url := range configured {
			if running[url] == nil {
				caring, stop := context.WithCancel(ctx)
				running[url] = stop
				all.Go(func() { g.care(caring, url) })
			}
		}
		pause(ctx, lookEvery)
	}
}

// care looks after one gateway until ctx ends.
func (g *Gateways) care(ctx context.Context, url string) {
	defer g.leave(ctx, url)
	trouble := time.Duration(0)
	var asked time.Time
	for ctx.Err() == nil {
		err := g.look(ctx, url, &asked)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			trouble = 0
			pause(ctx, lookEvery)
			continue
		case errors.Is(err, activities.ErrNoPages):
			trouble = longestTrouble // the sweep has its accounts pushed one by one
		default:
			trouble = min(longestTrouble, max(firstTrouble, 2*trouble))
			g.Log.Warn("gateway not brought up to date", "gateway", url, "error", err)
		}
		if err := g.Store.NoteGatewayFailure(ctx, url, err.Error(), g.Now()); err != nil && ctx.Err() == nil {
			g.Log.Error("trouble with a gateway not noted", "gateway", url, "error", err)
		}
		asked = time.Time{}
		pause(ctx, trouble/2+rand.N(trouble))
	}
}

// leave lets another worker look after the gateway without waiting for the lease.
func (g *Gateways) leave(ctx context.Context, url string) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	if err := g.Store.LeaveGateway(limited, url, g.Holder); err != nil {
		g.Log.Warn("another worker looks after the gateway only when the lease is over", "gateway", url, "error", err)
	}
}

// look brings a gateway what it lacks now, if it is this worker's to look after.
func (g *Gateways) look(ctx context.Context, url string, asked *time.Time) error {
	care, err := g.Store.CareForGateway(ctx, url, g.Holder, careLease)
	if err != nil || !care.Mine {
		return err
	}
	if now := g.Now(); care.Store == nil || care.Filling != nil || now.Sub(*asked) >= askEvery {
		status, err := g.Pages.Sync(ctx, url)
		if err != nil {
			return err
		}
		*asked = now
		if err := g.Store.NoteGatewayHeard(ctx, url, now); err != nil {
			return err
		}
		if status.NeedsFull || care.Store == nil || *care.Store != status.Store || care.Filling != nil {
			return g.fill(ctx, url, care, status)
		}
	}
	return g.drain(ctx, url)
}

// drain brings the accounts that wait, oldest first, page after page.
func (g *Gateways) drain(ctx context.Context, url string) error {
	for {
		waiting, err := g.Store.WaitingEntitlements(ctx, url, waitingAge, waitingPage)
		if err != nil || len(waiting) == 0 {
			return err
		}
		if err := g.Pages.Push(ctx, url, waiting); err != nil {
			return err
		}
		g.Wake()
		if care, err := g.Store.CareForGateway(ctx, url, g.Holder, careLease); err != nil || !care.Mine {
			return err
		}
	}
}

// fill brings a gateway every entitlement. A sync that another worker began, of the
// same store, goes on where it was.
func (g *Gateways) fill(ctx context.Context, url string, care ledger.GatewayCare, status gateway.SyncStatus) error {
	after := ""
	if care.Filling != nil && *care.Filling == status.Store && care.FilledUpTo != nil {
		after = *care.FilledUpTo
	} else if err := g.Store.BeginFilling(ctx, url, status.Store, g.Now()); err != nil {
		return err
	}
	g.Log.Info("full sync of a gateway", "gateway", url, "from", after, "it_holds", status.Accounts)
	for {
		last, more, err := g.fillStretch(ctx, url, after)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		after = last
		g.Wake()
		if care, err := g.Store.CareForGateway(ctx, url, g.Holder, careLease); err != nil || !care.Mine {
			return err
		}
	}
	if err := g.Pages.CompleteSync(ctx, url, status.Store); err != nil {
		return err
	}
	return g.Store.EndFilling(ctx, url, status.Store, g.Now())
}

// fillStretch brings some pages from behind an account on, a few at once, and notes
// how far that came once all of them are acknowledged.
func (g *Gateways) fillStretch(ctx context.Context, url, after string) (last string, more bool, err error) {
	group, pushing := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	last, more = after, true
	count := 0
	for page := 0; page < stretch && more && pushing.Err() == nil; page++ {
		states, err := g.Store.EntitlementPage(pushing, last, gateway.MaxPage)
		if err != nil {
			return "", false, errors.Join(err, group.Wait())
		}
		more = len(states) == gateway.MaxPage
		if len(states) == 0 {
			break
		}
		last = states[len(states)-1].AccountID
		count += len(states)
		group.Go(func() error { return g.Pages.Push(pushing, url, states) })
	}
	if err := group.Wait(); err != nil {
		return "", false, err
	}
	if count == 0 {
		return last, false, nil
	}
	return last, more, g.Store.NoteFilling(ctx, url, last, count, g.Now())
}
