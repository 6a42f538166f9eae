// Stripesim is the Stripe double of the development stack: a program around
// package sim, whose documentation says what it models and how to order faults.
//
//	stripesim --listen 127.0.0.1:0 --webhook-url http://127.0.0.1:8080/webhooks/stripe --webhook-secret whsec_test
//
// It prints one line with its address when it listens, and ends on SIGINT or
// SIGTERM.
package main
