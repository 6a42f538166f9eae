package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/models"
)

// MaxAccountKeys bounds the API keys of an account that are not revoked.
const MaxAccountKeys = 50

var (
	// ErrLimitedTier: the account is in the Limited tier, which has no API keys (R12).
	ErrLimitedTier = errors.New("the account is in the Limited tier")
	// ErrTooMany: the account has as many as it may.
	ErrTooMany = errors.New("the account has as many as it may")
)

// CreateAccountKey stores a new API key of an account and has it pushed to the
// gateways. Accounts in the Limited tier get none (R12).
func (l *Ledger) CreateAccountKey(ctx context.Context, key models.AccountKey) error {
	return l.inTransaction(ctx, "create API key", func(tx pgx.Tx) error {
		var tier, keys int
		// Locked, so that of two at once the second counts the first.
		err := tx.QueryRow(ctx, `select tier from entitlements where account_id = $1 for update`, key.AccountID).Scan(&tier)
		if err != nil {
			return err
		}
		if tier < 1 {
			return ErrLimitedTier
		}
		err = tx.QueryRow(ctx, `select count(*) from account_keys where account_id = $1 and revoked_at is null`, key.AccountID).Scan(&keys)
		if err != nil {
			return err
		}
		if keys >= MaxAccountKeys {
			return ErrTooMany
		}
		_, err = tx.Exec(ctx, `insert into account_keys (id, account_id, name, secret_hash, created_at) values ($1, $2, $3, $4, $5)`,
			key.ID, key.AccountID, key.Name, key.SecretHash, key.CreatedAt)
		if err != nil {
			return err
		}
		return renew(ctx, tx, key.AccountID, key.CreatedAt)
	})
}

// AccountKeys lists the newest API keys of an account, newest first, revoked or not.
func (l *Ledger) AccountKeys(ctx context.Context, accountID string) ([]models.AccountKey, error) {
	return many[models.AccountKey](ctx, l, "list API keys", `
		select id, account_id::text, name, secret_hash, created_at, revoked_at from account_keys
		 where account_id = $1 order by created_at desc, id limit $2`, accountID, maxKeys)
}

// RevokeAccountKey revokes an API key of an account at all gateways. One that is
// revoked stays so, since when it was.
func (l *Ledger) RevokeAccountKey(ctx context.Context, accountID, id string, at time.Time) (models.AccountKey, error) {
	var key models.AccountKey
	err := l.inTransaction(ctx, "revoke API key", func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `select id, account_id::text, name, created_at, revoked_at from account_keys
			where id = $1 and account_id = $2 for update`, id, accountID) // CollectExactlyOneRow reports its error
		var err error
		key, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByNameLax[models.AccountKey])
		if err != nil || key.RevokedAt != nil {
			return err
		}
		key.RevokedAt = &at
		if _, err := tx.Exec(ctx, `update account_keys set revoked_at = $2 where id = $1`, id, at); err != nil {
			return err
		}
		return renew(ctx, tx, accountID, at)
	})
	return key, err
}

// renew gives an account's entitlement a new version, which is pushed.
func renew(ctx context.Context, tx pgx.Tx, accountID string, at time.Time) error {
	_, err := tx.Exec(ctx, `select entitlement_renew($1, $2)`, accountID, at)
	return err
}

// inTransaction runs work in a transaction, and again where that lost to another
// (F18).
func (l *Ledger) inTransaction(ctx context.Context, operation string, work func(pgx.Tx) error) error {
	_, err := conflictsAgain(ctx, func() (struct{}, error) {
		return struct{}{}, pgx.BeginFunc(ctx, l.pool, work)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%s: %w", operation, ErrNotFound)
	}
	return wrap(operation, err)
}
