package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// TestAutoRechargeAgreesWithItsModel lets weeks of usage, purchases by hand,
// declines, other cards, other settings, emergency stops and lost wake-ups go by, and
// compares what auto-recharge does with a model that shares nothing with it. It holds
// after each thing that happens: never two in flight, never past a cap, never silent,
// always refilled when nothing is in the way, all that was charged is credited.
func TestAutoRechargeAgreesWithItsModel(t *testing.T) {
	t.Parallel()
	b := open(t)
	rapid.Check(t, func(t *rapid.T) {
		b.do(t, `update recharge_control set held = false`)
		m := newRechargeModel(t, b)
		happenings := []func(*rapid.T){
			m.use, m.use, m.use, m.use, m.bankApproves, m.bankApproves, m.bankApproves, m.bankSaysNo, m.bankSaysNo, m.timePasses, m.timePasses,
			m.buyByHand, m.byHandEnds, m.otherCard, m.sameCardAgain, m.otherSettings, m.otherSettings, m.emergency,
			m.busyHour, m.poorWeek, m.stubbornCustomer,
		}
		for range rapid.IntRange(5, 30).Draw(t, "happenings") {
			happenings[rapid.IntRange(0, len(happenings)-1).Draw(t, "what")](t)
			m.loop(t)
			m.compare(t)
		}
	})
	b.sound(t)
	same(t, "all that was charged is credited", ask[int64](t, b, `
		select (select sum(captured_cents) * 10000 from purchases)::bigint + (select sum(amount_micros) from ledger_entries where book = 'payments')::bigint`), 0)
}

// madeByItself is an automatic purchase as the model knows it.
type madeByItself struct {
	at    time.Time
	cents int64
	moved bool // money moved, or still may
}

// cardModel is what a card went through.
type cardModel struct {
	halt     string
	until    time.Time // zero is until something is done
	tries    int
	declines []time.Time
}

type byHand struct {
	id, card string
	cents    int64
	away     bool // the customer is at the bank
}

// rechargeModel is one account as plain arithmetic knows it.
type rechargeModel struct {
	*books
	account string
	at      time.Time

	enabled           bool
	amount, threshold int64
	cap               int64 // 0 is none
	confirmed         int
	confirmedAt       time.Time
	sinceConfirmed    int

	micros    int64
	card      string
	cards     map[string]*cardModel
	made      []*madeByItself
	inFlight  *madeByItself
	flightID  string
	flightOf  string // the card
	hand      []byHand
	held      bool
	halt      string
	haltUntil time.Time
	told      int
}

// saidOfCodes is what each of these declines means: no more, mend the data, ask the
// customer, or the hours to the second and to the third try.
var saidOfCodes = map[string]struct {
	halt   string
	pauses [2]int
}{
	"lost_card": {halt: "card_refused"}, "revocation_of_authorization": {halt: "card_refused"},
	"expired_card": {halt: "card_data"}, "incorrect_cvc": {halt: "card_data"},
	"authentication_required": {halt: "authentication_required"},
	"insufficient_funds":      {pauses: [2]int{1, 24}}, "duplicate_transaction": {pauses: [2]int{1, 24}},
	"do_not_honor": {pauses: [2]int{6, 72}}, "a_code_of_2031": {pauses: [2]int{6, 72}}, "": {pauses: [2]int{6, 72}},
}

func newRechargeModel(t *rapid.T, b *books) *rechargeModel {
	m := &rechargeModel{books: b, account: b.customer(t), at: noon, cards: map[string]*cardModel{}}
	m.putCard(t, "a")
	m.configure(t, true, 1000, 2000, 0, 0)
	m.loop(t)
	m.compare(t)
	return m
}

// loop is what workers do: they take the wake-ups that there are, unless those are
// lost, and those that the sweep finds. No account waits over a minute (R28).
func (m *rechargeModel) loop(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "lost") == 0 {
		m.do(t, `delete from outbox where kind in ('recharge', 'recharge_ended') and subject = $1`, m.account)
		m.at = m.at.Add(time.Minute)
	}
	m.look(t)
	if what, until := m.next(); what == "buy" || m.isNews(what, until) {
		m.at = m.at.Add(time.Minute)
		m.look(t)
	}
}

// look runs the sweep, and the loop of the account if it was woken.
func (m *rechargeModel) look(t *rapid.T) {
	_, err := m.WakeRecharges(t.Context(), m.at, m.at.Add(time.Minute), 1000)
	done(t, err)
	if ask[int](t, m.books, `with gone as (delete from outbox where kind in ('recharge', 'recharge_ended') and subject = $1 returning 1) select count(*)::int from gone`, m.account) == 0 {
		return
	}
	m.advance(t)
}

