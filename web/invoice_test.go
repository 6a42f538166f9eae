package web_test

import (
	"strings"
	"testing"

	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/web"
)

// Each state has its page: it says what is paid and how much, and asks only while
// asking makes sense.
func TestPagesOfAnInvoice(t *testing.T) {
	for name, c := range map[string]struct {
		page web.InvoicePayment
		says string
		asks bool
	}{
		"open":          {web.InvoicePayment{Status: models.InvoiceOpen}, "Pay $15.00", true},
		"declined":      {web.InvoicePayment{Status: models.InvoiceOpen, Declined: "Add funds."}, "Add funds.", true},
		"past due":      {web.InvoicePayment{Status: models.InvoicePastDue}, "suspended until it is paid", true},
		"at the bank":   {web.InvoicePayment{Status: models.InvoiceOpen, Bank: models.BankRequiresAction}, "Go on to your bank", true},
		"under way":     {web.InvoicePayment{Status: models.InvoiceOpen, Bank: models.BankProcessing}, "under way", false},
		"dead card":     {web.InvoicePayment{Status: models.InvoicePastDue, Refused: "Use another card."}, "Use another card.", false},
		"paid":          {web.InvoicePayment{Status: models.InvoicePaid}, "is paid", false},
		"void":          {web.InvoicePayment{Status: models.InvoiceVoid}, "nothing to pay", false},
		"uncollectible": {web.InvoicePayment{Status: models.InvoiceUncollectible}, "nothing to pay", false},
	} {
		t.Run(name, func(t *testing.T) {
			c.page.Company, c.page.Number, c.page.DueCents = "<b>Acme</b>", "2026-000042", 1_500
			html := string(c.page.Page().Render())
			for _, want := range []string{c.says, "invoice 2026-000042", "$15.00", "&lt;b&gt;Acme"} {
				if !strings.Contains(html, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if strings.Contains(html, "<form") != c.asks {
				t.Errorf("asks: %t", !c.asks)
			}
		})
	}
}
