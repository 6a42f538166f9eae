package sim_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/stripesim/sim"
)

// since gives the types of the events after the first n.
func (d *double) since(t *testing.T, n int) []string {
	t.Helper()
	return d.eventTypes(t)[n:]
}

func TestPaymentUnderAMandate(t *testing.T) {
	tests := []struct {
		name, card string
		cents      int64
		asks       bool // the customer has to approve
		approves   bool
		then       stripe.PaymentIntentStatus
		code       string
	}{
		{"Works", indianCard, 2500, false, false, "succeeded", ""},
		{"AboveTheMandateApproved", indianCard, 10001, true, true, "succeeded", ""},
		{"AboveTheMandateNotApproved", indianCard, 10001, true, false, "requires_payment_method", "transaction_not_approved"},
		{"Paused", indianPausingCard, 2500, false, false, "requires_payment_method", "transaction_not_approved"},
		{"NoNotice", indianNoNotice, 2500, false, false, "requires_payment_method", "processing_error"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := startJudged(t, sim.Options{})
			w := world{t: t, api: d.api, double: d}
			mandate := activeMandate(test.card)(w)
			began := d.Now()
			pi, err := payUnder(w, mandate, test.cents)
			if err != nil || pi.Status != "processing" {
				t.Fatalf("got %+v, %v", pi, err)
			}
			notice := pi.Processing.Card.CustomerNotification
			if wait := time.Unix(notice.CompletesAt, 0).Sub(began); notice.ApprovalRequested != test.asks || wait < 25*time.Hour || wait > 27*time.Hour {
				t.Errorf("notice %+v after %s", notice, wait)
			}
			if test.approves {
				mustDo(t, d.Approve(pi.ID))
			}
			mustDo(t, d.Advance(24*time.Hour))
			if got := d.intent(t, pi.ID).Status; got != "processing" {
				t.Fatalf("%s after a day, before the notice is over", got)
			}
			mustDo(t, d.Advance(3*time.Hour))
			pi = d.intent(t, pi.ID)
			if pi.Status != test.then || pi.Processing != nil {
				t.Errorf("%s with %+v", pi.Status, pi.Processing)
			}
			if test.code != "" && string(pi.LastPaymentError.DeclineCode) != test.code {
				t.Errorf("last error %+v", pi.LastPaymentError)
			}
			if test.code == "" && pi.LatestCharge.PaymentMethodDetails.Card.Mandate != mandate {
				t.Errorf("the charge names mandate %q", pi.LatestCharge.PaymentMethodDetails.Card.Mandate)
			}
		})
	}
}

func TestIndianCardWithoutAMandate(t *testing.T) {
	d := startJudged(t, sim.Options{})
	_, err := d.api.PaymentIntents.New(offSession(d.customerWith(t, "pm_card_in")))
	wantError(t, err, 402, stripe.ErrorTypeCard, "authentication_required")
	d.mustPay(t, charge(d.customerWith(t, "pm_card_in")), "succeeded")
}

func TestMandateByAPayment(t *testing.T) {
	d := startJudged(t, sim.Options{})
	cus, err := d.api.Customers.New(nil)
	mustDo(t, err)
	pm, err := d.api.PaymentMethods.New(numbered(indianCard))
	mustDo(t, err)
	p := charge(cus.ID, pm.ID)
	p.SetupFutureUsage = stripe.String("off_session")
	p.PaymentMethodOptions = &stripe.PaymentIntentPaymentMethodOptionsParams{Card: &stripe.PaymentIntentPaymentMethodOptionsCardParams{
		MandateOptions: &stripe.PaymentIntentPaymentMethodOptionsCardMandateOptionsParams{
			Amount: stripe.Int64(10000), AmountType: stripe.String("maximum"), Interval: stripe.String("sporadic"),
			Reference: stripe.String("account 7"), StartDate: stripe.Int64(1), SupportedTypes: stripe.StringSlice([]string{"india"}),
		}}}
	pi := d.mustPay(t, p, "requires_action")
	mustDo(t, d.Approve(pi.ID))
	mandate := d.intent(t, pi.ID).LatestCharge.PaymentMethodDetails.Card.Mandate
	if !strings.HasPrefix(mandate, "mandate_") {
		t.Fatalf("the charge names mandate %q", mandate)
	}
	mustDo(t, d.Advance(time.Minute))
	later, err := payUnder(world{t: t, api: d.api, double: d}, mandate, 2500)
	if err != nil || later.Status != "processing" {
		t.Errorf("got %+v, %v", later, err)
	}
}

