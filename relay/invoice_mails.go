package relay

import (
	"context"
	"strconv"
	"time"

	"github.com/paystage/paystage/letters"
	"github.com/paystage/paystage/links"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

// mailInvoice tells of a new invoice (R31, R32).
func (r *Relay) mailInvoice(ctx context.Context, invoiceID string) error {
	i, err := r.Store.Invoice(ctx, invoiceID)
	if err != nil {
		return err
	}
	account, err := r.Store.Account(ctx, i.AccountID)
	if err != nil {
		return err
	}
	letter := letters.InvoiceIssued(r.reader(account), letters.Invoice{
		Number: i.Number, Period: *i.Period, Used: money.USD(i.UsageMicros), Credits: money.USD(i.FreeMicros + i.PurchasedMicros),
		Due: money.USD(i.TotalMicros), CarriedIn: money.USD(i.CarriedInMicros), CarriedOut: money.USD(i.CarriedOutMicros),
	})
	return r.Mail.Send(ctx, "invoice-"+i.ID, account.InvoicesTo(), letter)
}

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
	if asksForMoney(event) && models.InvoiceStatus(invoice.Status) != models.InvoiceOpen && models.InvoiceStatus(invoice.Status) != models.InvoicePastDue {
		return nil // it was settled while the mail waited
	}
	account, err := r.Store.Account(ctx, event.AccountID)
	if err != nil {
		return err
	}
	owed := letters.Owed{Number: invoice.Number, Due: money.USD(invoice.TotalMicros)}
	if owed.Link, err = r.payLink(event); err != nil {
		return err
	}
	letter, told := invoiceLetter(r.reader(account), event, owed)
	if !told {
		return nil
	}
	return r.Mail.Send(ctx, "invoice-"+strconv.FormatInt(event.ID, 10)+"-"+string(event.Kind), account.InvoicesTo(), letter)
}

// payLinkLasts is how long the link of a mail leads to the page that pays. Each mail has
// a fresh one.
const payLinkLasts = 30 * 24 * time.Hour

func asksForMoney(event models.InvoiceEvent) bool {
	return event.Kind == models.InvoiceEventFailed || event.Kind == models.InvoiceEventPastDue
}

// payLink leads to the page that pays the invoice of an event, for one that is owed.
func (r *Relay) payLink(event models.InvoiceEvent) (string, error) {
	if !asksForMoney(event) {
		return "", nil
	}
	token, err := r.Links.Sign(links.Token{Purpose: links.PayInvoice, ID: event.InvoiceID, Expires: event.At.Add(payLinkLasts)})
	if err != nil {
		return "", err
	}
	return r.URL + "/pay/" + token, nil
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
