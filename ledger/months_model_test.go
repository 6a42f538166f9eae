package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

const (
	yearAccounts = 120
	yearPage     = 40
	// yearPrice is what a token costs in pico-dollars: no whole number of micro-dollars.
	yearPrice = 1_000_007
)

// billed is an account as arithmetic knows it. It keeps no books of who paid what: how
// much was used and on which invoice, how much credit was given, and what was invoiced
// say all that must be.
type billed struct {
	id string
	// picos is what was used, by the month on whose invoice it goes.
	picos map[time.Time]*big.Int
	// granted are all credits, free ones first, ever.
	free, purchased int64
	// invoiced through this month, for so much use and so many dollars due so far.
	through             time.Time
	usage, due, carried int64
	invoices            map[time.Time]models.Invoice
}

func (a *billed) report(month time.Time, tokens int64) {
	if !month.After(a.through) {
		month = a.through.AddDate(0, 1, 0)
	}
	if a.picos[month] == nil {
		a.picos[month] = new(big.Int)
	}
	a.picos[month].Add(a.picos[month], new(big.Int).Mul(big.NewInt(tokens), big.NewInt(yearPrice)))
}

// used is what was used through a month, in whole micro-dollars.
func (a *billed) used(through time.Time) int64 {
	sum := new(big.Int)
	for month, picos := range a.picos {
		if !month.After(through) {
			sum.Add(sum, picos)
		}
	}
	return sum.Div(sum, big.NewInt(1_000_000)).Int64()
}

// end is later than everything.
var end = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// spent is what credits have paid: all that there was to pay, as far as they go.
func (a *billed) spent() int64 { return min(a.free+a.purchased, a.used(end)-a.due) }

// close invoices a month: what no credit has paid of all that was used through it.
func (a *billed) close(month time.Time) {
	if !month.After(a.through) {
		return
	}
	any := false
	for m := range a.picos {
		any = any || m.After(a.through) && !m.After(month)
	}
	if !any {
		return
	}
	usage := a.used(month) - a.usage
	owed := max(0, a.used(month)-a.due-a.free-a.purchased)
	cents := owed / 10_000
	if cents < 50 {
		cents = 0
	}
	a.invoices[month] = models.Invoice{UsageMicros: usage, CarriedInMicros: a.carried, DueCents: cents, CarriedOutMicros: owed - cents*10_000}
	a.through, a.usage, a.due, a.carried = month, a.usage+usage, a.due+cents*10_000, owed-cents*10_000
}

// year is a year of closings and the model beside it.
type year struct {
	*books
	t        *testing.T
	random   *rand.Rand
	writer   *ledger.UsageWriter
	price    int32
	accounts []*billed
	closed   map[time.Time]bool
}

// TestYearOfClosings: a leap year of closings over random accounts, with usage that is
// told late, credits bought before and after, carries, runs that die at each page,
// triggers that come twice and together, backfills of one account and of all. Every
// micro-dollar that was used is paid by credits or invoiced, exactly once (R9, R29, I1,
// I2, I8, F35, F36, F37, F40).
func TestYearOfClosings(t *testing.T) {
	t.Parallel()
	b := open(t)
	january := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	y := &year{books: b, t: t, random: rand.New(rand.NewPCG(8, 2024)), writer: b.writer(t), closed: map[time.Time]bool{}}
	_, err := b.EnsureUsagePartitions(t.Context(), january, 12)
	done(t, err)
	p, err := b.AddPrice(t.Context(), models.Price{SKU: "test/odd.input", Unit: "token", PicosPerUnit: yearPrice, FromAt: january}, audit(b.account(t), "test"))
	done(t, err)
	y.price = p.ID
	for range yearAccounts {
		a := &billed{id: b.customer(t), picos: map[time.Time]*big.Int{}, invoices: map[time.Time]models.Invoice{}}
		y.accounts = append(y.accounts, a)
		y.buy(a) // or it could use nothing
	}
	b.do(t, `update accounts set created_at = $1`, january)
	var late time.Time
	for month := january; month.Year() == 2024; month = month.AddDate(0, 1, 0) {
		y.use(month, month, yearAccounts)
		y.use(month, month.AddDate(0, 0, -1), yearAccounts/10) // told late, of the month before
		y.credit(yearAccounts / 4)
		y.alone(month)
		if month.Month() == time.August {
			late = month // nobody closes on the 3rd of September
			continue
		}
		if !late.IsZero() {
			y.refuses(month)
			y.run(late)
			late = time.Time{}
		}
		y.use(month.AddDate(0, 1, 0), month.AddDate(0, 1, 0), yearAccounts/10) // of the next month, before the 3rd
		y.run(month)
		y.credit(yearAccounts / 8)
		y.use(month, month, yearAccounts/10) // too late for its invoice
		y.backfill(month)
	}
	y.compare()
}

