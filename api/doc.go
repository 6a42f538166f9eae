// Package api is the front door of Paystage over HTTP, as a library: it decodes,
// checks who asks, stores, starts and reads. Nothing is decided here that a
// crash could lose: what a request causes is a row and an outbox entry first.
//
// Errors are problems as RFC 9457 has them, with a code that stays the same and a
// sentence that says what to do. GET /openapi.json describes every route.
package api