// isNews says whether this is a halt of no card's that was not told yet.
func (m *rechargeModel) isNews(what string, until time.Time) bool {
	switch what {
	case "monthly_cap", "hourly_limit", "network_limit":
		return m.halt != what || !m.haltUntil.Equal(until)
	}
	return false
}

// expect moves the model to where the loop must have come.
func (m *rechargeModel) expect() {
	what, until := m.next()
	switch what {
	case "buy":
		m.inFlight = &madeByItself{at: m.at, cents: m.amount, moved: true}
		m.made = append(m.made, m.inFlight)
		m.sinceConfirmed++
		m.flightOf = m.card
		m.halt, m.haltUntil = "", time.Time{}
	case "rest":
		m.halt, m.haltUntil = "", time.Time{}
	case "monthly_cap", "hourly_limit", "network_limit":
		if m.isNews(what, until) {
			m.told++
		}
		m.halt, m.haltUntil = what, until
	}
}

// next is what has to happen now, by the rules as they are written.
func (m *rechargeModel) next() (what string, until time.Time) {
	card := m.cards[m.card]
	coming, spent, lastHour := int64(0), int64(0), 0
	for _, h := range m.hand {
		if !h.away {
			coming += h.cents
		}
	}
	for _, p := range m.made {
		if p.moved && p.at.Year() == m.at.Year() && p.at.Month() == m.at.Month() {
			spent += p.cents
		}
		if m.at.Sub(p.at) < time.Hour {
			lastHour++
		}
	}
	var declines []time.Time
	for _, d := range card.declines {
		if m.at.Sub(d) < 30*24*time.Hour {
			declines = append(declines, d)
		}
	}
	wanted := m.sinceConfirmed < m.confirmed && m.at.Sub(m.confirmedAt) < 24*time.Hour
	switch {
	case m.inFlight != nil:
		return "await", until
	case !m.enabled:
		return "off", until
	case card.halt != "" && (card.until.IsZero() || m.at.Before(card.until)):
		return card.halt, card.until
	case m.micros+coming*10_000 >= m.threshold*10_000:
		return "rest", until
	case m.held:
		return "held", until
	case len(declines) >= 15:
		return "network_limit", declines[len(declines)-15].Add(30 * 24 * time.Hour)
	case m.cap > 0 && spent+m.amount > m.cap:
		return "monthly_cap", time.Date(m.at.Year(), m.at.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	case !wanted && m.halt == "hourly_limit" && m.at.Before(m.haltUntil):
		return "hourly_limit", m.haltUntil
	case !wanted && lastHour >= 10:
		return "hourly_limit", m.at.Add(time.Hour)
	}
	return "buy", until
}

// compare checks the database against the model.
func (m *rechargeModel) compare(t *rapid.T) {
	t.Helper()
	flying := ask[string](t, m.books, `
		select coalesce(string_agg(id::text, ' '), '') from purchases
		 where account_id = $1 and origin = 'auto_recharge' and status = 'pending' and balance_ended_at is null`, m.account)
	if (m.inFlight != nil) != (len(flying) == 36) || len(flying) > 36 {
		t.Fatalf("in flight is %q, and should be: %v", flying, m.inFlight != nil)
	}
	m.flightID = flying
	same(t, "automatic purchases", ask[int](t, m.books, `select count(*)::int from purchases where account_id = $1 and origin = 'auto_recharge'`, m.account), len(m.made))
	balance := m.balance(t, m.account)
	same(t, "balance", balance.TotalMicros(), m.micros)

	// Never silent: whatever is in the way is shown, and was told by an event and a mail.
	what, until := m.next()
	r, err := m.Recharge(t.Context(), m.account, m.at)
	done(t, err)
	is, err := billing.DescribeRecharge(r, m.at)
	done(t, err)
	want := map[string]string{"await": "recharging", "off": "off", "rest": "idle", "card_refused": "stopped", "tries_used_up": "stopped"}[what]
	if want == "" {
		want = "paused"
	}
	if what == "buy" || string(is.State) != want || (want == "paused" || want == "stopped") && string(is.Halt) != what {
		t.Fatalf("at %s it is %s (%s), and should be %s (%s) until %s", m.at, is.State, is.Halt, want, what, until)
	}
	same(t, "events", ask[int](t, m.books, `select count(*)::int from recharge_events where account_id = $1`, m.account), m.told)
	same(t, "mails", ask[int](t, m.books, `
		select count(*)::int from outbox where kind = 'mail_recharge_halted' and subject in (select id::text from recharge_events where account_id = $1)`, m.account), m.told)
	if t.Failed() {
		t.FailNow()
	}
}

func (m *rechargeModel) use(t *rapid.T) {
	cents := rapid.OneOf(rapid.Int64Range(1, 500), rapid.Int64Range(1, 8000)).Draw(t, "cents")
	m.charge(t, m.account, cents, m.at)
	m.micros -= cents * 10_000
}

// charge posts usage of that many cents, as a report of usage does.
func (b *books) charge(t tb, account string, cents int64, at time.Time) {
	t.Helper()
	rules := billing.TierRules()
	b.used(t, account, cents*10_000)
	b.do(t, `select usage_charge('usage', $1, array[$2::uuid], array[$3::text::numeric], $4, $5, $6) from balances where account_id = $2 for update`,
		uuid.NewString(), account, fmt.Sprint(cents*10_000_000_000), rules.Thresholds, rules.Limits, at)
}

// used notes so many micro-dollars of usage where reports are summed up.
func (b *books) used(t tb, account string, micros int64) {
	t.Helper()
	b.do(t, `insert into usage_totals as u (account_id, invoice_period, period, price_id, resource, events, quantity, picos) values ($1, '2026-11-01', '2026-11-01', 1, '', 1, 1, $2::bigint * 1000000)
		on conflict (account_id, invoice_period, period, price_id, resource) do update set picos = u.picos + excluded.picos`, account, micros)
}

func (m *rechargeModel) bankApproves(t *rapid.T) {
	if m.inFlight == nil {
		return
	}
	m.approve(t, m.flightID, m.inFlight.cents)
	m.cards[m.flightOf].halt, m.cards[m.flightOf].until, m.cards[m.flightOf].tries = "", time.Time{}, 0
	m.inFlight = nil
}

// approve takes a purchase to its credit.
func (m *rechargeModel) approve(t *rapid.T, id string, cents int64) {
	_, err := m.BeginPurchase(t.Context(), id, m.at)
	done(t, err)
	said := approval(id, cents)
	said.At = m.at
	done(t, m.RecordBank(t.Context(), id, said))
	_, err = m.IssueInvoice(t.Context(), id, uuid.NewString(), m.at)
	done(t, err)
	_, err = m.CreditPurchase(t.Context(), id, billing.TierRules(), m.at)
	done(t, err)
	m.micros += cents * 10_000
}

// busyHour: one approval after the other, for as long as there is something to buy.
func (m *rechargeModel) busyHour(t *rapid.T) {
	for range 12 {
		m.bankApproves(t)
		m.loop(t)
		m.compare(t)
	}
}

// poorWeek: one soft decline after the other.
func (m *rechargeModel) poorWeek(t *rapid.T) {
	for range 3 {
		m.bankSays(t, "insufficient_funds")
		m.at = m.at.Add(25 * time.Hour)
		m.loop(t)
		m.compare(t)
	}
}

// stubbornCustomer: the card is entered again after each decline, as it was.
func (m *rechargeModel) stubbornCustomer(t *rapid.T) {
	for range 8 {
		m.bankSays(t, "incorrect_cvc")
		m.sameCardAgain(t)
		m.loop(t)
		m.compare(t)
	}
}

func (m *rechargeModel) bankSaysNo(t *rapid.T) { m.bankSays(t, m.anyCode(t)) }

func (m *rechargeModel) bankSays(t *rapid.T, code string) {
	if m.inFlight == nil {
		return
	}
	m.refuse(t, m.flightID, m.flightOf, code)
	said, card := saidOfCodes[code], m.cards[m.flightOf]
	card.halt, card.until = said.halt, time.Time{}
	if said.halt == "" {
		card.tries++
		if card.halt = "tries_used_up"; card.tries < 3 {
			// It is the loop that notes the decline.
			card.halt, card.until = "retry", m.at.Add(time.Duration(said.pauses[card.tries-1])*time.Hour)
		}
	}
	m.inFlight.moved, m.inFlight = false, nil
	m.told++
	// Noted at the time at which it came, so that the model needs no second clock.
	m.advance(t)
}

// advance has the loop take a step. After one that makes a purchase it only waits.
func (m *rechargeModel) advance(t *rapid.T) {
	_, err := m.AdvanceRecharge(t.Context(), ledger.NewRecharge{AccountID: m.account, PurchaseID: uuid.NewString(), At: m.at})
	done(t, err)
	m.expect()
}

// anyCode is why a purchase ends without money; "" is that no bank said so.
func (m *rechargeModel) anyCode(t *rapid.T) string {
	return rapid.SampledFrom([]string{
		"lost_card", "revocation_of_authorization", "expired_card", "incorrect_cvc", "authentication_required",
		"insufficient_funds", "insufficient_funds", "duplicate_transaction", "do_not_honor", "a_code_of_2031", "",
	}).Draw(t, "code")
}

// refuse ends a purchase without money.
func (m *rechargeModel) refuse(t *rapid.T, id, card, code string) {
	_, err := m.BeginPurchase(t.Context(), id, m.at)
	done(t, err)
	answer := ledger.BankAnswer{State: models.BankDeclined, DeclineCode: code, At: m.at}
	if code == "" {
		answer.State = models.BankExpired
	} else {
		m.cards[card].declines = append(m.cards[card].declines, m.at)
	}
	done(t, m.RecordBank(t.Context(), id, answer))
}

func (m *rechargeModel) timePasses(t *rapid.T) {
	m.at = m.at.Add(rapid.SampledFrom([]time.Duration{
		time.Second, 5 * time.Minute, 30 * time.Minute, time.Hour, 7 * time.Hour, 25 * time.Hour, 73 * time.Hour, 12 * 24 * time.Hour,
	}).Draw(t, "time"))
}

func (m *rechargeModel) buyByHand(t *rapid.T) {
	n := m.newPurchase(m.account, rapid.Int64Range(500, 3000).Draw(t, "cents"))
	n.At = m.at
	_, _, err := m.CreatePurchase(t.Context(), n)
	done(t, err)
	h := byHand{id: n.ID, card: m.card, cents: n.AmountCents, away: rapid.Bool().Draw(t, "away")}
	if h.away {
		_, err := m.BeginPurchase(t.Context(), h.id, m.at)
		done(t, err)
		done(t, m.RecordBank(t.Context(), h.id, ledger.BankAnswer{
			State: models.BankRequiresAction, PaymentIntentID: "pi_" + h.id, AuthorizationURL: "https://bank.example", At: m.at,
		}))
	}
	m.hand = append(m.hand, h)
}

// byHandEnds lets the oldest purchase by hand end. Its card, if it had been declined
// for now, is good again with the bank's yes.
func (m *rechargeModel) byHandEnds(t *rapid.T) {
	if len(m.hand) == 0 {
		return
	}
	h := m.hand[0]
	m.hand = m.hand[1:]
	if rapid.IntRange(0, 3).Draw(t, "no") == 0 {
		m.refuse(t, h.id, h.card, m.anyCode(t))
		m.at = m.at.Add(time.Minute) // nobody tells the loop: the sweep finds it within a minute
		return
	}
	m.approve(t, h.id, h.cents)
	if card := m.cards[h.card]; card.halt == "retry" {
		card.halt, card.until, card.tries = "", time.Time{}, 0
	}
}

func (m *rechargeModel) putCard(t *rapid.T, name string) {
	m.card = name
	if m.cards[name] == nil {
		m.cards[name] = &cardModel{}
	}
	c := card(m.account, "pm_"+uuid.NewString())
	c.Fingerprint = m.account + name
	done(t, m.PutCard(t.Context(), c))
	if m.cards[name].halt == "card_data" {
		m.cards[name].halt, m.cards[name].tries = "", 0
	}
}

func (m *rechargeModel) otherCard(t *rapid.T) {
	m.putCard(t, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "card"))
}

