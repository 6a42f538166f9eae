package sim_test

import (
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/stripesim/sim"
)

// machine is how the objects of one kind are brought into a state, what can be
// called on them, and how they stand.
type machine struct {
	states map[string]func(w world) (id string)
	calls  map[string]func(w world, id string) error
	status func(w world, id string) string
}

var machines = map[string]machine{
	"payment_intent": paymentIntents, "setup_intent": setupIntents, "refund": refunds,
	"dispute": disputes, "payment_method": paymentMethods, "mandate": mandates,
}

const (
	goodCard     = "pm_card_visa"
	askingCard   = "pm_card_authenticationRequired"
	decliningCar = "pm_card_chargeCustomerFail"
)

// bare is a payment of a customer without a card, limited to cards.
func bare(w world, customer string) *stripe.PaymentIntentParams {
	return &stripe.PaymentIntentParams{
		Amount: stripe.Int64(2500), Currency: stripe.String("usd"), Customer: &customer,
		PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
	}
}

// made gives the id of the payment, which a decline leaves behind all the same.
func made(w world, p *stripe.PaymentIntentParams) string {
	w.t.Helper()
	pi, err := w.api.PaymentIntents.New(p)
	if err != nil {
		return stripeError(w.t, err).PaymentIntent.ID
	}
	return pi.ID
}

// confirmWith confirms with a card of the payment's customer.
func confirmWith(card string, change func(*stripe.PaymentIntentConfirmParams)) func(w world, id string) error {
	return func(w world, id string) error {
		pi, err := w.api.PaymentIntents.Get(id, nil)
		w.must(err)
		pm, err := w.api.PaymentMethods.Attach(card, &stripe.PaymentMethodAttachParams{Customer: stripe.String(pi.Customer.ID)})
		w.must(err)
		p := &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String(pm.ID)}
		if change != nil {
			change(p)
		}
		_, err = w.api.PaymentIntents.Confirm(id, p)
		return err
	}
}

func updateIntent(p *stripe.PaymentIntentParams) func(w world, id string) error {
	return func(w world, id string) error {
		_, err := w.api.PaymentIntents.Update(id, p)
		return err
	}
}

func refundIntent(w world, id string) error {
	_, err := w.api.Refunds.New(&stripe.RefundParams{PaymentIntent: &id})
	return err
}

func approveAs(approved bool) func(w world, id string) error {
	return func(w world, id string) error {
		w.ask(func(s *sim.Server) error {
			if approved {
				return s.Approve(id)
			}
			return s.Refuse(id)
		})
		return nil
	}
}

