package activities

import "strconv"

// The names of what a charge carries in its metadata. Lookups, webhooks and whoever
// reads Stripe's pages go by them, so they never change.
const (
	MetadataAccount  = "account_id"
	MetadataPurchase = "purchase_id"
	MetadataInvoice  = "invoice_id"
	MetadataAttempt  = "attempt"
)

// metadata says at Stripe what a charge is for.
func (in ChargeInput) metadata() map[string]string {
	if in.InvoiceID != "" {
		return map[string]string{MetadataInvoice: in.InvoiceID, MetadataAttempt: strconv.Itoa(in.Attempt), MetadataAccount: in.AccountID}
	}
	return map[string]string{MetadataPurchase: in.PurchaseID, MetadataAccount: in.AccountID}
}

// isOf says whether a charge with that metadata is the attempt that is looked for.
func (in FindInput) isOf(metadata map[string]string) bool {
	if in.InvoiceID != "" {
		return metadata[MetadataInvoice] == in.InvoiceID && metadata[MetadataAttempt] == strconv.Itoa(in.Attempt)
	}
	return in.PurchaseID != "" && metadata[MetadataPurchase] == in.PurchaseID
}
