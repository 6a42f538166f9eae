// Stripesim is a double of Stripe as a program, for the development stack and for
// whoever wants to try something: a program around package sim, whose documentation
// says what it models, what it refuses, and how to order faults.
//
//	go run ./stripesim
//	stripesim --listen 127.0.0.1:0 --webhook-url http://127.0.0.1:8080/webhooks/stripe --webhook-secret whsec_test
//
// It prints one line with its address when it listens; the page there lists what it
// holds and takes decisions for bank and customer. It ends on SIGINT or SIGTERM.
package main
