package documents_test

import (
	"fmt"
	"time"

	"github.com/paystage/paystage/documents"
	"github.com/paystage/paystage/models"
)

var (
	october = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	third   = time.Date(2026, 11, 3, 0, 0, 7, 0, time.UTC)
	seller  = models.Seller{Name: "Acme Inference", Details: []string{"548 Market Street, San Francisco, CA 94104, USA", "EIN 12-3456789", "billing@acme.example"}}
	ada     = models.BillTo{
		Name: "Ada Lovelace", Organization: "Analytical Engines GmbH", Email: "invoices@engines.example", Territory: "DE", Details: "Cost center 42\nHRB 12345",
		Address: &models.BillAt{Line1: "Unter den Linden 1", City: "Berlin", State: "BE", PostalCode: "10117", Country: "DE"},
		TaxID:   &models.TaxID{Type: "eu_vat", Value: "DE123456789"},
	}
)

// monthly is an invoice of a month with these lines, of which credits paid some.
func monthly(free, purchased int64, lines ...models.InvoiceLine) documents.Invoice {
	i := documents.Invoice{Seller: seller, Lines: lines, Invoice: models.Invoice{
		ID: "01a20496-2d5e-7325-8fd4-912193ecb4df", Number: "2026-000042", AccountID: "01a20496-2d40-77e8-8a9c-816d0d14c019",
		Kind: models.InvoiceOfMonth, Status: string(models.InvoiceOpen), IssuedAt: third, BillTo: &ada, Period: &october,
		FreeMicros: free, PurchasedMicros: purchased,
	}}
	for n := range lines {
		i.Lines[n].Line = n + 1
		i.UsageMicros += lines[n].AmountMicros
	}
	owed := i.UsageMicros - free - purchased
	i.DueCents = owed / 10_000
	i.CarriedOutMicros = owed % 10_000
	i.TotalMicros = i.DueCents * 10_000
	return i
}

func tokens(model string, quantity int64, micros int64) models.InvoiceLine {
	return models.InvoiceLine{
		Section: models.SectionUsage, SKU: model + ".input", Unit: "token", Model: model, Period: october, Events: 12,
		Quantity: fmt.Sprint(quantity), AmountMicros: micros,
	}
}

func endpoint(name string, seconds, micros int64) models.InvoiceLine {
	return models.InvoiceLine{
		Section: models.SectionDeployment, SKU: "dedicated_endpoint.h100-80gb", Unit: "second", Resource: "01a20496-2d40-77e8-8a9c-816d0d14c0aa",
		Name: name, Period: october, Quantity: fmt.Sprint(seconds), AmountMicros: micros,
	}
}

// many are so many lines of usage, some of them told late.
func many(n int) (lines []models.InvoiceLine) {
	for i := range n {
		l := tokens(fmt.Sprintf("meta-llama/llama-3.%d-70b", i), int64(i)*1_234_567, int64(i)*987_653)
		l.Resource = fmt.Sprintf("team-%03d", i)
		if i%7 == 0 {
			l.Period = october.AddDate(0, -1, 0)
		}
		lines = append(lines, l)
	}
	return append(lines, endpoint("search", 744*3600, 1_488_000_000), endpoint("chat", 3_725, 2_069_444))
}

// looks are the documents whose pictures were looked at.
func looks() map[string]documents.Invoice {
	note := models.CreditNote{Number: "2026-000051", IssuedAt: third.AddDate(0, 0, 9), AmountMicros: 26_350_000}
	paid := third.AddDate(0, 0, 1)
	purchase := documents.Invoice{Seller: seller, Invoice: models.Invoice{
		ID: "1", Number: "2026-000007", AccountID: "01a20496-2d40-77e8-8a9c-816d0d14c019", Kind: models.InvoiceOfPurchase, PurchaseID: new(string),
		Description: "Credit purchase", TotalMicros: 25_000_000, Status: string(models.InvoicePaid), IssuedAt: third, BillTo: &ada,
	}}
	*purchase.PurchaseID = "01a20496-2d5e-7325-8fd4-912193ecb4df"
	of := func(i documents.Invoice, change func(*documents.Invoice)) documents.Invoice {
		change(&i)
		return i
	}
	one := tokens("meta-llama/llama-3.3-70b", 2_000_000, 31_234_567)
	return map[string]documents.Invoice{
		"one-line":  monthly(0, 0, one),
		"paid":      of(monthly(0, 0, one), func(i *documents.Invoice) { i.Status, i.PaidAt = string(models.InvoicePaid), &paid }),
		"past-due":  of(monthly(0, 0, one), func(i *documents.Invoice) { i.Status = string(models.InvoicePastDue) }),
		"300-lines": monthly(5_000_000, 20_000_000, many(300)...),
		"nothing":   of(monthly(2_000_000, 0, tokens("meta-llama/llama-3.3-70b", 2_000_000, 2_000_000)), func(i *documents.Invoice) { i.Status = string(models.InvoicePaid) }),
		"unused":    of(monthly(0, 0), func(i *documents.Invoice) { i.Status = string(models.InvoicePaid) }),
		"carried": of(monthly(1_000_000, 3_500_000, one, endpoint("search", 90_061, 1_234_567)), func(i *documents.Invoice) {
			i.CarriedInMicros, i.TotalMicros, i.DueCents = 430_000, i.TotalMicros+430_000, i.DueCents+43
		}),
		"void":     of(monthly(0, 0, one), func(i *documents.Invoice) { i.Status, i.Note = string(models.InvoiceVoid), &note }),
		"purchase": purchase,
		"old":      of(purchase, func(i *documents.Invoice) { i.BillTo = nil }),
		"current": of(monthly(0, 0, one), func(i *documents.Invoice) {
			i.AsOf, i.Number = &paid, ""
			i.TotalMicros = 31_234_567
			i.DueCents, i.CarriedOutMicros = 0, 0
		}),
		"long": of(monthly(0, 0, endpoint(longName, 1, 1), tokens("a-model-with-a-name-that-does-not-know-where-to-end/"+longWord, 9_223_372_036_854_775_807, 9_000_000_000_000_000)), func(i *documents.Invoice) {
			i.BillTo = &models.BillTo{Name: longName, Organization: longWord + longWord, Email: longWord + "@example.com", Territory: "US", Details: longName}
			i.Seller = models.Seller{Name: longName, Details: []string{longName, longWord}}
		}),
		"scripts": of(monthly(0, 0, endpoint("búsqueda – поиск – αναζήτηση", 1, 1), endpoint("搜索服务 / 検索サービス / 검색 서비스", 1, 1),
			endpoint("نقطة نهاية البحث 2026 (v2.1)", 1, 1), endpoint("שירות חיפוש 24/7 (beta)", 1, 1), endpoint("บริการค้นหา", 1, 1), endpoint("खोज 🚀", 1, 1)),
			func(i *documents.Invoice) {
				i.BillTo = &models.BillTo{Name: "Олександра Шевченко", Organization: "株式会社サンプル・エンジン", Email: "a@example.com", Territory: "JP", Details: "شركة المثال للتقنية المحدودة\nחברת הדוגמה בע״מ\nΕταιρεία Παράδειγμα Α.Ε.",
					Address: &models.BillAt{Line1: "千代田区丸の内１丁目９−２", City: "東京", PostalCode: "100-0005", Country: "JP"}}
			}),
	}
}

const (
	longName = "The Society for the Promotion of Exceedingly Long Names of Customers, Departments, Subsidiaries and Others that Nobody Bounded in Time, Limited Liability Company under the Laws of Somewhere, in Liquidation since 1894, represented by its Receivers"
	longWord = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaftsvertretung"
)
