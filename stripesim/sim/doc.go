// Package sim is a stateful double of the part of Stripe that Paystage uses, at
// API version 2023-10-16. The real stripe-go v76 talks to it over HTTP; tests
// start it in their own process with [New] and net/http/httptest, people start
// it as the program stripesim. Nothing that ships may import it.
//
// # What it models
//
//	POST /v1/customers                        GET /v1/customers/{id}
//	POST /v1/payment_methods                  GET, POST /v1/payment_methods/{id}
//	POST /v1/payment_methods/{id}/attach
//	POST /v1/payment_intents                  GET /v1/payment_intents, /v1/payment_intents/{id}
//	POST /v1/payment_intents/{id}/confirm     POST /v1/payment_intents/{id}/cancel
//	GET  /v1/charges/{id}
//	GET  /v1/events                           GET /v1/events/{id}
//
// The double never makes an answer up. Another route, a parameter that Stripe
// has and the double has not, a currency other than usd, another Stripe-Version:
// each is 501 with an error in Stripe's form (code sim_not_modelled) and a line
// in the log. A parameter that Stripe does not have either is Stripe's own 400
// parameter_unknown.
//
// A PaymentIntent goes through Stripe's states:
//
//	requires_payment_method -> requires_confirmation        a payment method is given
//	either of them          -> succeeded                    confirmed, approved
//	either of them          -> requires_payment_method      confirmed, declined: 402
//	either of them          -> requires_action              confirmed on-session, the bank asks the customer
//	either of them          -> processing                   confirmed, the bank takes its time
//	requires_action         -> succeeded, requires_payment_method (approved or refused on the page)
//	processing              -> succeeded, requires_payment_method (settled or failed)
//	any but succeeded, processing and canceled -> canceled
//
// Every POST takes an Idempotency-Key with Stripe's semantics: the first answer,
// an error of 500 included, is given again with Idempotent-Replayed: true for 24
// hours of the double's clock; other parameters or another endpoint are 400
// idempotency_error; while the first request runs a second gets 409
// idempotency_key_in_use. Refused parameters, 401, 429 and 501 are not kept, as
// no endpoint has run.
//
// Events are kept, listed, and sent to one webhook endpoint, signed over the raw
// body, at once and concurrently, each attempt with a timeout, again with growing
// pauses until a 2xx or until the attempts are used up. The signature carries the
// machine's time, since the receiver compares it with its own clock; everything
// else carries the double's clock, which Advance moves forward.
//
// # Cards
//
// Stripe's own test ids and numbers are in cards.go. As at Stripe, attaching a
// pm_card_ id makes a new payment method; a card that declines refuses to be
// attached, except pm_card_chargeCustomerFail (4000000000000341).
//
// Most decline codes of real banks have no test card that can be attached. For
// these the double has ids of its own, which Stripe does not know:
//
//	pm_sim_decline_<decline_code>  attaches; each charge declines with that code, a made-up one included
//	pm_sim_processing              attaches; a confirm gives processing, which ends in succeeded
//	pm_sim_processing_fails        attaches; a confirm gives processing, which ends in a decline
//
// A processing PaymentIntent ends after Options.ProcessingTime on the double's
// clock, or by order.
//
// # Where it is simpler than Stripe
//
// Balance transactions, receipts, SetupIntents, refunds and disputes do not exist,
// and the fields that would name them are null. Address checks are worked out
// again whenever billing details change. GET of a pm_card_ id gives a new payment
// method each time. There is one account, one API key and one webhook endpoint.
//
// # Controls
//
// The methods of [Server] order faults, move the clock, decide for the bank, and
// bend webhooks. The same over HTTP, JSON both ways, without a key:
//
//	GET    /_sim/faults                        faults that still wait
//	POST   /_sim/faults                        {method, path, kind, times, duration_ms}; see FaultKind
//	DELETE /_sim/faults                        forget them
//	GET    /_sim/clock                         {now}
//	POST   /_sim/clock/advance                 {seconds}
//	POST   /_sim/payment_intents/{id}/settle   processing -> succeeded (or its card's decline)
//	POST   /_sim/payment_intents/{id}/fail     {decline_code}: processing -> declined
//	POST   /_sim/payment_intents/{id}/approve  the customer approves at the bank
//	POST   /_sim/payment_intents/{id}/refuse   the customer refuses
//	GET    /_sim/webhooks                      {url, drop_next, copies, hold, delay_ms, held}
//	PUT    /_sim/webhooks                      the same fields but held; those left out are zero, url stays
//	POST   /_sim/webhooks/release              stop holding; send what was held, newest first, one by one
//	POST   /_sim/events/{id}/resend            {times}
//	GET    /_sim/stats                         counts of PaymentIntents and captures, in all and per metadata purchase_id
//	GET    /_sim/requests                      the latest requests, with their idempotency keys
//
// The path of a fault is a pattern in which * stands for one segment:
// /v1/payment_intents/*/confirm.
package sim
