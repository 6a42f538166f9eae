// Package sim is a stateful double of the part of Stripe that Paystage uses, at
// API version 2023-10-16. The real stripe-go v76 talks to it over HTTP; tests
// start it in their own process with [New] and net/http/httptest, people start
// it as the program stripesim. Nothing that ships may import it.
//
// # What it models
//
//	POST /v1/customers, /v1/customers/{id}    GET /v1/customers/{id}, .../payment_methods
//	POST /v1/payment_methods                  GET /v1/payment_methods, GET, POST /v1/payment_methods/{id}
//	POST /v1/payment_methods/{id}/attach, .../detach
//	POST /v1/payment_intents                  GET /v1/payment_intents, GET, POST /v1/payment_intents/{id}
//	POST /v1/payment_intents/{id}/confirm, .../cancel
//	POST /v1/setup_intents                    GET /v1/setup_intents, /v1/setup_intents/{id}
//	POST /v1/setup_intents/{id}/confirm, .../cancel
//	GET  /v1/mandates/{id}
//	GET  /v1/charges, /v1/charges/{id}
//	POST /v1/refunds                          GET /v1/refunds, GET, POST /v1/refunds/{id}, POST .../cancel
//	GET  /v1/disputes                         GET, POST /v1/disputes/{id}, POST .../close
//	GET  /v1/events, /v1/events/{id}
//
// How the objects go from state to state is a table, stateRows in
// states_rows_test.go: the state, the call, what comes of it, and the page of
// Stripe's documentation that says so. Tests play each row at the double; with
// make test-stripe and a key they play the same rows at Stripe.
//
// Every POST takes an Idempotency-Key with Stripe's semantics: the first answer,
// an error of 500 included, is given again with Idempotent-Replayed: true for 24
// hours of the double's clock; other parameters or another endpoint are 400
// idempotency_error; while the first request runs a second gets 409
// idempotency_key_in_use. Refused parameters, 401, 429 and 501 are not kept, as
// no endpoint has run.
//
// Events are kept, listed, and sent to one webhook endpoint, signed over the raw
// body, each attempt with a timeout, again with growing pauses until a 2xx or until
// the attempts are used up: at least once. The events of one payment are first sent
// in their order, those of different payments side by side; a retry, or the order
// Unordered, breaks that. The signature carries the machine's time, since the
// receiver compares it with its own clock; everything else carries the double's
// clock, which Advance moves forward: what falls due on the way happens in its
// order and at its own moment, so a day of India's notice takes a test no time.
//
// # What it refuses
//
// The double never makes an answer up. Another route, a parameter that Stripe
// has and the double has not, a test card that it does not know, a currency other
// than usd, manual capture or confirmation, connected accounts, another
// Stripe-Version: each is 501 with an error in Stripe's form (code
// sim_not_modelled) and a line in the log. A parameter that Stripe does not have
// either is Stripe's own 400 parameter_unknown, and a card number that is no test
// card is declined as Stripe's test mode declines it.
//
// # Cards
//
// Stripe's own test ids, tokens and numbers are in cards.go. As at Stripe,
// attaching a pm_card_ id makes a new payment method; a card that declines refuses
// to be attached, except those that save and decline later.
//
// A card issued in India can be charged off-session under a mandate alone. A
// SetupIntent or a first payment with mandate_options registers one; it is active a
// second later. A payment under it is processing for 26 hours, cannot be canceled,
// and needs the customer's approval above the mandate's amount or 15,000 INR, at
// the double's own rate of 83 to the dollar.
//
// Most decline codes of real banks have no test card that can be attached. For
// these the double has ids of its own, which Stripe does not know:
//
//	pm_sim_decline_<decline_code>  attaches; each charge declines with that code, a made-up one included
//	pm_sim_setup_decline_<code>    attaches; saving it by a SetupIntent declines with that code
//	pm_sim_processing              attaches; a confirm gives processing, which ends in succeeded
//	pm_sim_processing_fails        attaches; a confirm gives processing, which ends in a decline
//	pm_sim_cvc_unavailable         attaches; its bank does not check the security code
//
// A processing PaymentIntent of these ends after Options.ProcessingTime on the
// double's clock, or by order.
//
// # Where it is simpler than Stripe
//
// Balance transactions exist inside disputes alone, receipts and setup attempts
// not at all; the fields that would name them are null. Events carry no
// previous_attributes. Radar blocks nothing by itself. Address checks are worked out again whenever billing details change. GET
// of a pm_card_ id gives a new payment method each time. The amount of a refund
// that fails is the charge's to refund again. A dispute is raised a second after
// its charge and decided a second after evidence that decides; other evidence waits
// for an order. There is one account, one API key and one webhook endpoint.
//
// # Controls
//
// The page at / lists what there is and has a button for each decision. The methods
// of [Server] order faults, move the clock, decide for bank and customer, and bend
// webhooks. The same over HTTP, JSON both ways, without a key:
//
//	GET    /_sim/faults                        faults that still wait
//	POST   /_sim/faults                        {method, path, kind, times, duration_ms}; see FaultKind
//	DELETE /_sim/faults                        forget them
//	GET    /_sim/paces                         standing rates and latencies
//	POST   /_sim/paces                         {method, path, per_second, p50_ms, p99_ms}; see Pace
//	DELETE /_sim/paces                         forget them
//	GET    /_sim/clock                         {now}
//	POST   /_sim/clock/advance                 {seconds}
//	POST   /_sim/payment_intents/{id}/settle   processing -> succeeded (or its card's decline)
//	POST   /_sim/payment_intents/{id}/fail     {decline_code}: processing -> declined
//	POST   /_sim/payment_intents/{id}/approve  the customer approves at the bank, or at a mandate's notice
//	POST   /_sim/payment_intents/{id}/refuse   the customer refuses
//	POST   /_sim/setup_intents/{id}/approve    the same for a card being saved; also .../refuse
//	POST   /_sim/charges/{id}/dispute          {reason, inquiry} gives {id}; {id} may be a PaymentIntent's
//	POST   /_sim/disputes/{id}/win             the bank decides for the merchant; also .../lose
//	POST   /_sim/refunds/{id}/fail             the bank returns the money
//	POST   /_sim/mandates/{id}/revoke          the customer cancels the mandate
//	GET    /_sim/webhooks                      {url, drop_next, copies, hold, delay_ms, unordered, held}
//	PUT    /_sim/webhooks                      the same fields but held; those left out are zero, url stays
//	POST   /_sim/webhooks/release              stop holding; send what was held, newest first, one by one
//	POST   /_sim/events/{id}/resend            {times}
//	GET    /_sim/stats                         counts of PaymentIntents and captures, in all and per metadata purchase_id
//	GET    /_sim/requests                      the latest requests, with their idempotency keys
//
// The path of a fault or a pace is a pattern in which * stands for one segment:
// /v1/payment_intents/*/confirm.
package sim
