package ledger

import (
	"context"

	"github.com/paystage/paystage/models"
	"gorm.io/gorm/clause"
)

// CreateAccount stores a new account.
func (l *Ledger) CreateAccount(ctx context.Context, account models.Account) error {
	return wrap("create account", l.records.WithContext(ctx).Create(&account).Error)
}

// Account reads an account.
func (l *Ledger) Account(ctx context.Context, id string) (models.Account, error) {
	var account models.Account
	err := l.records.WithContext(ctx).Take(&account, "id = ?", id).Error
	return account, wrap("read account", err)
}

// SetStripeCustomer notes the account's customer at Stripe, once: the first one
// stays, and is the answer.
func (l *Ledger) SetStripeCustomer(ctx context.Context, id, customer string) (string, error) {
	return value[string](ctx, l, "set Stripe customer", `
		update accounts set stripe_customer_id = coalesce(stripe_customer_id, $2) where id = $1
		returning stripe_customer_id`, id, customer)
}

// Card reads the account's card; ErrNotFound when it has none.
func (l *Ledger) Card(ctx context.Context, accountID string) (models.Card, error) {
	var card models.Card
	err := l.records.WithContext(ctx).Take(&card, "account_id = ?", accountID).Error
	return card, wrap("read card", err)
}

// PutCard makes card the account's card, in the place of the one before (R40).
func (l *Ledger) PutCard(ctx context.Context, card models.Card) error {
	return wrap("put card", l.records.WithContext(ctx).
		Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "account_id"}}, UpdateAll: true}).
		Create(&card).Error)
}

// Balance reads what an account holds and owes.
func (l *Ledger) Balance(ctx context.Context, accountID string) (models.Balance, error) {
	var balance models.Balance
	err := l.records.WithContext(ctx).Take(&balance, "account_id = ?", accountID).Error
	return balance, wrap("read balance", err)
}

// PastDue is the sum of the account's unpaid invoices in micro-dollars (R6).
func (l *Ledger) PastDue(ctx context.Context, accountID string) (int64, error) {
	return value[int64](ctx, l, "read past due", `
		select coalesce(sum(total_micros), 0)::bigint from invoices where account_id = $1 and status in ('open', 'past_due')`, accountID)
}

// maxInvoices bounds a list of invoices.
const maxInvoices = 200

// Invoices lists an account's newest invoices, newest first.
func (l *Ledger) Invoices(ctx context.Context, accountID string) ([]models.Invoice, error) {
	var invoices []models.Invoice
	err := l.records.WithContext(ctx).
		Order("issued_at desc, id").Limit(maxInvoices).
		Find(&invoices, "account_id = ?", accountID).Error
	return invoices, wrap("list invoices", err)
}

// Invoice reads one invoice.
func (l *Ledger) Invoice(ctx context.Context, id string) (models.Invoice, error) {
	var invoice models.Invoice
	err := l.records.WithContext(ctx).Take(&invoice, "id = ?", id).Error
	return invoice, wrap("read invoice", err)
}
