// Package gateway is what an API gateway embeds to know what each account may
// do: a place for the newest entitlement of every account, the signed HTTP routes
// by which Paystage fills it (R22), and the decision on each request.
//
// # Admission
//
// [Admission.Middleware] puts the decision in front of a net/http handler;
// [Admission.Admit] is the same as a function, and allocates nothing. [Decision]
// lists the checks in their order. What models there are, and what each needs, is
// a [Catalogue]; a [CatalogueFile] is read again when it changes. Requests are
// counted by a [Limiter]: [Local] for one process, package redislimit for several.
//
// # Signed requests
//
// Whoever may write an entitlement may raise limits, so every request is signed
// with a key shared by Paystage and its gateways ([Keyring.Sign],
// [Keyring.Verify]). The signature covers the time, the method, the path and
// the body; a query is not covered, and a request with one is refused. A request
// caught on the way and sent again within the five minutes that its signature
// lives does nothing: reading changes nothing, and a version is never taken
// twice.
//
// # Versions only grow
//
// The pushes of one account may arrive repeated, late and out of order.
// [Store.Put] takes an entitlement only if its version is higher than the one
// held, and answers with the version held then (I10), so that the sender learns
// either way that the gateway is at least as new as what it sent.
//
// # What is acknowledged is kept
//
// A version is acknowledged, and shown to readers, only when it is on disk: the
// store appends each to a journal and syncs it first. A gateway that restarts
// holds what it had acknowledged, without asking Paystage, and so never goes
// back either. Reads are answered from memory and never wait for the disk.
//
// # New, or away
//
// A store that was never filled, or has heard nothing for [AwayAfter], says so when
// Paystage asks ([Store.Sync]), and is filled by pages.
package gateway
