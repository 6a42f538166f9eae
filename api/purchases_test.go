package api_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/workflows"
)

var twentyFive = object{"amount_cents": 2500}

// states are the states of a purchase's stages, in their order.
func states(p api.Purchase) string {
	var all []string
	for _, stage := range p.Stages {
		all = append(all, stage.State)
	}
	return strings.Join(all, " ")
}

func TestNewPurchaseIsPendingAndItsWorkflowStarted(t *testing.T) {
	f := open(t)
	account := f.customer()
	p := f.buy(account, 2500)
	if p.AccountID != account || p.AmountCents != 2500 || p.Origin != "checkout" || p.Status != "pending" ||
		p.Slow || p.Overdue || p.Decline != nil || p.AuthorizationURL != nil || p.InvoiceID != nil || len(p.OtherPending) != 0 {
		t.Errorf("the purchase is %+v", p)
	}
	if got := states(p); got != "waiting waiting waiting waiting" {
		t.Errorf("the stages are %s", got)
	}
	f.temporal.AssertCalled(t, "ExecuteWorkflow", mock.Anything,
		mock.MatchedBy(func(o client.StartWorkflowOptions) bool {
			return o.ID == "purchase/"+p.ID && o.TaskQueue == "purchases"
		}),
		mock.Anything, workflows.PurchaseInput{PurchaseID: p.ID})
	if f.starts() != 1 {
		t.Errorf("%d starts", f.starts())
	}
	// The outbox starts it too, should the start not have arrived.
	if kind := scan[string](f, "select kind || ' ' || subject from outbox"); kind != "start_purchase "+p.ID {
		t.Errorf("the outbox holds %s", kind)
	}
}

// R17: each stage is seen with the times it began and ended.
func TestStagesAreSeenAsTheyHappen(t *testing.T) {
	f := open(t)
	p := f.buy(f.customer(), 2500)
	for _, step := range []struct {
		take   func()
		stages string
		status string
	}{
		{func() { f.begin(p.ID) }, "running waiting waiting waiting", "pending"},
		{func() {
			f.bankSays(p.ID, ledger.BankAnswer{State: models.BankProcessing, PaymentIntentID: "pi_" + p.ID})
		}, "running waiting waiting waiting", "pending"},
		{func() {
			f.bankSays(p.ID, ledger.BankAnswer{State: models.BankApproved, PaymentIntentID: "pi_" + p.ID, CapturedCents: 2500})
		}, "done running waiting waiting", "pending"},
		{func() { f.invoice(p.ID) }, "done done running waiting", "pending"},
		{func() { f.credit(p.ID) }, "done done done running", "pending"},
		{func() { f.acknowledge(p.AccountID, gatewayA, 1) }, "done done done running", "pending"},
		{func() { f.acknowledge(p.AccountID, gatewayB, 1); f.settle(p.ID) }, "done done done done", "completed"},
	} {
		step.take()
		now := f.purchase(p.ID)
		if got := states(now); got != step.stages || now.Status != step.status {
			t.Errorf("it is %s %s, want %s %s", now.Status, got, step.status, step.stages)
		}
		var ended time.Time
		for i, stage := range now.Stages {
			if (stage.State == "done") != (stage.EndedAt != nil) || (stage.State == "waiting") != (stage.StartedAt == nil) {
				t.Errorf("%s is %s from %v to %v", stage.Name, stage.State, stage.StartedAt, stage.EndedAt)
			}
			if i > 0 && stage.StartedAt != nil && !stage.StartedAt.Equal(ended) {
				t.Errorf("%s began at %s, the stage before it ended at %s", stage.Name, stage.StartedAt, ended)
			}
			if stage.EndedAt != nil {
				ended = *stage.EndedAt
			}
		}
	}
	end := f.purchase(p.ID)
	var invoice api.Invoice
	f.call(models.RoleFinance, "GET", "/v1/invoices/"+*end.InvoiceID, nil).into(200, &invoice)
	if invoice.TotalMicros != 25_000_000 || invoice.Status != "paid" || *invoice.PurchaseID != p.ID || !strings.HasSuffix(invoice.Number, "-000001") {
		t.Errorf("the invoice is %+v", invoice)
	}
	var list struct{ Invoices []api.Invoice }
	f.call(models.RoleCheckout, "GET", "/v1/accounts/"+p.AccountID+"/invoices", nil).into(200, &list)
	if len(list.Invoices) != 1 || list.Invoices[0].ID != invoice.ID {
		t.Errorf("the list is %+v", list)
	}
}

