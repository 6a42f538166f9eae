package relay

import (
	"context"
	"strconv"

	"github.com/paystage/paystage/letters"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

// mailInvoiceEvent tells what became of an invoice on the way to its money (R33).
func (r *Relay) mailInvoiceEvent(ctx context.Context, eventID string) error {
	event, err := r.Store.InvoiceEvent(ctx, eventID)
	if err != nil {
		return err
	}
	invoice, err := r.Store.Invoice(ctx, event.InvoiceID)
	if err != nil {
		return err
	}
	account, err := r.Store.Account(ctx, event.AccountID)
	if err != nil {
		return err
	}
	letter, told := invoiceLetter(r.reader(account), event, letters.Owed{Number: invoice.Number, Due: money.USD(invoice.TotalMicros)})
	if !told {
		return nil
	}
	return r.Mail.Send(ctx, "invoice-"+strconv.FormatInt(event.ID, 10)+"-"+string(event.Kind), account.Email, letter)
}

// invoiceLetter is the letter for an event, if it is told by one.
func invoiceLetter(to letters.Reader, event models.InvoiceEvent, owed letters.Owed) (letters.Letter, bool) {
	switch event.Kind {
	case models.InvoiceEventFailed:
		return letters.InvoicePaymentFailed(to, owed, event.DeclineCode, *event.NextAt), true
	case models.InvoiceEventPastDue:
		return letters.InvoicePastDue(to, owed), true
	case models.InvoiceEventPaid:
		return letters.InvoicePaid(to, owed), true
	case models.InvoiceEventRestored:
		return letters.Restored(to), true
	case models.InvoiceEventVoid, models.InvoiceEventUncollectible:
	}
	return letters.Letter{}, false
}
