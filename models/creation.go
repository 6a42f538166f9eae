package models

import "time"

// CreationKind is what can be created for an account at a cost of its own (R10).
type CreationKind string

// The kinds: two that run until they are stopped, and two jobs.
const (
	CreationDedicatedEndpoint CreationKind = "dedicated_endpoint"
	CreationHostedModel       CreationKind = "hosted_model"
	CreationFineTuning        CreationKind = "fine_tuning"
	CreationEvaluation        CreationKind = "evaluation"
)

// Deployment is what an account has running, or had, and what it cost in one month
// (R46, R47).
type Deployment struct {
	ID        string
	AccountID string
	Kind      CreationKind
	// SKU is what it costs by the minute.
	SKU  string
	Name string
	// StartedAt, AccruedUntil and StoppedAt are whole seconds. It is charged up to
	// AccruedUntil; StoppedAt is nil while it runs.
	StartedAt    time.Time
	AccruedUntil time.Time
	StoppedAt    *time.Time
	// PeriodSeconds is how long it ran in the month, as far as it is charged, and
	// PeriodMicros what the month cost with its creation, rounded down.
	PeriodSeconds int64
	PeriodMicros  int64
}

// Job is a job that was created for an account.
type Job struct {
	ID        string
	AccountID string
	Kind      CreationKind
	Name      string
	// CostMicros is what its creation cost, rounded down.
	CostMicros int64
	CreatedAt  time.Time
}