// R19: the same key is the same purchase for ever: same answer, one charge.
func TestSameKeyIsTheSamePurchase(t *testing.T) {
	f := open(t)
	account := f.customer()
	key := "order 4711 / try 1"
	var first, again, ended api.Purchase
	f.post(account, key, twentyFive).into(202, &first)
	before := f.snapshot()
	f.post(account, key, twentyFive).into(202, &again)
	if again.ID != first.ID || f.starts() != 1 {
		t.Errorf("a repeat made purchase %s besides %s, with %d starts", again.ID, first.ID, f.starts())
	}
	p := f.post(account, key, object{"amount_cents": 2600}).refused(409, "idempotency_mismatch")
	if !strings.Contains(p.Detail, "new key") {
		t.Errorf("it says %s", p.Detail)
	}
	f.unchanged(before)

	f.complete(first)
	f.clock.advance(400 * 24 * time.Hour)
	f.post(account, key, twentyFive).into(201, &ended)
	if ended.ID != first.ID || ended.Status != "completed" || f.starts() != 1 {
		t.Errorf("a year later the key answers %+v", ended)
	}
	// The card may be another by now, or the key another account's: neither matters.
	f.putCard(account, cardBody("pm_card_mastercard")).into(200, &api.Card{})
	f.post(account, key, twentyFive).into(201, &ended)
	f.post(f.customer(), key, object{"amount_cents": 900}).into(202, &again)
	if ended.ID != first.ID || again.ID == first.ID {
		t.Error("keys are not the account's own")
	}
}

// R19: what was accepted under a key stays accepted, whatever the rules have become.
func TestKeyOutlivesALowerMaximum(t *testing.T) {
	f := open(t)
	account := f.customer()
	var first, again api.Purchase
	f.post(account, "k1", twentyFive).into(202, &first)
	f.maxCents = 1000
	f.serve()
	f.post(account, "k1", twentyFive).into(202, &again)
	if again.ID != first.ID {
		t.Errorf("the key answers %s, want %s", again.ID, first.ID)
	}
	before := f.snapshot()
	f.post(account, "k1", object{"amount_cents": 2600}).refused(409, "idempotency_mismatch")
	p := f.post(account, "k2", twentyFive).refused(422, "amount_too_large")
	if !strings.Contains(p.Detail, "$10.00") {
		t.Errorf("it says %s", p.Detail)
	}
	f.unchanged(before)
}

// F25: fifty clicks at once are one purchase, one row and one start.
func TestF25FiftyPostsOfOneKey(t *testing.T) {
	f := open(t)
	account := f.customer()
	ids := make([]string, 50)
	var posts sync.WaitGroup
	for i := range ids {
		posts.Go(func() {
			answer := f.post(account, "double click", twentyFive)
			var p api.Purchase
			if answer.status != 202 {
				t.Errorf("answered %d %s", answer.status, answer.body)
				return
			}
			answer.into(202, &p)
			ids[i] = p.ID
		})
	}
	posts.Wait()
	if unique := slices.Compact(slices.Sorted(slices.Values(ids))); len(unique) != 1 {
		t.Errorf("%d purchases: %v", len(unique), unique)
	}
	if rows, outbox := f.count("purchases"), f.count("outbox"); rows != 1 || outbox != 1 || f.starts() != 1 {
		t.Errorf("%d rows, %d in the outbox, %d starts", rows, outbox, f.starts())
	}
}

// F26: a second purchase while one is pending is accepted, and names the first.
func TestF26SecondPurchaseNamesThePendingOne(t *testing.T) {
	f := open(t)
	account := f.customer()
	first, second := f.buy(account, 2500), f.buy(account, 2500)
	if first.ID == second.ID || !slices.Equal(second.OtherPending, []string{first.ID}) {
		t.Errorf("the second names %v, want %s", second.OtherPending, first.ID)
	}
	if now := f.purchase(first.ID); !slices.Equal(now.OtherPending, []string{second.ID}) {
		t.Errorf("the first names %v, want %s", now.OtherPending, second.ID)
	}
	other := f.buy(f.customer(), 2500)
	if len(other.OtherPending) != 0 {
		t.Errorf("another account's purchases are named: %v", other.OtherPending)
	}
	f.complete(first)
	if now := f.purchase(second.ID); len(now.OtherPending) != 0 {
		t.Errorf("an ended purchase is named as pending: %v", now.OtherPending)
	}
}

