package sim_test

import (
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/stripesim/sim"
)

// Cards of India. Stripe has no ids for them and takes numbers only from whom it
// trusts with them, so their rows are the double's alone.
const (
	indianCard        = "4000003560000123"
	indianPausingCard = "4000003560000297"
	indianNoNotice    = "4000003560000248"
	indianRevoking    = "4000003560000263"
)

// mandateOf has the customer agree to payments up to $100.00 each.
func mandateOf(card string) func(w world) string {
	return func(w world) string {
		w.ask(func(*sim.Server) error { return nil })
		pm, err := w.api.PaymentMethods.New(numbered(card))
		w.must(err)
		p := saveCard(w.customer())
		p.PaymentMethod, p.Confirm, p.ReturnURL = &pm.ID, stripe.Bool(true), stripe.String(returnURL)
		p.PaymentMethodOptions = &stripe.SetupIntentPaymentMethodOptionsParams{Card: &stripe.SetupIntentPaymentMethodOptionsCardParams{
			MandateOptions: &stripe.SetupIntentPaymentMethodOptionsCardMandateOptionsParams{
				Amount: stripe.Int64(10000), AmountType: stripe.String("maximum"), Currency: stripe.String("usd"),
				Interval: stripe.String("sporadic"), Reference: stripe.String("account 7"), StartDate: stripe.Int64(time.Now().Unix()),
				SupportedTypes: stripe.StringSlice([]string{"india"}),
			},
		}}
		si, err := w.api.SetupIntents.New(p)
		w.must(err)
		w.must(approveAs(true)(w, si.ID))
		si, err = w.api.SetupIntents.Get(si.ID, nil)
		w.must(err)
		return si.Mandate.ID
	}
}

func activeMandate(card string) func(w world) string {
	return func(w world) string {
		id := mandateOf(card)(w)
		w.await(time.Minute, nil)
		return id
	}
}

// payUnder makes an off-session payment under the mandate.
func payUnder(w world, mandate string, cents int64) (*stripe.PaymentIntent, error) {
	p := &stripe.MandateParams{}
	p.AddExpand("payment_method")
	agreed, err := w.api.Mandates.Get(mandate, p)
	w.must(err)
	charge := offSession(agreed.PaymentMethod.Customer.ID, agreed.PaymentMethod.ID)
	charge.Amount, charge.Mandate = &cents, &mandate
	return w.api.PaymentIntents.New(charge)
}

func payOffSession(w world, id string) error {
	_, err := payUnder(w, id, 2500)
	return err
}

func revoke(w world, id string) {
	w.ask(func(s *sim.Server) error { return s.RevokeMandate(id) })
}

var mandates = machine{
	status: func(w world, id string) string {
		m, err := w.api.Mandates.Get(id, nil)
		w.must(err)
		return string(m.Status)
	},
	states: map[string]func(w world) string{
		"pending": mandateOf(indianCard),
		"active":  activeMandate(indianCard),
		"inactive": func(w world) string {
			id := activeMandate(indianCard)(w)
			revoke(w, id)
			return id
		},
		"that is canceled at the notice": activeMandate(indianRevoking),
	},
	calls: map[string]func(w world, id string) error{
		"time passes":             func(w world, _ string) error { w.await(time.Minute, nil); return nil },
		"pay off-session":         payOffSession,
		"the customer cancels it": func(w world, id string) error { revoke(w, id); return nil },
		"pay off-session, a day passes": func(w world, id string) error {
			err := payOffSession(w, id)
			w.await(27*time.Hour, nil)
			return err
		},
	},
}