func TestCardHasToBeSetUpForOffSession(t *testing.T) {
	d := startJudged(t, sim.Options{})
	customer, method := d.customerWith(t, "pm_card_authenticationRequiredOnSetup")
	_, err := d.api.PaymentIntents.New(offSession(customer, method))
	wantError(t, err, 402, stripe.ErrorTypeCard, "authentication_required")
	p := saveCard(customer)
	p.PaymentMethod, p.Confirm, p.ReturnURL = &method, stripe.Bool(true), stripe.String(returnURL)
	si, err := d.api.SetupIntents.New(p)
	if err != nil || si.Status != "requires_action" {
		t.Fatalf("got %+v, %v", si, err)
	}
	mustDo(t, d.Approve(si.ID))
	d.mustPay(t, offSession(customer, method), "succeeded")
	d.mustPay(t, charge(customer, method), "requires_action")
}

func TestPaymentSetsTheCardUp(t *testing.T) {
	d := startJudged(t, sim.Options{})
	cus, err := d.api.Customers.New(nil)
	mustDo(t, err)
	p := charge(cus.ID, "pm_card_authenticationRequiredOnSetup")
	p.SetupFutureUsage = stripe.String("off_session")
	pi := d.mustPay(t, p, "requires_action")
	mustDo(t, d.Approve(pi.ID))
	pi = d.intent(t, pi.ID)
	if pi.PaymentMethod == nil || pi.SetupFutureUsage != "off_session" {
		t.Fatalf("got %+v", pi)
	}
	d.mustPay(t, offSession(cus.ID, pi.PaymentMethod.ID), "succeeded")
}

func TestSetupIntentSavesTheCard(t *testing.T) {
	d := startJudged(t, sim.Options{})
	cus, err := d.api.Customers.New(nil)
	mustDo(t, err)
	p := saveCard(cus.ID)
	p.PaymentMethod, p.Confirm, p.ReturnURL = stripe.String(askingCard), stripe.Bool(true), stripe.String(returnURL)
	si, err := d.api.SetupIntents.New(p)
	mustDo(t, err)
	page := si.NextAction.RedirectToURL.URL
	if status, body, _ := browser(t, "GET", page, nil); status != 200 || !strings.Contains(body, "Save this card?") || !strings.Contains(body, "$0.00") {
		t.Errorf("page: %d %s", status, body)
	}
	status, _, location := browser(t, "POST", page, url.Values{"decision": {"approve"}})
	if status != 303 || !strings.Contains(location, "setup_intent="+si.ID) || !strings.Contains(location, "redirect_status=succeeded") {
		t.Errorf("redirect: %d %s", status, location)
	}
	want := []string{"customer.created", "setup_intent.created", "setup_intent.requires_action", "payment_method.attached", "setup_intent.succeeded"}
	if got := d.eventTypes(t); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	var saved []string
	for all := d.api.PaymentMethods.List(&stripe.PaymentMethodListParams{Customer: &cus.ID}); all.Next(); {
		saved = append(saved, all.PaymentMethod().ID)
	}
	if len(saved) != 1 || saved[0] == askingCard {
		t.Errorf("saved %v", saved)
	}
	if _, err := d.api.Customers.Update(cus.ID, &stripe.CustomerParams{InvoiceSettings: &stripe.CustomerInvoiceSettingsParams{DefaultPaymentMethod: &saved[0]}}); err != nil {
		t.Error(err)
	}
}