func (m *rechargeModel) sameCardAgain(t *rapid.T) { m.putCard(t, m.card) }

func (m *rechargeModel) otherSettings(t *rapid.T) {
	amount := rapid.SampledFrom([]int64{500, 1000, 2500}).Draw(t, "amount")
	var most int64
	if rapid.Bool().Draw(t, "capped") {
		most = amount + rapid.Int64Range(0, 6000).Draw(t, "cap")
	}
	m.configure(t, rapid.IntRange(0, 5).Draw(t, "off") > 0, amount,
		rapid.Int64Range(0, 15_000).Draw(t, "threshold"), most, rapid.SampledFrom([]int64{0, 0, 15}).Draw(t, "confirmed"))
}

func (m *rechargeModel) configure(t *rapid.T, enabled bool, amount, threshold, most, confirmed int64) {
	m.at = m.at.Add(time.Millisecond) // what was bought before was bought earlier than it is confirmed
	settings := models.RechargeSettings{Enabled: enabled, AmountCents: amount, ThresholdCents: threshold}
	if most > 0 {
		settings.MonthlyCapCents = &most
	}
	done(t, m.ConfigureRecharge(t.Context(), m.account, settings, confirmed, m.at))
	if card := m.cards[m.card]; enabled && (card.halt == "tries_used_up" || card.halt == "authentication_required" && !m.enabled) {
		card.halt, card.until, card.tries = "", time.Time{}, 0
	}
	m.enabled, m.amount, m.threshold, m.cap = enabled, amount, threshold, most
	m.confirmed, m.confirmedAt, m.sinceConfirmed = int(confirmed), m.at, 0
}

func (m *rechargeModel) emergency(t *rapid.T) {
	m.held = !m.held
	done(t, m.HoldRecharges(t.Context(), m.held, models.AuditEntry{
		At: m.at, Actor: "test", Role: models.RoleAdmin, Action: "auto_recharge", Reason: "test",
	}))
}