var paymentIntents = machine{
	status: func(w world, id string) string {
		pi, err := w.api.PaymentIntents.Get(id, nil)
		w.must(err)
		return string(pi.Status)
	},
	states: map[string]func(w world) string{
		"requires_payment_method": func(w world) string { return made(w, bare(w, w.customer())) },
		"requires_confirmation": func(w world) string {
			customer, method := w.saved(goodCard)
			p := bare(w, customer)
			p.PaymentMethod = &method
			return made(w, p)
		},
		"declined":                func(w world) string { return made(w, charge(w.saved(decliningCar))) },
		"authentication_required": func(w world) string { return made(w, offSession(w.saved(askingCard))) },
		"requires_action":         func(w world) string { return made(w, charge(w.saved(askingCard))) },
		"approved, without funds": func(w world) string {
			return made(w, charge(w.saved("pm_card_authenticationRequiredChargeDeclinedInsufficientFunds")))
		},
		"processing": func(w world) string {
			w.ask(func(*sim.Server) error { return nil })
			return made(w, offSession(w.saved("pm_sim_processing")))
		},
		"succeeded": func(w world) string { return made(w, charge(w.saved(goodCard))) },
		"canceled": func(w world) string {
			id := made(w, bare(w, w.customer()))
			_, err := w.api.PaymentIntents.Cancel(id, nil)
			w.must(err)
			return id
		},
	},
	calls: map[string]func(w world, id string) error{
		"confirm with a good card":          confirmWith(goodCard, nil),
		"confirm with a debit card":         confirmWith("pm_card_visa_debit", nil),
		"confirm with a card that declines": confirmWith(decliningCar, nil),
		"confirm where the bank asks":       confirmWith(askingCard, nil),
		"confirm off-session where the bank asks": confirmWith(askingCard, func(p *stripe.PaymentIntentConfirmParams) {
			p.OffSession = stripe.Bool(true)
		}),
		"confirm where the bank asks, or fail": confirmWith(askingCard, func(p *stripe.PaymentIntentConfirmParams) {
			p.ErrorOnRequiresAction = stripe.Bool(true)
		}),
		"confirm as it is": func(w world, id string) error {
			_, err := w.api.PaymentIntents.Confirm(id, nil)
			return err
		},
		"confirm on-session with the same card": func(w world, id string) error {
			pi, err := w.api.PaymentIntents.Get(id, nil)
			w.must(err)
			same := pi.LastPaymentError.PaymentMethod.ID
			_, err = w.api.PaymentIntents.Confirm(id, &stripe.PaymentIntentConfirmParams{PaymentMethod: &same, ReturnURL: stripe.String(returnURL)})
			return err
		},
		"cancel": func(w world, id string) error {
			_, err := w.api.PaymentIntents.Cancel(id, nil)
			return err
		},
		"update the amount":   updateIntent(&stripe.PaymentIntentParams{Amount: stripe.Int64(3000)}),
		"update the metadata": updateIntent(&stripe.PaymentIntentParams{Metadata: map[string]string{"note": "paid"}}),
		"update the method": func(w world, id string) error {
			pi, err := w.api.PaymentIntents.Get(id, nil)
			w.must(err)
			pm, err := w.api.PaymentMethods.Attach(goodCard, &stripe.PaymentMethodAttachParams{Customer: stripe.String(pi.Customer.ID)})
			w.must(err)
			_, err = w.api.PaymentIntents.Update(id, &stripe.PaymentIntentParams{PaymentMethod: &pm.ID})
			return err
		},
		"refund":                refundIntent,
		"the customer approves": approveAs(true),
		"the customer refuses":  approveAs(false),
		"the bank pays": func(w world, id string) error {
			w.ask(func(s *sim.Server) error { return s.Settle(id) })
			return nil
		},
		"the bank declines": func(w world, id string) error {
			w.ask(func(s *sim.Server) error { return s.Fail(id, "do_not_honor") })
			return nil
		},
	},
}

// saveCard are the parameters of a SetupIntent for the customer.
func saveCard(customer string) *stripe.SetupIntentParams {
	return &stripe.SetupIntentParams{
		Customer: &customer, Usage: stripe.String("off_session"), PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
	}
}

func confirmSetupWith(card string) func(w world, id string) error {
	return func(w world, id string) error {
		_, err := w.api.SetupIntents.Confirm(id, &stripe.SetupIntentConfirmParams{PaymentMethod: &card})
		return err
	}
}

// setUp gives a SetupIntent confirmed with the card, or only made with it.
func setUp(card string, confirm bool) func(w world) string {
	return func(w world) string {
		p := saveCard(w.customer())
		p.PaymentMethod = &card
		if confirm {
			p.Confirm, p.ReturnURL = stripe.Bool(true), stripe.String(returnURL)
		}
		si, err := w.api.SetupIntents.New(p)
		w.must(err)
		return si.ID
	}
}