func (y *year) some() *billed { return y.accounts[y.random.IntN(len(y.accounts))] }

// use reports n uses in one batch, within a month or a day of it.
func (y *year) use(month, day time.Time, n int) {
	if day.Year() != 2024 || month.Year() != 2024 {
		return
	}
	events := make([]models.UsageEvent, n)
	var told []func()
	for i := range events {
		a, tokens := y.some(), y.random.Int64N([]int64{2_000, 600_000, 9_000_000}[y.random.IntN(3)])
		at := day.Add(time.Duration(y.random.Int64N(int64(24 * time.Hour))))
		if y.random.IntN(20) == 0 {
			at = billing.PeriodOf(day).AddDate(0, 1, 0).Add(-time.Microsecond) // the last instant of the month
		}
		events[i] = y.usage(a.id, y.price, tokens, at)
		told = append(told, func() { a.report(billing.PeriodOf(at), tokens) })
	}
	for range 2 { // whatever is told twice counts once
		_, err := y.writer.Record(y.t.Context(), events, known(y.t, y.Ledger))
		done(y.t, err)
	}
	for _, tell := range told {
		tell()
	}
}

func (y *year) buy(a *billed) {
	cents := 500 + y.random.Int64N(1500)
	y.credited(y.t, a.id, cents)
	a.purchased += cents * 10_000
}

// credit gives credits to n accounts, bought or free.
func (y *year) credit(n int) {
	for range n {
		a := y.some()
		if y.random.IntN(3) == 0 {
			y.buy(a)
			continue
		}
		micros := 1 + y.random.Int64N(3_000_000)
		_, err := y.GrantFreeCredits(y.t.Context(), uuid.NewString(), a.id, micros, billing.TierRules(), audit(a.id, "welcome"))
		done(y.t, err)
		a.free += micros
	}
}

// alone closes a month for some accounts before anybody else does, each twice.
func (y *year) alone(month time.Time) {
	for range 4 {
		a := y.some()
		for range 2 {
			_, err := y.CloseAccountMonth(y.t.Context(), a.id, month, billing.LeastChargeCents, billing.TierRules(), the3rd(month))
			done(y.t, err)
		}
		for m := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC); !m.After(month); m = m.AddDate(0, 1, 0) {
			a.close(m)
		}
	}
}

func (y *year) refuses(month time.Time) {
	_, err := y.BeginMonthlyClose(y.t.Context(), month, false, yearPage, the3rd(month))
	if !errors.Is(err, ledger.ErrMonthsInOrder) {
		y.t.Errorf("a month was left out: %v", err)
	}
}

var errDies = errors.New("dies")

// run closes a month by runs that come together, each of which dies at each page
// before it gets through.
func (y *year) run(month time.Time) {
	at := the3rd(month)
	together(2, func(int) {
		c, err := y.BeginMonthlyClose(y.t.Context(), month, false, yearPage, at)
		if err != nil {
			y.t.Error(err)
			return
		}
		for page := c.FirstOpen; page < c.Pages; page++ {
			if err := y.diesAt(month, c.Round, page, at); err != nil {
				y.t.Error(err)
			}
			for range 2 {
				_, err := y.CloseMonthlyPage(y.t.Context(), month, c.Round, page, billing.LeastChargeCents, billing.TierRules(), at)
				if err != nil {
					y.t.Error(err)
				}
			}
		}
		if _, err := y.FinishMonthlyClose(y.t.Context(), month, at); err != nil {
			y.t.Error(err)
		}
	})
	y.closed[month] = true
	for _, a := range y.accounts {
		a.close(month)
	}
}