// F21: without Temporal the purchase waits in the outbox, and the answer says so.
func TestF21WithoutTemporalThePurchaseWaitsInTheOutbox(t *testing.T) {
	for name, start := range map[string]func(mock.Arguments){
		"refuses": func(mock.Arguments) {},
		"hangs":   func(args mock.Arguments) { <-args.Get(0).(context.Context).Done() },
	} {
		t.Run(name, func(t *testing.T) {
			f := openWith(t, &mocks.Client{})
			f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).
				Run(start).Return(nil, errors.New("connection refused"))
			began := time.Now()
			p := f.buy(f.customer(), 2500)
			if took := time.Since(began); took > 9*time.Second {
				t.Errorf("the answer took %s", took)
			}
			if got := scan[string](f, "select kind || ' ' || subject from outbox"); got != "start_purchase "+p.ID {
				t.Errorf("the outbox holds %s", got)
			}
			if soon := scan[bool](f, "select due_at < clock_timestamp() + interval '5 seconds' from outbox"); !soon {
				t.Error("the outbox does not start it soon")
			}
			if p.Status != "pending" {
				t.Errorf("it is %s", p.Status)
			}
		})
	}
}

// meanwhile posts a purchase that may wait for the bank, moves it on once it is
// there, and gives the answer and how long it took from then on.
func (f *front) meanwhile(account string, move func(id string), headers ...header) (answer, time.Duration) {
	f.t.Helper()
	key := uuid.NewString()
	answers := make(chan answer, 1)
	go func() { answers <- f.post(account, key, twentyFive, headers...) }()
	var id string
	deadline := time.Now().Add(patience)
	for id == "" && time.Now().Before(deadline) {
		id = scan[string](f, "select coalesce(max(id::text), '') from purchases where idempotency_key = $1", key)
	}
	move(id)
	moved := time.Now()
	return <-answers, time.Since(moved)
}

// The checkout waits for the bank's decision as long as it is told to, and answers
// as soon as there is one.
func TestPreferWait(t *testing.T) {
	f := open(t)
	account := f.customer()
	decline := func(id string) {
		f.begin(id)
		f.bankSays(id, ledger.BankAnswer{State: models.BankDeclined, DeclineCode: "insufficient_funds", DeclineKnown: true})
	}
	ask := func(id string) {
		f.begin(id)
		f.bankSays(id, ledger.BankAnswer{State: models.BankRequiresAction, PaymentIntentID: "pi_" + id, AuthorizationURL: "https://bank.example/" + id})
	}
	complete := func(id string) { f.complete(f.purchase(id)) }
	approve := func(id string) { f.approve(id, 2500) }
	for _, c := range []struct {
		name, prefer string
		move         func(id string)
		status       int
		want         string
		within       time.Duration
	}{
		{"declined", "wait=20", decline, 201, "declined", 15 * time.Second},
		{"declined, by default", "", decline, 201, "declined", 9 * time.Second},
		{"completed", "wait=20", complete, 201, "completed", 15 * time.Second},
		{"asked", `wait="20"`, ask, 202, "pending", 15 * time.Second},
		{"approved and then stuck", "wait=50", approve, 202, "pending", 40 * time.Second},
		{"nothing happens", "respond-async, Wait=1", func(string) {}, 202, "pending", 9 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.t = t
			answer, took := f.meanwhile(account, c.move, header{"Prefer", c.prefer})
			var p api.Purchase
			answer.into(c.status, &p)
			if p.Status != c.want || took > c.within {
				t.Errorf("answered %s after %s", p.Status, took)
			}
		})
	}
}