var setupIntents = machine{
	status: func(w world, id string) string {
		si, err := w.api.SetupIntents.Get(id, nil)
		w.must(err)
		return string(si.Status)
	},
	states: map[string]func(w world) string{
		"requires_payment_method": func(w world) string {
			si, err := w.api.SetupIntents.New(saveCard(w.customer()))
			w.must(err)
			return si.ID
		},
		"requires_confirmation": setUp(goodCard, false),
		"requires_action":       setUp(askingCard, true),
		"succeeded":             setUp(goodCard, true),
		"canceled": func(w world) string {
			id := setUp(goodCard, false)(w)
			_, err := w.api.SetupIntents.Cancel(id, nil)
			w.must(err)
			return id
		},
	},
	calls: map[string]func(w world, id string) error{
		"confirm with a good card":                         confirmSetupWith(goodCard),
		"confirm with a card that declines":                confirmSetupWith("pm_card_chargeDeclined"),
		"confirm with a card that saves and then declines": confirmSetupWith(decliningCar),
		"confirm where the bank asks":                      confirmSetupWith(askingCard),
		"confirm where the bank asks on setup":             confirmSetupWith("pm_card_authenticationRequiredOnSetup"),
		"confirm with a card already set up":               confirmSetupWith("pm_card_authenticationRequiredSetupForOffSession"),
		"confirm as it is": func(w world, id string) error {
			_, err := w.api.SetupIntents.Confirm(id, nil)
			return err
		},
		"cancel": func(w world, id string) error {
			_, err := w.api.SetupIntents.Cancel(id, nil)
			return err
		},
		"the customer approves": approveAs(true),
		"the customer refuses":  approveAs(false),
	},
}

// refundOf gives a refund of part of a payment with the card, or of all of it.
func refundOf(card string, cents int64) func(w world) string {
	return func(w world) string {
		p := &stripe.RefundParams{PaymentIntent: &w.paid(card).ID}
		if cents > 0 {
			p.Amount = &cents
		}
		re, err := w.api.Refunds.New(p)
		w.must(err)
		return re.ID
	}
}

// refundAgain refunds more of the payment that the refund belongs to.
func refundAgain(cents int64) func(w world, id string) error {
	return func(w world, id string) error {
		re, err := w.api.Refunds.Get(id, nil)
		w.must(err)
		p := &stripe.RefundParams{PaymentIntent: &re.PaymentIntent.ID}
		if cents > 0 {
			p.Amount = &cents
		}
		_, err = w.api.Refunds.New(p)
		return err
	}
}

func refundStatus(w world, id string) string {
	re, err := w.api.Refunds.Get(id, nil)
	w.must(err)
	return string(re.Status)
}

var refunds = machine{
	status: refundStatus,
	states: map[string]func(w world) string{
		"succeeded":        refundOf(goodCard, 1000),
		"of everything":    refundOf(goodCard, 0),
		"pending":          refundOf("pm_card_pendingRefund", 0),
		"that fails later": refundOf("pm_card_refundFail", 0),
	},
	calls: map[string]func(w world, id string) error{
		"refund the rest":           refundAgain(0),
		"refund more than the rest": refundAgain(1501),
		"cancel": func(w world, id string) error {
			_, err := w.api.Refunds.Cancel(id, nil)
			return err
		},
		"update the metadata": func(w world, id string) error {
			_, err := w.api.Refunds.Update(id, &stripe.RefundParams{Metadata: map[string]string{"ticket": "7"}})
			return err
		},
		"time passes": func(w world, id string) error {
			before := refundStatus(w, id)
			w.await(time.Minute, func() bool { return refundStatus(w, id) != before })
			return nil
		},
	},
}

// disputed gives the dispute of a payment with the card.
func disputed(card string) func(w world) string {
	return func(w world) (id string) {
		pi := w.paid(card)
		w.await(time.Minute, func() bool { return disputeOf(w, pi.ID) != "" })
		return disputeOf(w, pi.ID)
	}
}

func disputeOf(w world, intent string) string {
	all := w.api.Disputes.List(&stripe.DisputeListParams{PaymentIntent: &intent})
	for all.Next() {
		return all.Dispute().ID
	}
	w.must(all.Err())
	return ""
}

func disputeStatus(w world, id string) string {
	dp, err := w.api.Disputes.Get(id, nil)
	w.must(err)
	return string(dp.Status)
}

