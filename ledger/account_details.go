package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/models"
)

// SetAccountDetails changes what support sets of an account (R42), and notes who did
// it and why. ErrNoAddress: a tax number was given, and there is no card whose
// address it could stand with (R41).
func (l *Ledger) SetAccountDetails(ctx context.Context, accountID string, d models.AccountDetails, audit models.AuditEntry) (models.Account, error) {
	var kind, number *string
	if d.TaxID != nil {
		kind, number = &d.TaxID.Type, &d.TaxID.Value
	}
	err := l.inTransaction(ctx, "set account details", func(tx pgx.Tx) error {
		// The account first, which a card that is being put holds too.
		var hasCard bool
		err := tx.QueryRow(ctx, `
			select exists (select from cards c where c.account_id = a.id) from accounts a where a.id = $1 for no key update`,
			accountID).Scan(&hasCard)
		if err != nil {
			return err
		}
		if number != nil && *number != "" && !hasCard {
			return ErrNoAddress
		}
		_, err = tx.Exec(ctx, `
			update accounts set
			       organization_name = case when $2::text is null then organization_name else nullif($2, '') end,
			       invoice_email     = case when $3::text is null then invoice_email else nullif($3, '') end,
			       business_details  = case when $4::text is null then business_details else nullif($4, '') end,
			       tax_id_type       = case when $6::text is null then tax_id_type when $6 = '' then null else $5 end,
			       tax_id_value      = case when $6::text is null then tax_id_value else nullif($6, '') end
			 where id = $1`, accountID, d.OrganizationName, d.InvoiceEmail, d.BusinessDetails, kind, number)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, insertAudit, auditArgs(audit)...)
		return err
	})
	if err != nil {
		return models.Account{}, err
	}
	return l.Account(ctx, accountID)
}

// SetRulesTerritory has the account's charges follow the rules of a territory, or with
// "" those of its own, and notes who did it and why (R36).
func (l *Ledger) SetRulesTerritory(ctx context.Context, accountID, territory string, audit models.AuditEntry) (models.Account, error) {
	err := l.inTransaction(ctx, "set rules of territory", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update accounts set rules_territory = $2 where id = $1`, accountID, orNull(territory)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, insertAudit, auditArgs(audit)...)
		return err
	})
	if err != nil {
		return models.Account{}, err
	}
	return l.Account(ctx, accountID)
}
