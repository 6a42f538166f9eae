// Command devstack runs the whole of Paystage on one machine.
//
//	devstack up               everything, until interrupted
//	devstack demo             the same, buys $25.00 through it and ends
//	devstack exec -- CMD      CMD with a PostgreSQL and a Temporal for tests
//	devstack tools            gets what the tests and linters need
//	devstack clean            removes the state of the local stack
//
// What the environment gives by address is used and not started: STRIPE_API_BASE
// (with STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET), DATABASE_URL,
// TEMPORAL_ADDRESS (with TEMPORAL_NAMESPACE), PAYSTAGE_GATEWAY_URLS (with
// PAYSTAGE_GATEWAY_SIGNING_KEYS) and SMTP_URL. PAYSTAGE_URL says where the front
// door listens.
//
// The exit code is 0 when it was done, 1 when it failed and 2 when the command
// line makes no sense; exec gives the code of its command.
package main