// giveEvidence hands in a text; one that decides is waited for.
func giveEvidence(text string, submit, decides bool) func(w world, id string) error {
	return func(w world, id string) error {
		dp, err := w.api.Disputes.Update(id, &stripe.DisputeParams{
			Evidence: &stripe.DisputeEvidenceParams{UncategorizedText: &text}, Submit: &submit,
		})
		if err != nil || !decides {
			return err
		}
		w.await(time.Minute, func() bool { return disputeStatus(w, id) != string(dp.Status) })
		return nil
	}
}

func bankDecides(won bool) func(w world, id string) error {
	return func(w world, id string) error {
		w.ask(func(s *sim.Server) error { return s.CloseDispute(id, won) })
		return nil
	}
}

func closeDispute(w world, id string) error {
	_, err := w.api.Disputes.Close(id, nil)
	return err
}

var disputes = machine{
	status: disputeStatus,
	states: map[string]func(w world) string{
		"needs_response":         disputed("pm_card_createDispute"),
		"warning_needs_response": disputed("pm_card_createDisputeInquiry"),
		"under_review": func(w world) string {
			id := disputed("pm_card_createDisputeProductNotReceived")(w)
			w.must(giveEvidence("It arrived.", true, false)(w, id))
			return id
		},
		"lost": func(w world) string {
			id := disputed("pm_card_createDispute")(w)
			w.must(closeDispute(w, id))
			return id
		},
	},
	calls: map[string]func(w world, id string) error{
		"refund the charge": func(w world, id string) error {
			dp, err := w.api.Disputes.Get(id, nil)
			w.must(err)
			return refundIntent(w, dp.PaymentIntent.ID)
		},
		"give some evidence":                        giveEvidence("It arrived.", true, false),
		"stage some evidence":                       giveEvidence("It arrived.", false, false),
		"give winning evidence, time passes":        giveEvidence("winning_evidence", true, true),
		"give losing evidence, time passes":         giveEvidence("losing_evidence", true, true),
		"give evidence that escalates, time passes": giveEvidence("escalate_inquiry_evidence", true, true),
		"close": closeDispute,
		"the time to respond passes": func(w world, id string) error {
			w.await(121*24*time.Hour, nil)
			return nil
		},
		"the bank decides for the merchant": bankDecides(true),
		"the bank decides for the customer": bankDecides(false),
	},
}

func attachTo(w world, id, customer string) error {
	_, err := w.api.PaymentMethods.Attach(id, &stripe.PaymentMethodAttachParams{Customer: &customer})
	return err
}

func detach(w world, id string) error {
	_, err := w.api.PaymentMethods.Detach(id, nil)
	return err
}

// unattached gives a payment method of nobody's: a test id that was fetched.
func unattached(w world) string {
	pm, err := w.api.PaymentMethods.New(&stripe.PaymentMethodParams{
		Type: stripe.String("card"), Card: &stripe.PaymentMethodCardParams{Token: stripe.String("tok_visa")},
	})
	w.must(err)
	return pm.ID
}

func payOnce(w world, method string) error {
	p := charge("", method)
	p.Customer = nil
	_, err := w.api.PaymentIntents.New(p)
	return err
}

var paymentMethods = machine{
	status: func(w world, id string) string {
		pm, err := w.api.PaymentMethods.Get(id, nil)
		w.must(err)
		if pm.Customer != nil {
			return "attached"
		}
		return "unattached"
	},
	states: map[string]func(w world) string{
		"unattached": unattached,
		"attached":   func(w world) string { _, method := w.saved(goodCard); return method },
		"detached": func(w world) string {
			_, method := w.saved(goodCard)
			w.must(detach(w, method))
			return method
		},
		"spent": func(w world) string {
			id := unattached(w)
			w.must(payOnce(w, id))
			return id
		},
	},
	calls: map[string]func(w world, id string) error{
		"attach": func(w world, id string) error {
			pm, err := w.api.PaymentMethods.Get(id, nil)
			w.must(err)
			if pm.Customer != nil {
				return attachTo(w, id, pm.Customer.ID)
			}
			return attachTo(w, id, w.customer())
		},
		"attach to another customer": func(w world, id string) error { return attachTo(w, id, w.customer()) },
		"detach":                     detach,
		"pay with it":                payOnce,
	},
}
