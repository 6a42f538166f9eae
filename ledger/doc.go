// Package ledger is every statement that Paystage writes to its database, and
// the locking behind it.
//
// The law is in the schema (package migrations): entries of a transaction sum to
// zero, nothing is changed or deleted, credits never go below zero, a purchase
// is captured, invoiced and credited once and in that order. This package asks;
// the database refuses. What a step of the hot path does is one statement and
// one commit, safe to repeat: the second time it finds its own effect.
//
// Amounts of an entry are what a book gains. A purchase of $25.00 is
//
//	payments   -25.00   the customer's bank paid it
//	purchased  +25.00   the customer holds it
//
// and credits given away are taken from the book promotions. Books are kept per
// account; the company's own position is a book's sum over all accounts, so that
// no row is shared by all purchases. The running balances beside the entries are
// written by a trigger on the entries alone, and Verify compares the two.
//
// Whatever must reach the outside (start a workflow, wake one, send a mail) is a
// row of the outbox, written by the transaction whose effect it announces.
package ledger
