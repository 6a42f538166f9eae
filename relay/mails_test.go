package relay_test

import (
	"fmt"
	"log/slog"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/relay"
	"github.com/paystage/paystage/testenv"
	"github.com/paystage/paystage/workflows"
)

// mailed is the text of a mail in the folder, on one line and with its headers.
func (w *world) mailed(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.mails, file))
	done(t, err)
	return strings.NewReplacer("=\r\n", "", "\r\n", " ").Replace(string(text))
}

// says holds a mail against what it must say.
func (w *world) says(t *testing.T, file string, words ...string) {
	t.Helper()
	text := w.mailed(t, file)
	for _, want := range words {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %q:\n%s", file, want, text)
		}
	}
}

// files are the mails in the folder.
func (w *world) files(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(w.mails)
	done(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// R26, R27: every halt of auto-recharge is told by a mail that says what to do.
func TestR27HaltsAreMailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	account := uuid.NewString()
	done(t, w.CreateAccount(t.Context(), models.Account{ID: account, Email: "ada@example.com", Name: "Ada", Territory: "US", CreatedAt: noon}))
	tell := func(halt models.RechargeHalt, code string, until any) {
		_, err := w.db.Exec(t.Context(), `select recharge_tell($1, $2, $3, $4, null, $5)`, account, halt, code, until, noon)
		done(t, err)
	}
	tell(models.HaltCardRefused, "stolen_card", nil)
	tell(models.HaltMonthlyCap, "", noon.Add(time.Hour))
	w.run(t, w.relay(t))
	eventually(t, "mails", func() []string { return w.left(t) }, none)
	for file, want := range map[string][]string{
		"auto-recharge-1.eml": {"Auto-recharge is switched off", "The card was declined. Contact your bank"},
		"auto-recharge-2.eml": {"Auto-recharge is paused", "3 November 2026, 13:00 UTC", "Raise the cap"},
	} {
		w.says(t, file, append(want, "To: <ada@example.com>")...)
		if strings.Contains(w.mailed(t, file), "stolen") {
			t.Errorf("%s says what the bank suspects", file)
		}
	}
}

// A decline and an end because nobody answered are told once, in the transaction that
// records them; what auto-recharge met is told by its halt alone.
func TestR44EndsOfPurchasesAreMailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refused, expired := w.purchase(t, "ada@example.com"), w.purchase(t, "bob@example.com")
	unanswered, automatic := w.purchase(t, "zoe@example.com"), w.purchaseBy(t, models.OriginAutoRecharge, "eve@example.com")
	bank := func(id string, answer ledger.BankAnswer) {
		t.Helper()
		answer.PaymentIntentID, answer.At = "pi_"+id, noon
		done(t, w.RecordBank(t.Context(), id, answer))
	}
	declined := ledger.BankAnswer{State: models.BankDeclined, DeclineCode: "insufficient_funds", DeclineKnown: true}
	for range 2 { // a repeat is no second mail
		bank(refused, declined)
		bank(automatic, declined)
	}
	bank(expired, ledger.BankAnswer{State: models.BankRequiresAction, AuthorizationURL: "https://bank.example"})
	bank(expired, ledger.BankAnswer{State: models.BankExpired})
	bank(unanswered, ledger.BankAnswer{State: models.BankExpired}) // nobody was asked
	w.run(t, w.relay(t))
	eventually(t, "mails", func() []string { return w.left(t) }, none)
	want := []string{"purchase-" + expired + "-expired.eml", "purchase-" + refused + "-declined.eml"}
	slices.Sort(want)
	if got := w.files(t); !slices.Equal(got, want) {
		t.Fatalf("mails %v, want %v", got, want)
	}
	w.says(t, "purchase-"+refused+"-declined.eml", "To: <ada@example.com>", "Nothing was charged", "Add funds, or use another card")
	w.says(t, "purchase-"+expired+"-expired.eml", "To: <bob@example.com>", "not approved with your bank in time")
}

// R12: a tier that has risen is told when every gateway holds it, once, whatever raised
// it; one that falls or that a plan gives is not, and one that is reached again is.
func TestR12TierReachedIsMailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gateways := []string{"g", "h"}
	p, err := w.Purchase(t.Context(), w.purchase(t, "ada@example.com"))
	done(t, err)
	account := p.AccountID
	// move gives the account another tier, and answers the version.
	move := func(tier int) (version int64) {
		t.Helper()
		done(t, w.db.QueryRow(t.Context(), `
			update entitlements set tier = $2, version = version + 1, changed_at = $3 where account_id = $1 returning version`, account, tier, noon).Scan(&version))
		return version
	}
	mails := func() []string {
		t.Helper()
		rows, _ := w.db.Query(t.Context(), `select subject from outbox where kind = 'mail_tier_reached' order by id`)
		subjects, err := pgx.CollectRows(rows, pgx.RowTo[string])
		done(t, err)
		return subjects
	}
	hold := func(gateway string, version int64) {
		t.Helper()
		done(t, w.AcknowledgeEntitlement(t.Context(), account, gateway, version, gateways, noon))
	}
	first := move(1)
	hold("g", first)
	if got := mails(); len(got) != 0 {
		t.Errorf("told before every gateway holds it: %v", got)
	}
	second := move(2) // before h heard of the first
	hold("h", first)
	hold("g", second)
	hold("h", second)
	hold("h", second)
	want := []string{fmt.Sprintf("%s/%d", account, second)}
	if got := mails(); !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
	fallen := move(1)
	hold("g", fallen)
	hold("h", fallen)
	if got := mails(); !slices.Equal(got, want) {
		t.Errorf("a tier that fell: %v", got)
	}
	again := move(2)
	hold("g", again)
	hold("h", again)
	if got := mails(); len(got) != 2 {
		t.Errorf("reached again: %v", got)
	}
	w.run(t, w.relay(t))
	eventually(t, "mails", mails, none)
	files := w.files(t)
	plan := "enterprise"
	audit := models.AuditEntry{AccountID: &account, Actor: "support", Action: "limit", Reason: "agreed", At: noon}
	done(t, w.SetTerms(t.Context(), ledger.Terms{Plan: &plan}, billing.TierRules(), audit))
	w.put(t, ledger.MessageMailTierReached, fmt.Sprintf("%s/%d", account, fallen)) // a version that no mail told
	eventually(t, "mails", mails, none)
	if got := w.files(t); len(got) != len(files) {
		t.Errorf("a plan is told as a tier: %v", got)
	}
	w.says(t, fmt.Sprintf("tier-%s-%d.eml", account, second), "To: <ada@example.com>", "You have reached Build Tier 2", "1,800 requests a minute")
}

