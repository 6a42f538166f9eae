package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/models"
)

// MaxExceptions bounds the exceptions of an account that are in force.
const MaxExceptions = 100

const exceptionColumns = `id::text, account_id::text, model, class, access, rpm, until, reason, created_at, ended_at`

// PutException sets an exception of an account (R15), in the place of the one about
// the same model or class, has it pushed, and notes who did it and why.
func (l *Ledger) PutException(ctx context.Context, x models.AccountException, audit models.AuditEntry) error {
	return l.inTransaction(ctx, "put exception", func(tx pgx.Tx) error {
		// Locked, so that of two at once the second ends the first.
		if _, err := tx.Exec(ctx, `select from entitlements where account_id = $1 for update`, x.AccountID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			update account_exceptions set ended_at = $4 where account_id = $1 and model = $2 and class = $3 and ended_at is null`,
			x.AccountID, x.Model, x.Class, x.CreatedAt)
		if err != nil {
			return err
		}
		var inForce int
		err = tx.QueryRow(ctx, `select count(*) from account_exceptions where account_id = $1 and ended_at is null and (until is null or until > $2)`,
			x.AccountID, x.CreatedAt).Scan(&inForce)
		if err != nil {
			return err
		}
		if inForce >= MaxExceptions {
			return ErrTooMany
		}
		_, err = tx.Exec(ctx, `
			insert into account_exceptions (id, account_id, model, class, access, rpm, until, reason, created_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			x.ID, x.AccountID, x.Model, x.Class, x.Access, x.RPM, x.Until, x.Reason, x.CreatedAt)
		if err != nil {
			return err
		}
		return renewAudited(ctx, tx, x.AccountID, audit)
	})
}

// EndException ends an exception of an account, and notes who did it and why. One
// that has ended stays so, since when it has.
func (l *Ledger) EndException(ctx context.Context, accountID, id string, audit models.AuditEntry) (models.AccountException, error) {
	var x models.AccountException
	err := l.inTransaction(ctx, "end exception", func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `select `+exceptionColumns+` from account_exceptions
			where id = $1 and account_id = $2 for update`, id, accountID) // CollectExactlyOneRow reports its error
		var err error
		x, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByNameLax[models.AccountException])
		if err != nil || x.EndedAt != nil {
			return err
		}
		x.EndedAt = &audit.At
		if _, err := tx.Exec(ctx, `update account_exceptions set ended_at = $2 where id = $1`, id, audit.At); err != nil {
			return err
		}
		return renewAudited(ctx, tx, accountID, audit)
	})
	return x, err
}

// renewAudited notes what was done and gives the entitlement a new version.
func renewAudited(ctx context.Context, tx pgx.Tx, accountID string, audit models.AuditEntry) error {
	if _, err := tx.Exec(ctx, insertAudit, auditArgs(audit)...); err != nil {
		return err
	}
	return renew(ctx, tx, accountID, audit.At)
}

// AccountExceptions lists the newest exceptions of an account, newest first. With
// inForce it leaves out those that have ended at that time.
func (l *Ledger) AccountExceptions(ctx context.Context, accountID string, inForce *time.Time) ([]models.AccountException, error) {
	return many[models.AccountException](ctx, l, "list exceptions", `
		select `+exceptionColumns+` from account_exceptions
		 where account_id = $1 and ($3::timestamptz is null or (ended_at is null and (until is null or until > $3)))
		 order by created_at desc, id limit $2`, accountID, maxAudit, inForce)
}