// Several Prefer headers are one list (RFC 7240); the first wish to wait counts.
func TestPreferOfSeveralHeaders(t *testing.T) {
	f := open(t)
	account := f.customer()
	for _, prefers := range [][]string{{"respond-async", "wait=0"}, {"wait=0", "wait=30"}, {"handling=lenient, x", "", "Wait=0"}} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", f.url+"/v1/accounts/"+account+"/purchases", strings.NewReader(`{"amount_cents": 2500}`))
		done(t, err)
		req.Header.Set("Authorization", "Bearer "+f.keys[models.RoleCheckout])
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", uuid.NewString())
		for _, prefer := range prefers {
			req.Header.Add("Prefer", prefer)
		}
		began := time.Now()
		res, err := http.DefaultClient.Do(req)
		done(t, err)
		res.Body.Close()
		if took := time.Since(began); res.StatusCode != 202 || took > 9*time.Second {
			t.Errorf("%q: answered %d after %s", prefers, res.StatusCode, took)
		}
	}
}

// Declines show the code and the sentence of the table, and never what the bank or
// we suspect of the card (R44).
func TestDeclinesAreShownByTheTable(t *testing.T) {
	f := open(t)
	account := f.customer()
	codes := []string{"insufficient_funds", "lost_card", "stolen_card", "pickup_card", "fraudulent", "merchant_blacklist", "some_new_code", "no_reason_given"}
	shown := map[string]api.Decline{}
	for _, code := range codes {
		p := f.buy(account, 2500)
		f.begin(p.ID)
		f.bankSays(p.ID, ledger.BankAnswer{State: models.BankDeclined, DeclineCode: code, DeclineKnown: billing.DeclineFor(code).Known})
		answer := f.call(models.RoleCheckout, "GET", "/v1/purchases/"+p.ID, nil)
		for _, word := range []string{"lost", "stolen", "pickup", "fraud", "blacklist", "some_new_code"} {
			if strings.Contains(strings.ToLower(string(answer.body)), word) {
				t.Errorf("%s says %q to the customer: %s", code, word, answer.body)
			}
		}
		var now api.Purchase
		answer.into(200, &now)
		if now.Status != "declined" || now.Decline == nil || states(now) != "failed waiting waiting waiting" {
			t.Fatalf("%s: it is %+v", code, now)
		}
		shown[code] = *now.Decline
	}
	if want := (api.Decline{Code: "insufficient_funds", Message: billing.MessageInsufficientFunds}); shown["insufficient_funds"] != want {
		t.Errorf("it says %+v", shown["insufficient_funds"])
	}
	for _, code := range codes[1:] {
		if want := (api.Decline{Code: "card_declined", Message: billing.MessageDeclined}); shown[code] != want {
			t.Errorf("%s says %+v", code, shown[code])
		}
	}
}

// The link to the bank is shown while the customer is asked, and not after.
func TestAuthorizationLinkIsShownOnlyWhileAsked(t *testing.T) {
	f := open(t)
	p := f.buy(f.customer(), 2500)
	f.begin(p.ID)
	f.bankSays(p.ID, ledger.BankAnswer{State: models.BankRequiresAction, PaymentIntentID: "pi_1", AuthorizationURL: "https://bank.example/3ds"})
	if now := f.purchase(p.ID); now.AuthorizationURL == nil || *now.AuthorizationURL != "https://bank.example/3ds" {
		t.Errorf("the link is %v", now.AuthorizationURL)
	}
	f.bankSays(p.ID, ledger.BankAnswer{State: models.BankProcessing, PaymentIntentID: "pi_1"})
	if now := f.purchase(p.ID); now.AuthorizationURL != nil {
		t.Errorf("the link is still shown: %s", *now.AuthorizationURL)
	}
}

// R18: past 60 seconds it says that it is slow, past 15 minutes from the approval
// that it is overdue; an ended purchase is neither.
func TestSlowAndOverdue(t *testing.T) {
	f := open(t)
	p := f.buy(f.customer(), 2500)
	want := func(slow, overdue bool) {
		t.Helper()
		now := f.purchase(p.ID)
		if now.Slow != slow || now.Overdue != overdue {
			t.Errorf("slow %v, overdue %v; want %v, %v", now.Slow, now.Overdue, slow, overdue)
		}
	}
	f.clock.advance(50 * time.Second)
	want(false, false)
	f.clock.advance(10 * time.Second)
	want(true, false)
	f.clock.advance(time.Hour)
	want(true, false) // the bank takes as long as it takes
	f.credited(p.ID, 2500)
	want(true, false)
	f.clock.advance(billing.OverdueAfter)
	want(true, true)
	f.acknowledge(p.AccountID, gatewayA, 1)
	f.acknowledge(p.AccountID, gatewayB, 1)
	f.settle(p.ID)
	want(false, false)
}
