package ledger

import (
	"context"
	"time"

	"github.com/paystage/paystage/models"
)

// CreateRoleKey stores a new key.
func (l *Ledger) CreateRoleKey(ctx context.Context, key models.RoleKey) error {
	return wrap("create key", l.records.WithContext(ctx).Create(&key).Error)
}

// RoleKey reads a key by its id, revoked or not.
func (l *Ledger) RoleKey(ctx context.Context, id string) (models.RoleKey, error) {
	var key models.RoleKey
	err := l.records.WithContext(ctx).Take(&key, "id = ?", id).Error
	return key, wrap("read key", err)
}

// maxKeys bounds a list of keys.
const maxKeys = 500

// RoleKeys lists the keys, newest first.
func (l *Ledger) RoleKeys(ctx context.Context) ([]models.RoleKey, error) {
	var keys []models.RoleKey
	err := l.records.WithContext(ctx).Order("created_at desc, id").Limit(maxKeys).Find(&keys).Error
	return keys, wrap("list keys", err)
}

// RevokeRoleKey ends a key from now on. A key that was revoked stays revoked
// since then; ErrNotFound if there is none.
func (l *Ledger) RevokeRoleKey(ctx context.Context, id string, at time.Time) (models.RoleKey, error) {
	return one[models.RoleKey](ctx, l, "revoke key", `
		update role_keys set revoked_at = coalesce(revoked_at, $2) where id = $1
		returning id, role, name, secret_hash, created_at, revoked_at`, id, at)
}