// A mail server that is down for an hour loses no mail: each is tried again, and goes
// with the Message-ID that it would have had at once.
func TestMailServerDownForAnHourLosesNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	office := &testenv.PostOffice{}
	office.Open(t)() // an address at which nobody listens
	sender, err := activities.NewMail("", "smtp://"+office.Address, "billing@paystage.example")
	done(t, err)
	const many = 40 // more than are on their way at once
	want := map[string]bool{}
	for i := range many {
		id := w.purchase(t, fmt.Sprintf("customer-%d@example.com", i))
		w.approve(t, id)
		want[fmt.Sprintf("<purchase-%s-approved@paystage> customer-%d@example.com", id, i)] = true
	}
	r := relay.New(w.Ledger, w.temporal, workflows.Queues{}, sender, slog.New(slog.NewTextHandler(w.logged, nil)))
	w.run(t, r)
	failed := func() (n int) {
		done(t, w.db.QueryRow(t.Context(), `select count(*) from outbox where last_error is not null`).Scan(&n))
		return n
	}
	eventually(t, "tried", failed, func(n int) bool { return n == many })
	// An hour of tries later none is given up, and none waits for more than a minute.
	_, err = w.db.Exec(t.Context(), `update outbox set attempts = 70, created_at = created_at - interval '1 hour', due_at = clock_timestamp()`)
	done(t, err)
	soon := func() (n int) {
		done(t, w.db.QueryRow(t.Context(), `
			select count(*) from outbox where attempts > 70 and due_at between clock_timestamp() + interval '31 seconds' and clock_timestamp() + interval '1 minute'`).Scan(&n))
		return n
	}
	eventually(t, "tried again", soon, func(n int) bool { return n == many })
	office.Open(t)
	_, err = w.db.Exec(t.Context(), `update outbox set due_at = clock_timestamp()`)
	done(t, err)
	eventually(t, "outbox", func() []string { return w.left(t) }, none)
	for _, letter := range office.Letters() {
		m, err := mail.ReadMessage(strings.NewReader(letter))
		done(t, err)
		to, err := m.Header.AddressList("To")
		done(t, err)
		got := m.Header.Get("Message-ID") + " " + to[0].Address
		if !want[got] {
			t.Errorf("unknown, or twice: %s", got)
		}
		delete(want, got)
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		done(t, err)
		if subject != "Your payment of $25.00 was approved" {
			t.Errorf("subject %q", subject)
		}
	}
	if len(want) != 0 {
		t.Errorf("lost: %v", want)
	}
}

// R31: an invoice is told of once, when its turn has come.
func TestR31InvoicesAreMailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, err := w.Purchase(t.Context(), w.purchase(t, "ada@example.com"))
	done(t, err)
	rules, month := billing.TierRules(), time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{`update accounts set invoice_email = 'books@example.com' where id = $1`, []any{p.AccountID}},
		{`insert into usage_totals (account_id, invoice_period, period, price_id, resource, events, quantity, picos) values ($1, $2, $2, 1, '', 1, 1, 2503000000000)`,
			[]any{p.AccountID, month}},
		{`select usage_charge('usage', 'test', array[$1::uuid], array[2503000000000], $2, $3, $4)`, []any{p.AccountID, rules.Thresholds, rules.Limits, noon}},
	} {
		_, err := w.db.Exec(t.Context(), step.sql, step.args...)
		done(t, err)
	}
	_, err = w.CloseAccountMonth(t.Context(), p.AccountID, month, billing.LeastChargeCents, rules, noon)
	done(t, err)
	invoices, err := w.Invoices(t.Context(), p.AccountID)
	done(t, err)
	_, err = w.db.Exec(t.Context(), `delete from outbox`)
	done(t, err)
	r := w.relay(t)
	for _, most := range []int{0, 1, 1} { // no room; room; none left
		told, err := w.Ledger.TellOfInvoices(t.Context(), most)
		done(t, err)
		if want := int64(len(w.left(t))); told > want {
			t.Errorf("told of %d", told)
		}
	}
	w.run(t, r)
	eventually(t, "mails", func() []string { return w.left(t) }, none)
	w.says(t, "invoice-"+invoices[0].ID+".eml", "To: <books@example.com>", "Your invoice for October 2026: $2.50 due", invoices[0].Number)
	r.TellOfInvoices(t.Context(), noon)
	if left := w.left(t); len(left) != 0 {
		t.Errorf("told again: %v", left)
	}
}