// diesAt closes a page and is gone before the commit.
func (y *year) diesAt(month time.Time, round, page int, at time.Time) error {
	rules := billing.TierRules()
	err := pgx.BeginFunc(y.t.Context(), y.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(y.t.Context(), `select monthly_close_page($1, $2, $3, $4, $5, $6, $7)`,
			month, round, page, billing.LeastChargeCents, rules.Thresholds, rules.Limits, at); err != nil {
			return err
		}
		return errDies
	})
	if errors.Is(err, errDies) {
		return nil
	}
	return err
}

// backfill goes over a closed month again, for all.
func (y *year) backfill(month time.Time) {
	if y.random.IntN(2) == 0 {
		y.closeMonth(y.t, month, yearPage, true)
		for _, a := range y.accounts {
			a.close(month)
		}
	}
}

// compare sets the books against the model: invoice by invoice, and as a whole.
func (y *year) compare() {
	y.t.Helper()
	if len(y.closed) != 12 {
		y.t.Fatalf("%d months were closed", len(y.closed))
	}
	var invoices, dues, carries int
	for _, a := range y.accounts {
		listed, err := y.Invoices(y.t.Context(), a.id)
		done(y.t, err)
		free, purchased, count := int64(0), int64(0), 0
		for _, i := range listed {
			if i.Period == nil {
				continue
			}
			want, ok := a.invoices[*i.Period]
			got := models.Invoice{UsageMicros: i.UsageMicros, CarriedInMicros: i.CarriedInMicros, DueCents: i.DueCents, CarriedOutMicros: i.CarriedOutMicros}
			if !ok || got != want {
				y.t.Fatalf("account %s, %s: invoiced %+v, want %+v", a.id, i.Period, got, want)
			}
			free, purchased, count = free+i.FreeMicros, purchased+i.PurchasedMicros, count+1
			if i.DueCents > 0 {
				dues++
			}
			if i.CarriedOutMicros > 0 {
				carries++
			}
		}
		same(y.t, "invoices of "+a.id, count, len(a.invoices))
		invoices += count
		balance := y.balance(y.t, a.id)
		same(y.t, "credits", balance.FreeMicros+balance.PurchasedMicros, a.free+a.purchased-a.spent())
		same(y.t, "accrued", balance.AccruedMicros, a.used(end)-a.due-a.spent())
		same(y.t, "invoiced", balance.InvoicedMicros, a.due)
		same(y.t, "paid by credits, on invoices", free+purchased, a.usage-a.due-a.carried)
		if free > a.free || purchased > a.purchased {
			y.t.Errorf("account %s: invoices name more credits than it had", a.id)
		}
	}
	if invoices < 5*yearAccounts || dues < yearAccounts || carries < yearAccounts {
		y.t.Errorf("too little happened: %d invoices, %d with something due, %d that carry", invoices, dues, carries)
	}
	y.sound(y.t)
	numbersRun(y.t, y.books, 2024, int(ask[int64](y.t, y.books, `select count(*) from invoices where number like '2024-%'`)))
	same(y.t, "lines and invoices", ask[string](y.t, y.books, `
		select (select sum(amount_micros) from invoice_lines)::text || ' ' || (select sum(quantity) from invoice_lines)::text`),
		ask[string](y.t, y.books, `
		select (select sum(usage_micros) from invoices)::text || ' ' ||
		       (select sum(t.quantity) from usage_totals t join usage_meters m using (account_id) where t.invoice_period <= m.invoiced_through)::text`))
}

