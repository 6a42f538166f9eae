package ledger

import (
	"context"

	"github.com/paystage/paystage/models"
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

// Balance reads what an account holds and owes.
func (l *Ledger) Balance(ctx context.Context, accountID string) (models.Balance, error) {
	var balance models.Balance
	err := l.records.WithContext(ctx).Take(&balance, "account_id = ?", accountID).Error
	return balance, wrap("read balance", err)
}
