package ledger_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
)

// F18: a step that loses a deadlock is run again, whole.
func TestF18DeadlockIsRunAgain(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	id := b.invoiced(t, account, 500)
	rival, err := b.db.Begin(t.Context())
	done(t, err)
	defer func() { _ = rival.Rollback(context.WithoutCancel(t.Context())) }()
	// The rival would wait for longer, so that the ledger's step is the victim.
	_, err = rival.Exec(t.Context(), `set local deadlock_timeout = '30s'`)
	done(t, err)
	_, err = rival.Exec(t.Context(), `select from entitlements where account_id = $1 for update`, account)
	done(t, err)

	credited := make(chan error, 1)
	go func() {
		_, err := b.CreditPurchase(t.Context(), id, billing.TierRules(), noon)
		credited <- err
	}()
	b.await(t, 1) // it has the purchase and waits for the entitlement
	_, err = rival.Exec(t.Context(), `select from purchases where id = $1 for update`, id)
	done(t, err) // only the victim's rollback gives it the purchase
	done(t, rival.Commit(t.Context()))
	done(t, <-credited)
	same(t, "credits", b.balance(t, account).PurchasedMicros, dollars(5))
	b.sound(t)
}

// F20: the database commits and its word does not arrive. The caller knows
// nothing, asks again under the same key, and finds its own effect.
func TestF20LostAcknowledgementOfACommit(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	grant := freeCredits("key", account, dollars(5))
	for name, c := range map[string]struct {
		do    func(ctx context.Context, l *ledger.Ledger) error
		count string
	}{
		"Post": {func(ctx context.Context, l *ledger.Ledger) error {
			posted, err := l.Post(ctx, grant)
			if err == nil && posted.Fresh {
				t.Error("the repeat says that it is the first")
			}
			return err
		}, `select count(*) from ledger_transactions where idempotency_key = 'key'`},
		"CreatePurchase": {func(ctx context.Context, l *ledger.Ledger) error {
			n := b.newPurchase(account, 2500)
			n.IdempotencyKey = "lost"
			_, created, err := l.CreatePurchase(ctx, n)
			if err == nil && created {
				t.Error("the repeat says that it is the first")
			}
			return err
		}, `select count(*) from purchases where idempotency_key = 'lost'`},
	} {
		t.Run(name, func(t *testing.T) {
			wire := newProxy(t, b.url)
			through, err := ledger.Open(t.Context(), wire.url, 1)
			done(t, err)
			t.Cleanup(through.Close)
			wire.cutAtNextAnswer.Store(true)
			if err := c.do(t.Context(), through); err == nil {
				t.Fatal("the answer arrived")
			}
			same(t, "effects after the loss", ask[int64](t, b, c.count), 1)
			done(t, c.do(t.Context(), through))
			same(t, "effects after the repeat", ask[int64](t, b, c.count), 1)
		})
	}
	same(t, "free credits", b.balance(t, account).FreeMicros, dollars(5))
	b.sound(t)
}

// proxy stands between a client and PostgreSQL.
type proxy struct {
	url    string
	server string
	// cutAtNextAnswer has the answer to the next statement that is executed thrown
	// away, and the connection cut.
	cutAtNextAnswer atomic.Bool
	// hangs has nothing of the server's forwarded, and the connections stay open.
	hangs atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

// cut ends every connection: with linger 0 by a reset, with -1 in an orderly way.
func (p *proxy) cut(linger int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		_ = conn.(*net.TCPConn).SetLinger(linger)
		conn.Close()
	}
}

func newProxy(t *testing.T, databaseURL string) *proxy {
	t.Helper()
	address, err := url.Parse(databaseURL)
	done(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	done(t, err)
	p := &proxy{server: address.Host}
	address.Host = listener.Addr().String()
	p.url = address.String()
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return p
}

// bind is the first byte of what executes a statement, which was prepared in an
// exchange before.
const bind = 'B'

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	p.conns = append(p.conns, client)
	p.mu.Unlock()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	var executing atomic.Bool
	go func() {
		defer server.Close()
		forward(client, server, func(sent []byte) bool {
			executing.Store(sent[0] == bind)
			return true
		})
	}()
	forward(server, client, func([]byte) bool {
		for p.hangs.Load() {
			time.Sleep(time.Millisecond)
		}
		return !executing.Load() || !p.cutAtNextAnswer.CompareAndSwap(true, false)
	})
}

