package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

const (
	proofAccounts = 5
	proofEvents   = 6000
	proofBatch    = 60
	proofWriters  = 8
	proofProcess  = "PAYSTAGE_TEST_USAGE_OF"
)

// load is the same events for whoever makes it: of several accounts, prices and
// months, some of an account that there is not.
func load(accounts []string, at time.Time) []models.UsageEvent {
	random := rand.New(rand.NewPCG(1, 2))
	events := make([]models.UsageEvent, proofEvents)
	for i := range events {
		account := uuid.MustParse(accounts[random.IntN(len(accounts))])
		if i%101 == 0 {
			account = uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i))
		}
		when := at.Add(-time.Duration(random.IntN(45*24)) * time.Hour)
		if i%3 > 0 {
			when = at
		}
		events[i] = models.UsageEvent{
			AccountID: account, ID: fmt.Sprint("event ", i), At: when, PriceID: int32(1 + random.IntN(25)), Quantity: int64(random.IntN(2000)),
			Resource: fmt.Sprint("resource ", random.IntN(3)),
		}
	}
	return events
}

// send sends all the events in batches and in an order of its own, those of the
// batch before again with each, and each batch until it has an answer.
func send(ctx context.Context, w *ledger.UsageWriter, events []models.UsageEvent, known int32, seed uint64) (accepted int) {
	random := rand.New(rand.NewPCG(seed, seed))
	for _, start := range random.Perm(len(events) / proofBatch) {
		batch := events[max(0, (start-1)*proofBatch) : (start+1)*proofBatch]
		for ctx.Err() == nil {
			refused, err := w.Record(ctx, batch, known)
			if err == nil {
				accepted += len(batch) - len(refused)
				break
			}
		}
	}
	return accepted
}

// TestUsageProcess is a process of its own that sends the events until it is killed.
func TestUsageProcess(t *testing.T) {
	url := os.Getenv(proofProcess)
	if url == "" {
		return // the test below starts it
	}
	store, err := ledger.Open(t.Context(), url, maxConns)
	done(t, err)
	w := ledger.NewUsageWriter(store, billing.TierRules(), time.Now)
	accounts, at := proofWorld(t, store)
	fmt.Println("sending")
	var writers sync.WaitGroup
	for n := range proofWriters {
		writers.Go(func() {
			for round := uint64(0); ; round++ {
				send(t.Context(), w, load(accounts, at), known(t, store), uint64(n)+round*proofWriters)
			}
		})
	}
	writers.Wait()
}

// proofWorld is what every process has to know, read from where they all look.
func proofWorld(t *testing.T, store *ledger.Ledger) (accounts []string, at time.Time) {
	t.Helper()
	near, err := store.PurchasesNear(t.Context(), "proof@example.com", noon, time.Hour)
	done(t, err)
	for _, p := range near {
		accounts = append(accounts, p.AccountID)
	}
	if len(accounts) != proofAccounts {
		t.Fatalf("%d accounts", len(accounts))
	}
	first, err := store.Account(t.Context(), accounts[0])
	done(t, err)
	return accounts, first.CreatedAt
}

func known(t *testing.T, store *ledger.Ledger) int32 {
	t.Helper()
	prices, err := store.Prices(t.Context())
	done(t, err)
	return billing.NewPriceList(prices).Newest()
}