// I8: credits that are bought while a month is closed come wholly before its invoice
// or wholly after, whichever holds the account first; and so does usage.
func TestI8CreditsOnTheBoundary(t *testing.T) {
	t.Parallel()
	b := open(t)
	w := b.writer(t)
	rules := billing.TierRules()
	begin := func() pgx.Tx {
		tx, err := b.db.Begin(t.Context())
		done(t, err)
		return tx
	}
	closing := func(tx pgx.Tx, account string) error {
		_, err := tx.Exec(t.Context(), `select monthly_invoice($1, array[$2::uuid], 50, $3, $4, $5)`, october, account, rules.Thresholds, rules.Limits, noon)
		return err
	}
	for name, c := range map[string]struct {
		first, second func(tx pgx.Tx, account, purchase string) error
		due           int64
		// accrued and credits are what is left.
		accrued, credits int64
	}{
		"CreditsFirst": {
			func(tx pgx.Tx, _, purchase string) error {
				_, err := tx.Exec(t.Context(), `select purchase_credit($1, $2, $3, $4)`, purchase, rules.Thresholds, rules.Limits, noon)
				return err
			},
			func(tx pgx.Tx, account, _ string) error { return closing(tx, account) },
			0, 0, dollars(3),
		},
		"ClosingFirst": {
			func(tx pgx.Tx, account, _ string) error { return closing(tx, account) },
			func(tx pgx.Tx, _, purchase string) error {
				_, err := tx.Exec(t.Context(), `select purchase_credit($1, $2, $3, $4)`, purchase, rules.Thresholds, rules.Limits, noon)
				return err
			},
			200, 0, dollars(5),
		},
	} {
		t.Run(name, func(t *testing.T) {
			account := b.customer(t)
			b.credited(t, account, 500)
			b.useAt(t, w, account, 7_000_000, october)
			purchase := b.invoiced(t, account, 500)
			first := begin()
			done(t, c.first(first, account, purchase))
			ended := make(chan error, 1)
			go func() {
				ended <- pgx.BeginFunc(context.WithoutCancel(t.Context()), b.db, func(tx pgx.Tx) error { return c.second(tx, account, purchase) })
			}()
			b.await(t, 1)
			done(t, first.Commit(t.Context()))
			done(t, <-ended)
			same(t, "due", b.invoiceOf(t, account, october).DueCents, c.due)
			balance := b.balance(t, account)
			same(t, "accrued", balance.AccruedMicros, c.accrued)
			same(t, "credits", balance.PurchasedMicros, c.credits)
		})
	}
	t.Run("Usage", func(t *testing.T) {
		account := b.customer(t)
		b.credited(t, account, 500)
		b.useAt(t, w, account, 7_000_000, october)
		first := begin()
		done(t, closing(first, account))
		ended := make(chan error, 1)
		go func() {
			_, err := w.Record(context.WithoutCancel(t.Context()), []models.UsageEvent{b.usage(account, b.aMicroADollar(t), 1_000_000, october)}, known(t, b.Ledger))
			ended <- err
		}()
		b.await(t, 1)
		done(t, first.Commit(t.Context()))
		done(t, <-ended)
		same(t, "usage on the invoice", b.invoiceOf(t, account, october).UsageMicros, 7_000_000)
		same(t, "its month", ask[string](t, b, `select string_agg(invoice_period::text, ' ' order by 1) from usage_totals where account_id = $1`, account),
			"2026-10-01 2026-11-01")
	})
	b.sound(t)
}

// I8 under load: purchases, usage and closings of many accounts at once. Whatever came
// first, each account's books say one of two things.
func TestI8CreditsWhileAMonthIsClosed(t *testing.T) {
	t.Parallel()
	b := open(t)
	w := b.writer(t)
	const n = 30
	var accounts, purchases [n]string
	for i := range n {
		accounts[i] = b.customer(t)
		b.credited(t, accounts[i], 500)
		b.useAt(t, w, accounts[i], 7_000_000, october)
		purchases[i] = b.invoiced(t, accounts[i], 500)
	}
	micro := b.aMicroADollar(t)
	prices := known(t, b.Ledger)
	together(n+3, func(i int) {
		var err error
		switch {
		case i < n:
			if _, err = b.CreditPurchase(t.Context(), purchases[i], billing.TierRules(), noon); err == nil {
				_, err = w.Record(t.Context(), []models.UsageEvent{b.usage(accounts[i], micro, 1, october)}, prices)
			}
		default:
			var c models.MonthlyClose
			if c, err = b.BeginMonthlyClose(t.Context(), october, false, 7, noon); err != nil {
				break
			}
			for page := range c.Pages {
				if _, err = b.CloseMonthlyPage(t.Context(), october, c.Round, page, billing.LeastChargeCents, billing.TierRules(), noon); err != nil {
					break
				}
			}
		}
		if err != nil {
			t.Error(err)
		}
	})
	for _, account := range accounts {
		due, balance := b.invoiceOf(t, account, october).DueCents, b.balance(t, account)
		got := fmt.Sprintf("due %d, credits %d, accrued %d", due, balance.PurchasedMicros, balance.AccruedMicros)
		if got != "due 0, credits 2999999, accrued 0" && got != "due 200, credits 4999999, accrued 0" {
			t.Errorf("account %s: %s", account, got)
		}
	}
	b.sound(t)
}
