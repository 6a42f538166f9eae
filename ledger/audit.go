package ledger

import (
	"context"

	"github.com/paystage/paystage/models"
)

const insertAudit = `
	insert into audit_log (at, actor, role, action, account_id, subject, reason, detail)
	values ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)`

func auditArgs(a models.AuditEntry) []any {
	detail := "{}"
	if len(a.Detail) > 0 {
		detail = string(a.Detail)
	}
	return []any{a.At, a.Actor, a.Role, a.Action, a.AccountID, a.Subject, a.Reason, detail}
}

// maxAudit bounds a page of the audit log.
const maxAudit = 200

// AuditLog lists the newest audit entries of an account, newest first.
func (l *Ledger) AuditLog(ctx context.Context, accountID string) ([]models.AuditEntry, error) {
	return many[models.AuditEntry](ctx, l, "read audit log", `
		select id, at, actor, role, action, account_id::text, subject, reason, detail
		  from audit_log where account_id = $1 order by id desc limit $2`, accountID, maxAudit)
}