// Writers in processes that are killed, connections that are cut, transactions that
// are told to try again, repeats in one batch and over batches, side by side: each
// event counts once, and the books are what the events alone say they must be.
func TestF22EveryEventCountsOnceWhateverDies(t *testing.T) {
	t.Parallel()
	b := open(t)
	at := time.Now().UTC().Truncate(time.Second)
	for range proofAccounts {
		id := uuid.NewString()
		done(t, b.CreateAccount(t.Context(), models.Account{ID: id, Email: "proof@example.com", Name: "Ada", Territory: "US", CreatedAt: at}))
		_, err := b.SetStripeCustomer(t.Context(), id, "cus_"+id)
		done(t, err)
		done(t, b.PutCard(t.Context(), card(id, "pm_"+id)))
		b.credited(t, id, 500)
		b.grant(t, id, dollars(3))
		b.unlimited(t, id)
	}
	_, err := b.db.Exec(t.Context(), `
		create function fail_at_times() returns trigger language plpgsql as $$
		begin
			if random() < 0.02 then
				raise exception 'try again' using errcode = (array['40001', '40P01'])[1 + floor(random() * 2)::integer];
			end if;
			return new;
		end $$;
		create trigger fail_at_times before insert on usage_totals for each row execute function fail_at_times()`)
	done(t, err)

	for kill := range 6 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestUsageProcess$", "-test.timeout=1m")
		cmd.Env = append(os.Environ(), proofProcess+"="+b.url)
		out, err := cmd.StdoutPipe()
		done(t, err)
		done(t, cmd.Start())
		if _, err := out.Read(make([]byte, 64)); err != nil {
			t.Fatalf("the process says nothing: %v", err)
		}
		b.waitForEvents(t, (kill+1)*proofEvents/12)
		_, err = b.db.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and query like '%usage_record%' and pid <> pg_backend_pid()`)
		done(t, err)
		done(t, cmd.Process.Kill())
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) {
			t.Fatalf("it was to be killed: %v", err)
		}
	}
	accounts, at := proofWorld(t, b.Ledger)
	w := ledger.NewUsageWriter(b.Ledger, billing.TierRules(), time.Now)
	t.Cleanup(w.Close)
	events := load(accounts, at)
	send(t.Context(), w, events, known(t, b.Ledger), 99)
	if again := send(t.Context(), w, events, known(t, b.Ledger), 100); again != 0 {
		t.Errorf("%d events counted again", again)
	}
	b.compareWith(t, accounts, events)
	b.sound(t)
}

// unlimited lets an account go far below zero, so that no event is refused for it.
func (b *books) unlimited(t *testing.T, account string) {
	t.Helper()
	plan, limit := "enterprise", dollars(1_000_000_000)
	terms := ledger.Terms{Plan: &plan, LimitMicros: &limit}
	done(t, b.SetTerms(t.Context(), terms, billing.TierRules(), audit(account, "for a test")))
}

// waitForEvents waits until so many events are counted.
func (b *books) waitForEvents(t *testing.T, n int) {
	t.Helper()
	for ask[int](t, b, `select count(*)::int from usage_events`) < n {
		if t.Context().Err() != nil {
			t.Fatal("nothing is counted")
		}
	}
}

// compareWith sets the books against what the events cost, worked out here.
func (b *books) compareWith(t *testing.T, accounts []string, events []models.UsageEvent) {
	t.Helper()
	prices, err := b.Prices(t.Context())
	done(t, err)
	picos := map[string]*big.Int{}
	counted := 0
	for _, account := range accounts {
		picos[account] = new(big.Int)
	}
	for _, e := range events {
		sum, ok := picos[uuid.UUID(e.AccountID).String()]
		if !ok {
			continue
		}
		counted++
		for _, p := range prices {
			if p.ID == e.PriceID {
				sum.Add(sum, new(big.Int).Mul(big.NewInt(e.Quantity), big.NewInt(p.PicosPerUnit)))
			}
		}
	}
	same(t, "events stored", ask[int](t, b, `select count(*)::int from usage_events`), counted)
	same(t, "events in the totals", ask[int](t, b, `select sum(events)::int from usage_totals`), counted)
	for _, account := range accounts {
		micros, rest := new(big.Int).QuoRem(picos[account], big.NewInt(1_000_000), new(big.Int))
		cost := micros.Int64()
		free, bought := dollars(3), dollars(5)
		balance := b.balance(t, account)
		same(t, "free", balance.FreeMicros, max(0, free-cost))
		same(t, "purchased", balance.PurchasedMicros, max(0, min(bought, free+bought-cost)))
		same(t, "accrued", balance.AccruedMicros, max(0, cost-free-bought))
		same(t, "remainder", ask[int64](t, b, `select remainder_picos::bigint from usage_meters where account_id = $1`, account), rest.Int64())
	}
}

// Two reports of one id in different months, at the same moment: one counts,
// whichever it is.
func TestF40OneEventInTwoMonthsAtOnce(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.credited(t, account, 500)
	newest := known(t, b.Ledger)
	writers := make([]*ledger.UsageWriter, 4)
	for i := range writers {
		writers[i] = ledger.NewUsageWriter(b.Ledger, billing.TierRules(), time.Now)
		t.Cleanup(writers[i].Close)
	}
	for n := range 40 {
		accepted := make([]int, len(writers))
		together(len(writers), func(i int) {
			e := models.UsageEvent{
				AccountID: uuid.MustParse(account), ID: fmt.Sprint(n), At: time.Now().AddDate(0, -i%2, 0), PriceID: 14, Quantity: 1,
			}
			refused, err := writers[i].Record(t.Context(), []models.UsageEvent{e}, newest)
			if err != nil {
				t.Error(err)
			}
			accepted[i] = 1 - len(refused)
		})
		if sum := accepted[0] + accepted[1] + accepted[2] + accepted[3]; sum != 1 {
			t.Fatalf("event %d counted %d times: %v", n, sum, accepted)
		}
	}
	b.sound(t)
}

// F47: reports at the limit pass it by no more than the batches under way.
func TestF47ConcurrentReportsAtTheLimit(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	b.credited(t, account, 500)
	done(t, b.SetCustomerLimit(t.Context(), account, dollars(1), billing.TierRules(), time.Now()))
	newest := known(t, b.Ledger)
	const reporters, price, quantity = 8, 14, 100_000
	together(reporters, func(i int) {
		w := ledger.NewUsageWriter(b.Ledger, billing.TierRules(), time.Now)
		defer w.Close()
		for n := range 100 {
			e := models.UsageEvent{AccountID: uuid.MustParse(account), ID: fmt.Sprint(i, n), At: time.Now(), PriceID: price, Quantity: quantity}
			if _, err := w.Record(t.Context(), []models.UsageEvent{e}, newest); err != nil {
				t.Error(err)
			}
		}
	})
	cost := ask[int64](t, b, `select picos_per_unit from prices where id = $1`, price) * quantity / 1_000_000
	over := b.balance(t, account).AccruedMicros - dollars(1)
	if over < 0 || over > reporters*cost {
		t.Errorf("%d micro-dollars over the limit; a batch costs %d", over, cost)
	}
	if !b.entitlement(t, account).Blocked {
		t.Error("not blocked")
	}
	b.sound(t)
}