// forward copies what from sends to to, for as long as pass lets it.
func forward(from, to net.Conn, pass func([]byte) bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || !pass(buffer[:n]) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// A database that is away is an outage, and nothing else (F19).
func TestF19NoDatabase(t *testing.T) {
	t.Parallel()
	store, err := ledger.Open(t.Context(), "postgres://nobody@127.0.0.1:1/none?sslmode=disable", 1)
	done(t, err)
	t.Cleanup(store.Close)
	for name, err := range map[string]error{
		"post":   second(store.Post(t.Context(), freeCredits("k", "00000000-0000-0000-0000-000000000000", 1))),
		"read":   second(store.Account(t.Context(), "00000000-0000-0000-0000-000000000000")),
		"claim":  second(store.ClaimMessages(t.Context(), 1, lease)),
		"sync":   store.ForceSync(t.Context(), "00000000-0000-0000-0000-000000000000", "", billing.TierRules(), audit("00000000-0000-0000-0000-000000000000", "r")),
		"verify": second(store.Verify(t.Context())),
		"ping":   store.Ping(t.Context()),
	} {
		if !errors.Is(err, ledger.ErrUnavailable) || errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// F19: so is one that goes away in the middle of a step, by its own word or without
// any. A caller whose own time is over is not.
func TestF19DatabaseGoesAwayInMidStep(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	for name, c := range map[string]struct {
		end    func(t *testing.T, wire *proxy, cancel context.CancelFunc)
		within time.Duration
		want   bool
	}{
		"ItsConnectionIsEnded": {func(t *testing.T, _ *proxy, _ context.CancelFunc) {
			b.do(t, `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
		}, patience, true},
		"ItsConnectionIsCut":   {func(_ *testing.T, wire *proxy, _ context.CancelFunc) { wire.cut(-1) }, patience, true},
		"ItsConnectionIsReset": {func(_ *testing.T, wire *proxy, _ context.CancelFunc) { wire.cut(0) }, patience, true},
		"TheCallersTimeIsOver": {func(_ *testing.T, _ *proxy, _ context.CancelFunc) {}, 3 * time.Second, false},
		"TheCallerLeaves":      {func(_ *testing.T, _ *proxy, cancel context.CancelFunc) { cancel() }, patience, false},
	} {
		t.Run(name, func(t *testing.T) {
			id := b.charging(t, account, 500)
			wire := newProxy(t, b.url)
			through, err := ledger.Open(t.Context(), wire.url, 1)
			done(t, err)
			t.Cleanup(through.Close)
			rival, err := b.db.Begin(t.Context())
			done(t, err)
			defer func() { _ = rival.Rollback(context.WithoutCancel(t.Context())) }()
			_, err = rival.Exec(t.Context(), `select from purchases where id = $1 for update`, id)
			done(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), c.within)
			defer cancel()
			recorded := make(chan error, 1)
			go func() { recorded <- through.RecordBank(ctx, id, declined(id)) }()
			b.await(t, 1)
			c.end(t, wire, cancel)
			if err := <-recorded; err == nil || errors.Is(err, ledger.ErrUnavailable) != c.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

// F19: one that hangs and closes nothing is an outage like any other, after a while,
// and leaves nothing behind that would hold up who comes when it is back.
func TestF19DatabaseThatHangs(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	wire := newProxy(t, b.url)
	through, err := ledger.OpenBounded(t.Context(), wire.url, 1, 2*time.Second)
	done(t, err)
	t.Cleanup(through.Close)
	done(t, second(through.Account(t.Context(), account)))
	wire.hangs.Store(true)
	defer wire.hangs.Store(false)
	for name, do := range map[string]func() error{
		"read": func() error { return second(through.Account(t.Context(), account)) },
		"post": func() error { return second(through.Post(t.Context(), freeCredits("hangs", account, dollars(5)))) },
	} {
		if err := do(); !errors.Is(err, ledger.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wire.hangs.Store(false)
	done(t, second(through.Post(t.Context(), freeCredits("hangs", account, dollars(5)))))
	same(t, "free credits", b.balance(t, account).FreeMicros, dollars(5))
}
