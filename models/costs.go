package models

import "time"

// CostPart says what a cost is for (R47).
type CostPart string

// The parts of what a month cost.
const (
	// CostUsage is what was reported.
	CostUsage CostPart = "usage"
	// CostDeployments is the time and the creation of deployments.
	CostDeployments CostPart = "deployments"
	// CostJobs is the creation of jobs.
	CostJobs CostPart = "jobs"
)

// CostLine is what one resource cost in a month under one SKU.
type CostLine struct {
	Part CostPart
	SKU  string
	// Unit is what Quantity counts: token, image, minute or job, and second for the
	// time of a deployment.
	Unit string
	// Resource is what was used, in the reporter's words, or the id of what was
	// created; Name is its name.
	Resource string
	Name     string
	// Events is how many reports or creations it is the sum of.
	Events int64
	// Quantity is a whole number, of any size.
	Quantity string
	Micros   int64
}

// CreditPurchase is a purchase of credits.
type CreditPurchase struct {
	ID           string
	AmountMicros int64
	CreditedAt   time.Time
}

// Costs is what a month cost an account, and what it bought.
type Costs struct {
	// SKUs are the sums of all lines by part and SKU, without resources.
	SKUs []CostLine
	// Lines are a page of all lines, by part, SKU and resource.
	Lines []CostLine
	// Purchases are the newest of the month, of PurchaseCount.
	Purchases       []CreditPurchase
	PurchaseCount   int64
	PurchasedMicros int64
}
