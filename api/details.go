package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/mail"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

func (s *Server) detailRoutes(api huma.API) {
	const path = "/v1/support/accounts/{id}/details"
	tags := []string{"Support"}
	route(s, api, huma.Operation{
		OperationID: "set-details", Method: http.MethodPost, Path: path, Tags: tags,
		Summary: "Set organization name, invoice email, business details or a tax ID of any format",
		Errors:  []int{http.StatusNotFound, http.StatusConflict},
	}, []models.Role{models.RoleSupport}, s.setDetails)
	route(s, api, huma.Operation{
		OperationID: "get-details", Method: http.MethodGet, Path: path, Tags: tags,
		Summary: "See what invoices say of the account and where they go", Errors: []int{http.StatusNotFound},
	}, []models.Role{models.RoleSupport, models.RoleFinance}, s.getDetails)
}

type setDetailsInput struct {
	ID   string `path:"id"`
	Body struct {
		OrganizationName *string       `json:"organization_name,omitempty" maxLength:"200" doc:"Left out it stays as it is; empty it is taken away."`
		InvoiceEmail     *string       `json:"invoice_email,omitempty" maxLength:"320" doc:"Where invoices go in place of the registered email; empty: there." example:"invoices@example.com"`
		BusinessDetails  *string       `json:"business_details,omitempty" maxLength:"2000" doc:"Further lines for the invoice."`
		TaxID            *detailsTaxID `json:"tax_id,omitempty" doc:"Of any format. It stands in place of the customer's own; with an empty value it is taken away."`
		Reason           string        `json:"reason" minLength:"1" maxLength:"2000" doc:"Why; for the audit log."`
	}
}

// detailsTaxID is a tax number as support sets it, unlike the customer's in any
// format (R42).
type detailsTaxID struct {
	Type  string `json:"type,omitempty" maxLength:"30" example:"us_ein"`
	Value string `json:"value" maxLength:"50"`
}

// Details are what invoices say of an account besides the card's address.
type Details struct {
	AccountID        string  `json:"account_id"`
	Email            string  `json:"email" doc:"The registered email."`
	Name             string  `json:"name"`
	Territory        string  `json:"territory"`
	OrganizationName *string `json:"organization_name"`
	InvoiceEmail     *string `json:"invoice_email" doc:"Null: invoices go to the registered email."`
	BusinessDetails  *string `json:"business_details"`
	TaxID            *TaxID  `json:"tax_id" doc:"The tax number on invoices: support's, else the one beside the card."`
}

type detailsOutput struct{ Body Details }

func (s *Server) getDetails(ctx context.Context, in *accountInput) (*detailsOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return s.detailsOf(ctx, account)
}

func (s *Server) detailsOf(ctx context.Context, account models.Account) (*detailsOutput, error) {
	card, err := s.cardOf(ctx, account.ID)
	if err != nil {
		return nil, err
	}
	return &detailsOutput{Body: Details{
		AccountID: account.ID, Email: account.Email, Name: account.Name, Territory: account.Territory,
		OrganizationName: account.OrganizationName, InvoiceEmail: account.InvoiceEmail, BusinessDetails: account.BusinessDetails,
		TaxID: taxIDView(account.TaxIDBeside(card)),
	}}, nil
}

func taxIDView(id *models.TaxID) *TaxID {
	if id == nil {
		return nil
	}
	return &TaxID{Type: id.Type, Value: id.Value}
}

// setDetails sets what support alone may set (R42). The audit log says which of
// them were changed; what they were is personal and would be there for ever.
func (s *Server) setDetails(ctx context.Context, in *setDetailsInput) (*detailsOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	details, changed, err := detailsFrom(in)
	if err != nil {
		return nil, err
	}
	entry := s.audit(ctx, "set_details", account.ID, "account/"+account.ID, in.Body.Reason)
	if entry.Detail, err = json.Marshal(map[string]any{"changed": changed}); err != nil {
		return nil, err
	}
	account, err = s.Store.SetAccountDetails(ctx, account.ID, details, entry)
	if errors.Is(err, ledger.ErrNoAddress) {
		return nil, problem(http.StatusConflict, "address_required",
			"A tax ID stands with a billing address. Have the customer put a card first.")
	}
	if err != nil {
		return nil, err
	}
	return s.detailsOf(ctx, account)
}

// detailsFrom reads and checks what is to be set, and names it.
func detailsFrom(in *setDetailsInput) (details models.AccountDetails, changed []string, err error) {
	b := in.Body
	details = models.AccountDetails{
		OrganizationName: trimmed(b.OrganizationName), InvoiceEmail: trimmed(b.InvoiceEmail), BusinessDetails: trimmed(b.BusinessDetails),
	}
	if b.TaxID != nil {
		details.TaxID = &models.TaxID{Type: strings.TrimSpace(b.TaxID.Type), Value: strings.TrimSpace(b.TaxID.Value)}
	}
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"organization_name", details.OrganizationName != nil}, {"invoice_email", details.InvoiceEmail != nil},
		{"business_details", details.BusinessDetails != nil}, {"tax_id", details.TaxID != nil},
	} {
		if field.set {
			changed = append(changed, field.name)
		}
	}
	switch {
	case changed == nil:
		err = problem(http.StatusUnprocessableEntity, "nothing_to_set",
			"Set organization_name, invoice_email, business_details or tax_id.")
	case details.InvoiceEmail != nil && *details.InvoiceEmail != "" && !plainAddress(*details.InvoiceEmail):
		err = problem(http.StatusUnprocessableEntity, "invalid_email",
			"invoice_email must be one plain address, such as ada@example.com. Invoices go there.")
	case details.TaxID != nil && details.TaxID.Value != "" && details.TaxID.Type == "":
		err = problem(http.StatusUnprocessableEntity, "invalid_tax_id", "Name the kind of tax ID in type, such as us_ein.")
	}
	return details, changed, err
}

func trimmed(text *string) *string {
	if text == nil {
		return nil
	}
	bare := strings.TrimSpace(*text)
	return &bare
}

// plainAddress says whether a text is one email address and nothing else.
func plainAddress(text string) bool {
	address, err := mail.ParseAddress(text)
	return err == nil && address.Address == text && !strings.ContainsAny(text, " \t\r\n")
}
