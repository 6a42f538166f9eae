// Package activities is what a workflow may do to the world, with one concrete
// struct for each outside system: [Ledger], [Stripe], [Mail], [Gateways].
//
// An activity is one transaction or one remote call, and safe to repeat: it
// carries an idempotency key, or the database finds that its effect is there.
// Two of them put a remote call and the note of its answer together, because
// what they carry must not travel through a workflow's history or because the
// note is worthless without the call: [Checkout.NoteAuthorization] (the link to
// the bank is a secret) and [Gateways.Push] (the newest entitlement, whatever it
// is by the time of the call).
//
// A decline is a value, an outage is an error, and unknown is a value of its own:
// errors.go has the one table that tells them apart.
package activities
