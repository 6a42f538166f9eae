package api

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

// maxExport bounds an export, whose database snapshot stays open meanwhile.
const maxExport = 30 * time.Minute

func (s *Server) exportRoutes(api huma.API) {
	route(s, api, huma.Operation{
		OperationID: "export-invoices", Method: http.MethodGet, Path: "/v1/finance/invoices.csv", Tags: []string{"Finance"},
		Summary: "Export a month's invoices as CSV",
		Description: "The invoices for the month, and those of purchases in it, as all of them were at one instant. Amounts are US dollars. " +
			"A text that a spreadsheet would take for a formula begins with an apostrophe. An answer that breaks off is not whole: ask again.",
		Errors: []int{http.StatusUnprocessableEntity},
		Responses: map[string]*huma.Response{"200": {
			Description: "CSV of RFC 4180, with a header line.",
			Content:     map[string]*huma.MediaType{"text/csv": {Schema: &huma.Schema{Type: "string"}}},
		}},
	}, []models.Role{models.RoleFinance}, s.exportInvoices)
}

type exportInput struct {
	Period string `query:"period" required:"true" doc:"A month of UTC." example:"2026-10"`
}

// exportColumns are the columns of the export, in their order.
var exportColumns = []struct {
	name string
	of   func(i ledger.ExportedInvoice) string
}{
	{"number", func(i ledger.ExportedInvoice) string { return i.Number }},
	{"kind", func(i ledger.ExportedInvoice) string { return i.Kind }},
	{"invoice_id", func(i ledger.ExportedInvoice) string { return i.ID }},
	{"account_id", func(i ledger.ExportedInvoice) string { return i.AccountID }},
	{"name", billed(func(to models.BillTo) string { return to.Name })},
	{"organization", billed(func(to models.BillTo) string { return to.Organization })},
	{"tax_id", billed(func(to models.BillTo) string {
		if to.TaxID == nil {
			return ""
		}
		return to.TaxID.Value
	})},
	{"country", billed(func(to models.BillTo) string {
		if to.Address == nil {
			return to.Territory
		}
		return to.Address.Country
	})},
	{"period", func(i ledger.ExportedInvoice) string {
		if i.Period == nil {
			return ""
		}
		return billing.PeriodText(*i.Period)
	}},
	{"issued_at", func(i ledger.ExportedInvoice) string { return stamp(&i.IssuedAt) }},
	{"status", func(i ledger.ExportedInvoice) string { return i.Status }},
	{"paid_at", func(i ledger.ExportedInvoice) string { return stamp(i.PaidAt) }},
	{"credit_note", func(i ledger.ExportedInvoice) string {
		if i.CreditNote == nil {
			return ""
		}
		return *i.CreditNote
	}},
	{"usage_usd", func(i ledger.ExportedInvoice) string { return usd(i.UsageMicros) }},
	{"carried_in_usd", func(i ledger.ExportedInvoice) string { return usd(i.CarriedInMicros) }},
	{"free_credits_usd", func(i ledger.ExportedInvoice) string { return usd(i.FreeMicros) }},
	{"purchased_credits_usd", func(i ledger.ExportedInvoice) string { return usd(i.PurchasedMicros) }},
	{"carried_out_usd", func(i ledger.ExportedInvoice) string { return usd(i.CarriedOutMicros) }},
	{"total_usd", func(i ledger.ExportedInvoice) string { return usd(i.TotalMicros) }},
}

func billed(of func(models.BillTo) string) func(ledger.ExportedInvoice) string {
	return func(i ledger.ExportedInvoice) string {
		if i.BillTo == nil {
			return ""
		}
		return plain(of(*i.BillTo))
	}
}

// plain keeps a spreadsheet from taking what a customer wrote for a formula.
func plain(cell string) string {
	if strings.IndexAny(cell, "\t\r\n") == 0 || strings.IndexAny(strings.TrimSpace(cell), "=+-@") == 0 {
		return "'" + cell
	}
	return cell
}

func stamp(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// usd is an amount as a spreadsheet reads it.
func usd(micros int64) string { return strings.Replace(money.USD(micros).String(), "$", "", 1) }

// exportInvoices streams a month's invoices. What breaks off in the middle breaks the
// connection, so that nobody takes a part for the whole.
func (s *Server) exportInvoices(_ context.Context, in *exportInput) (*huma.StreamResponse, error) {
	period, ok := billing.ParsePeriod(in.Period)
	if !ok {
		return nil, problem(http.StatusUnprocessableEntity, "invalid_period", "period must be a month, such as 2026-10.")
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		w, ok := hc.BodyWriter().(http.ResponseWriter)
		if !ok {
			return
		}
		hc.SetHeader("Content-Type", "text/csv; charset=utf-8; header=present")
		hc.SetHeader("Content-Disposition", fmt.Sprintf(`attachment; filename="invoices-%s.csv"`, in.Period))
		hc.SetHeader("Cache-Control", "private, no-store")
		ctx, cancel := context.WithTimeout(hc.Context(), maxExport)
		defer cancel()
		if err := s.writeExport(ctx, w, period); err != nil {
			s.Log.Error("export broke off", "error", err)
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

// exportRows is after how many rows what was written is sent.
const exportRows = 500

func (s *Server) writeExport(ctx context.Context, w http.ResponseWriter, period time.Time) error {
	control := http.NewResponseController(w)
	rows := csv.NewWriter(w)
	rows.UseCRLF = true
	row := make([]string, len(exportColumns))
	for i, c := range exportColumns {
		row[i] = c.name
	}
	if err := rows.Write(row); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	written := 0
	send := func() error {
		if err := control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return fmt.Errorf("bound write: %w", err)
		}
		rows.Flush()
		return rows.Error()
	}
	err := s.Store.ExportInvoices(ctx, period, func(i ledger.ExportedInvoice) error {
		for n, c := range exportColumns {
			row[n] = c.of(i)
		}
		if err := rows.Write(row); err != nil {
			return fmt.Errorf("write export: %w", err)
		}
		if written++; written%exportRows == 0 {
			return send()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return send()
}
