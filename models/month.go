package models

import "time"

// MonthlyClose is the closing of a month over all accounts, and how far it has come.
type MonthlyClose struct {
	// Period is the first day of the month.
	Period time.Time
	// Round counts how often the accounts were gone over, from 1.
	Round     int
	StartedAt time.Time
	// NewestAt is when the newest page was closed, StartedAt before the first.
	NewestAt time.Time
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

// MonthReport is what a month's invoices demanded and what became of that.
type MonthReport struct {
	UsageMicros      int64
	CarriedInMicros  int64
	FreeMicros       int64
	PurchasedMicros  int64
	CarriedOutMicros int64
	// NothingDue counts the invoices that demand nothing.
	NothingDue int64
	// What the ledger has of those invoices: demanded, paid, taken back, given up.
	LedgerInvoicedMicros  int64
	LedgerCollectedMicros int64
	LedgerVoidMicros      int64
	LedgerLossMicros      int64
	// Groups are the invoices that demand something, by status and reason.
	Groups []InvoiceGroup `db:"-"`
}

// InvoiceGroup is the invoices of one status that ended so for one reason.
type InvoiceGroup struct {
	Status   string
	Reason   string
	Invoices int64
	Micros   int64
}
