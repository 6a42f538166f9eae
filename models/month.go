package models

import "time"

// MonthlyClose is the closing of a month over all accounts, and how far it has come.
type MonthlyClose struct {
	// Period is the first day of the month.
	Period time.Time
	// Round counts how often the accounts were gone over, from 1.
	Round     int
	StartedAt time.Time
	// ClosedAt is when the round was done, nil until then.
	ClosedAt *time.Time
	// Accounts are those that the round goes over, in so many Pages.
	Accounts     int64
	Pages        int
	AccountsDone int64
	PagesDone    int
	// FirstOpen is the first page that is not done, Pages if all are.
	FirstOpen int
	// Invoices, Owing and the amounts are of all rounds: how many invoices were issued,
	// how many of them demand something, for what use, and how much they demand.
	Invoices    int64
	Owing       int64
	UsageMicros int64
	DueMicros   int64
}
