package api

import (
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

// Invoice is an invoice as callers see it.
type Invoice struct {
	ID          string        `json:"id"`
	Number      string        `json:"number" example:"2026-000042"`
	AccountID   string        `json:"account_id"`
	Kind        string        `json:"kind" enum:"purchase,monthly"`
	PurchaseID  *string       `json:"purchase_id,omitempty"`
	Description string        `json:"description"`
	TotalMicros int64         `json:"total_micros"`
	Status      string        `json:"status" enum:"open,paid,past_due,void,uncollectible"`
	IssuedAt    time.Time     `json:"issued_at"`
	PaidAt      *time.Time    `json:"paid_at,omitempty"`
	Reason      string        `json:"reason,omitempty" doc:"Why it is void or uncollectible."`
	Month       *InvoiceMonth `json:"month,omitempty" doc:"What a monthly invoice is made of."`
	// The answers about one invoice alone hold these.
	Payments  []InvoicePayment `json:"payments,omitempty" doc:"The tries to have it paid by card, in their order."`
	NextTryAt *time.Time       `json:"next_try_at,omitempty" doc:"When the card is charged next, if nobody pays before."`
}

// InvoiceMonth is what was used in a month, what was owed from before, and what paid:
// usage_micros and carried_in_micros are free_micros, purchased_micros, what is due,
// and carried_out_micros.
type InvoiceMonth struct {
	Period           string `json:"period" example:"2026-10"`
	UsageMicros      int64  `json:"usage_micros"`
	CarriedInMicros  int64  `json:"carried_in_micros" doc:"What the invoice before left to this one."`
	FreeMicros       int64  `json:"free_micros" doc:"Paid by free credits."`
	PurchasedMicros  int64  `json:"purchased_micros" doc:"Paid by purchased credits."`
	DueCents         int64  `json:"due_cents" doc:"Charged to the card, rounded down to the cent."`
	CarriedOutMicros int64  `json:"carried_out_micros" doc:"Left to the next invoice: less than can be charged."`
}

type invoiceOutput struct{ Body Invoice }

func invoiceView(i models.Invoice) Invoice {
	view := Invoice{
		ID: i.ID, Number: i.Number, AccountID: i.AccountID, Kind: i.Kind, PurchaseID: i.PurchaseID,
		Description: i.Description, TotalMicros: i.TotalMicros, Status: i.Status, IssuedAt: i.IssuedAt, PaidAt: i.PaidAt,
	}
	if i.Reason != nil {
		view.Reason = *i.Reason
	}
	if i.Period != nil {
		view.Month = &InvoiceMonth{
			Period: billing.PeriodText(*i.Period), UsageMicros: i.UsageMicros, CarriedInMicros: i.CarriedInMicros, FreeMicros: i.FreeMicros,
			PurchasedMicros: i.PurchasedMicros, DueCents: i.DueCents, CarriedOutMicros: i.CarriedOutMicros,
		}
	}
	return view
}