func TestDisputeMovesMoney(t *testing.T) {
	d := startJudged(t, sim.Options{})
	pi := d.mustPay(t, charge(d.customerWith(t, "pm_card_createDispute")), "succeeded")
	before := len(d.eventTypes(t))
	mustDo(t, d.Advance(time.Minute))
	id := disputeOf(world{t: t, api: d.api, double: d}, pi.ID)
	if got := d.since(t, before); !slices.Equal(got, []string{"charge.dispute.created", "charge.dispute.funds_withdrawn"}) {
		t.Errorf("events %v", got)
	}
	dp, err := d.api.Disputes.Get(id, nil)
	mustDo(t, err)
	if dp.Amount != 2500 || len(dp.BalanceTransactions) != 1 || dp.BalanceTransactions[0].Net != -4000 || !d.intent(t, pi.ID).LatestCharge.Disputed {
		t.Errorf("got %+v", dp)
	}
	mustDo(t, d.CloseDispute(id, true))
	if got := d.since(t, before+2); !slices.Equal(got, []string{"charge.dispute.closed", "charge.dispute.funds_reinstated"}) {
		t.Errorf("events %v", got)
	}
	dp, err = d.api.Disputes.Get(id, nil)
	mustDo(t, err)
	if len(dp.BalanceTransactions) != 2 || dp.BalanceTransactions[1].Net != 4000 {
		t.Errorf("got %+v", dp.BalanceTransactions)
	}
	if d.CloseDispute(id, false) == nil {
		t.Error("a won dispute was lost")
	}
}

func TestInquiryMovesNoMoney(t *testing.T) {
	d := startJudged(t, sim.Options{})
	pi := d.mustPay(t, charge(d.customerWith(t, "pm_card_visa")), "succeeded")
	before := len(d.eventTypes(t))
	id, err := d.Dispute(pi.ID, "unrecognized", true)
	mustDo(t, err)
	dp, err := d.api.Disputes.Get(id, nil)
	mustDo(t, err)
	if dp.Status != "warning_needs_response" || len(dp.BalanceTransactions) != 0 || !dp.IsChargeRefundable || dp.Reason != "unrecognized" {
		t.Errorf("got %+v", dp)
	}
	if _, err := d.Dispute(pi.ID, "", false); err == nil {
		t.Error("a disputed charge was disputed again")
	}
	mustDo(t, d.CloseDispute(id, false))
	if got := d.since(t, before); !slices.Equal(got, []string{"charge.dispute.created", "charge.dispute.closed"}) {
		t.Errorf("events %v", got)
	}
}

func TestRefundsAddUpOnTheCharge(t *testing.T) {
	d := startJudged(t, sim.Options{})
	pi := d.mustPay(t, charge(d.customerWith(t, "pm_card_refundFail")), "succeeded")
	charged := func() *stripe.Charge { return d.intent(t, pi.ID).LatestCharge }
	refund := func(cents int64) error {
		_, err := d.api.Refunds.New(&stripe.RefundParams{PaymentIntent: &pi.ID, Amount: &cents, Reason: stripe.String("requested_by_customer")})
		return err
	}
	mustDo(t, refund(1000))
	if ch := charged(); ch.AmountRefunded != 1000 || ch.Refunded {
		t.Errorf("got %d, %t", ch.AmountRefunded, ch.Refunded)
	}
	mustDo(t, refund(1500))
	if ch := charged(); ch.AmountRefunded != 2500 || !ch.Refunded {
		t.Errorf("got %d, %t", ch.AmountRefunded, ch.Refunded)
	}
	before := len(d.eventTypes(t))
	mustDo(t, d.Advance(time.Minute))
	if ch := charged(); ch.AmountRefunded != 0 || ch.Refunded {
		t.Errorf("after both failed: %d, %t", ch.AmountRefunded, ch.Refunded)
	}
	failed := []string{"charge.refund.updated", "refund.updated", "refund.failed"}
	if got := d.since(t, before); !slices.Equal(got, append(failed, failed...)) {
		t.Errorf("events %v", got)
	}
}

