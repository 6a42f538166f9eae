package ledger

import (
	"context"

	"github.com/paystage/paystage/models"
)

// CreateRoleKey stores a new key, with the audit entry of who made it, in one
// statement (R52).
func (l *Ledger) CreateRoleKey(ctx context.Context, key models.RoleKey, audit models.AuditEntry) error {
	args := append(auditArgs(audit), key.ID, key.Role, key.Name, key.SecretHash, key.CreatedAt)
	_, err := l.exec(ctx, "create key", `
		with made as (
			insert into role_keys (id, role, name, secret_hash, created_at) values ($9, $10, $11, $12, $13))`+insertAudit, args...)
	return err
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

// RevokeRoleKey ends a key from the time of the audit entry on, with that entry of
// who ended it, in one statement (R52). A key that was revoked stays revoked since
// then, which is no second entry; ErrNotFound if there is none.
func (l *Ledger) RevokeRoleKey(ctx context.Context, id string, audit models.AuditEntry) (models.RoleKey, error) {
	args := append(auditArgs(audit), id)
	return one[models.RoleKey](ctx, l, "revoke key", `
		with held as (
			select id, revoked_at is null as valid from role_keys where id = $9 for update),
		revoked as (
			update role_keys k set revoked_at = coalesce(k.revoked_at, $1) from held where k.id = held.id
			returning k.*, held.valid),
		audited as (
			insert into audit_log (at, actor, role, action, account_id, subject, reason, detail)
			select $1, $2, $3, $4, $5, $6, $7, $8::jsonb from revoked where valid)
		select id, role, name, secret_hash, created_at, revoked_at from revoked`, args...)
}
