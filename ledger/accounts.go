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