func TestSecurityCodeChecks(t *testing.T) {
	d := startJudged(t, sim.Options{})
	for card, want := range map[string]stripe.PaymentMethodCardChecksCVCCheck{
		"pm_card_visa": "pass", "pm_card_cvcCheckFail": "fail", "pm_sim_cvc_unavailable": "unavailable",
	} {
		_, method := d.customerWith(t, card)
		pm, err := d.api.PaymentMethods.Get(method, nil)
		if err != nil || pm.Card.Checks.CVCCheck != want {
			t.Errorf("%s: %+v, %v", card, pm.Card.Checks, err)
		}
	}
}

// What falls due while time is moved happens in its order and at its own moment,
// and what follows from it does too.
func TestTimePassesInOrder(t *testing.T) {
	d := startJudged(t, sim.Options{ProcessingTime: time.Hour})
	w := world{t: t, api: d.api, double: d}
	mandate := mandateOf(indianRevoking)(w)
	slow := d.mustPay(t, offSession(d.customerWith(t, "pm_sim_processing")), "processing")
	began := d.Now().Unix()
	mustDo(t, d.Advance(2*time.Second))
	if _, err := payUnder(w, mandate, 2500); err != nil {
		t.Fatal(err)
	}
	d.mustPay(t, charge(d.customerWith(t, "pm_card_createDispute")), "succeeded")
	before := len(d.eventTypes(t))
	mustDo(t, d.Advance(30*24*time.Hour))
	var kinds []string
	var hours []int64
	for all := d.api.Events.List(nil); all.Next(); {
		kinds, hours = append(kinds, string(all.Event().Type)), append(hours, (all.Event().Created-began)/3600)
	}
	slices.Reverse(kinds)
	slices.Reverse(hours)
	want := []string{"charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.succeeded", "payment_intent.succeeded",
		"mandate.updated", "charge.failed", "payment_intent.payment_failed", "charge.dispute.closed"}
	if !slices.Equal(kinds[before:], want) {
		t.Errorf("events %v, want %v", kinds[before:], want)
	}
	if got := hours[before:]; !slices.Equal(got, []int64{0, 0, 1, 1, 26, 26, 26, 9 * 24}) {
		t.Errorf("after hours %v", got)
	}
	if got := d.intent(t, slow.ID).Status; got != "succeeded" {
		t.Errorf("status %s", got)
	}
}

func TestEverythingSurvivesARestart(t *testing.T) {
	state := t.TempDir() + "/journal"
	first := startJudged(t, sim.Options{StateFile: state})
	w := world{t: t, api: first.api, double: first}
	mandate := mandateOf(indianCard)(w)
	pending := refundOf("pm_card_pendingRefund", 0)(w)
	paid := first.mustPay(t, charge(first.customerWith(t, "pm_card_createDispute")), "succeeded")
	p := saveCard(w.customer())
	p.PaymentMethod, p.Confirm, p.ReturnURL = stripe.String(askingCard), stripe.Bool(true), stripe.String(returnURL)
	asked, err := first.api.SetupIntents.New(p)
	mustDo(t, err)
	mustDo(t, first.Close())

	second := startJudged(t, sim.Options{StateFile: state})
	w = world{t: t, api: second.api, double: second}
	mustDo(t, second.Advance(time.Minute))
	if got := mandates.status(w, mandate); got != "active" {
		t.Errorf("mandate %s", got)
	}
	if got := refundStatus(w, pending); got != "succeeded" {
		t.Errorf("refund %s", got)
	}
	if got := disputeStatus(w, disputeOf(w, paid.ID)); got != "needs_response" {
		t.Errorf("dispute %s", got)
	}
	mustDo(t, second.Approve(asked.ID))
}
