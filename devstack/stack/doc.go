// Package stack starts, watches and stops the parts of a local Paystage: PostgreSQL,
// Temporal, the Stripe double, the gateways, the worker and the front door.
//
// Everything it keeps lies in one folder, .dev beside go.mod: binaries, the
// database cluster, Temporal's store, secrets, ports, logs and the env file. The
// folder survives a restart, so do the addresses, and Clean removes it.
//
// Three rules hold for every part. A part that is given by address is used and
// not started. A part that is started is a real process of its own, and dies with
// the process that started it however that ends. Nothing waits without a bound,
// and whatever gives up names the log file to read.
//
// It runs on Linux: it relies on the parent-death signal, on process groups and
// on /proc.
package stack
