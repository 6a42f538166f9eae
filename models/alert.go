package models

import "time"

// Alert is something that a person must look at (I6). It stays open until it
// is resolved, by a person or by the trouble's own end.
type Alert struct {
	ID   int64
	Kind AlertKind
	// Subject names what it is about, such as "purchase/<id>".
	Subject    string
	AccountID  *string
	Detail     string
	RaisedAt   time.Time
	ResolvedAt *time.Time
}

// AlertKind says what sort of trouble an alert is.
type AlertKind string

// The kinds of alerts.
const (
	// AlertPurchaseOverdue: approved over 15 minutes ago and not complete (R18).
	AlertPurchaseOverdue AlertKind = "purchase_overdue"
	// AlertBankUnknown: the bank's answer has been unknown for over 15 minutes (R20).
	AlertBankUnknown AlertKind = "bank_unknown"
	// AlertChargeRefused: Stripe refused the request itself; it needs a fix, not a retry (F8).
	AlertChargeRefused AlertKind = "charge_refused"
	// AlertCaptureInReview: Stripe holds money for a purchase that ended without credit (I3).
	AlertCaptureInReview AlertKind = "capture_in_review"
	// AlertMailUndelivered: a mail has not been delivered for a quarter of an hour (R24).
	AlertMailUndelivered AlertKind = "mail_undelivered"
	// AlertDeploymentsBehind: deployments run that have not been charged for over 15 minutes (R46).
	AlertDeploymentsBehind AlertKind = "deployments_behind"
	// AlertMonthNotClosed: a month was to be billed hours ago and is not (R29).
	AlertMonthNotClosed AlertKind = "month_not_closed"
	// AlertRechargeRunaway: more is charged by itself than should be possible, or than is usual (R26).
	AlertRechargeRunaway AlertKind = "recharge_runaway"
	// AlertInvoicesBehind: invoices are due for long, and none is being charged (I6).
	AlertInvoicesBehind AlertKind = "invoice_payments_behind"
	// AlertWebhookVersion: Stripe sends events of another API version (F17).
	AlertWebhookVersion AlertKind = "webhook_version"
)
