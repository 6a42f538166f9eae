// Package testenv gives integration tests a real PostgreSQL and a real Temporal.
//
// The servers are started once for a whole test run, by
//
//	go run ./devstack exec -- go test ./...
//
// which is what make test does, and are found through the environment. Without
// them a test that asks for one fails and says so; with -short it is skipped.
//
// Every test has a database of its own, cloned from one that was migrated once.
// Temporal is shared: tests keep out of each other's way by the names of their
// task queues and workflows. A test that stops, kills or restarts a server has
// one of its own, by OwnPostgres or OwnTemporal.
package testenv
