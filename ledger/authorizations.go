package ledger

import (
	"context"
	"time"

	"github.com/paystage/paystage/models"
)

const authorizationColumns = `id::text, account_id::text, purpose, subject_id::text, attempt, payment_intent_id, payment_method_id, amount_cents,
	on_session, state, closing, generation, mails, link_at, confirms, captured_cents, decline_code, revision,
	created_at, sent_at, opened_at, expires_at, ended_at,
	(select i.number from invoices i where purpose = 'invoice' and i.id = subject_id) as invoice_number`

// OpenAuthorization opens the authorization of a payment, with its workflow on the
// way. There is one for each attempt: the second time nothing changes.
func (l *Ledger) OpenAuthorization(ctx context.Context, a models.Authorization) error {
	_, err := l.exec(ctx, "open authorization", `select authorization_open($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		a.ID, a.AccountID, a.Purpose, a.SubjectID, a.Attempt, a.PaymentIntentID, a.PaymentMethodID, a.AmountCents, a.OnSession,
		a.LinkAt, a.ExpiresAt, a.CreatedAt)
	return err
}

// Authorization reads an authorization.
func (l *Ledger) Authorization(ctx context.Context, id string) (models.Authorization, error) {
	return one[models.Authorization](ctx, l, "read authorization", `select `+authorizationColumns+` from authorizations where id = $1`, id)
}

// AuthorizationOf reads the authorization of an attempt to pay something.
func (l *Ledger) AuthorizationOf(ctx context.Context, purpose models.AuthorizationPurpose, subjectID string, attempt int) (models.Authorization, error) {
	return one[models.Authorization](ctx, l, "read authorization of a payment",
		`select `+authorizationColumns+` from authorizations where purpose = $1 and subject_id = $2 and attempt = $3`, purpose, subjectID, attempt)
}

// maxAuthorizations bounds a list of authorizations.
const maxAuthorizations = 200

// Authorizations lists the newest authorizations of an account, newest first.
func (l *Ledger) Authorizations(ctx context.Context, accountID string) ([]models.Authorization, error) {
	return many[models.Authorization](ctx, l, "list authorizations", `
		select `+authorizationColumns+` from authorizations where account_id = $1 order by created_at desc, id limit $2`,
		accountID, maxAuthorizations)
}

// AuthorizationMove is what a look at an authorization brought.
type AuthorizationMove struct {
	// Seen is the authorization as it was looked at; if it has changed since, nothing moves.
	Seen models.Authorization
	// Mail is the mail to be sent, "" for none, and Mails how many are then behind it.
	Mail  MessageKind
	Mails int
	// DueAt is when the next look is due.
	DueAt time.Time
}

// MoveAuthorization notes a look, with the mail that it has sent in the outbox, in
// one statement. It says whether the authorization was as it was seen: each mail is
// asked for once, however often and by whomever this is repeated.
func (l *Ledger) MoveAuthorization(ctx context.Context, m AuthorizationMove) (bool, error) {
	moved, err := value[int64](ctx, l, "move authorization", `
		with moved as (
			update authorizations set mails = $3, due_at = $4
			 where id = $1 and revision = $2 and ended_at is null
			returning id),
		put as materialized (select outbox_put($5, id::text) from moved where $5 <> '')
		select count(*) from moved left join put on true`, m.Seen.ID, m.Seen.Revision, m.Mails, m.DueAt, m.Mail)
	return moved > 0, err
}

// AuthorizationSent notes that the link of a generation was mailed, by the clock of the
// outbox (F24).
func (l *Ledger) AuthorizationSent(ctx context.Context, id string, generation int64) error {
	_, err := l.exec(ctx, "note mailed link", `
		update authorizations set sent_at = clock_timestamp(), state = case state when 'created' then 'sent' else state end
		 where id = $1 and generation = $2 and ended_at is null and sent_at is null`, id, generation)
	return err
}

// BeginApproval notes that somebody with a link of that generation goes on to the
// bank, before anything is asked of Stripe; its confirmation has the number Confirms,
// for all who come until [Ledger.ApprovalFailed]. ErrNotFound if the link is good for
// that no more.
func (l *Ledger) BeginApproval(ctx context.Context, id string, generation int64, at time.Time) (models.Authorization, error) {
	return one[models.Authorization](ctx, l, "begin approval", `
		with opened as (
			update authorizations set state = 'opened', opened_at = $3, confirms = greatest(confirms, 1)
			 where id = $1 and generation = $2 and ended_at is null and closing is null and expires_at > $3
			returning *),
		put as materialized (select outbox_put('authorization_changed', id::text, interval '2 seconds') from opened)
		select `+authorizationColumns+` from opened cross join put`, id, generation, at)
}

// ApprovalFailed notes that the confirmation of that number led to no page of the bank, so
// that the next one has another key: Stripe answers a key as it did the first time.
func (l *Ledger) ApprovalFailed(ctx context.Context, id string, number int) error {
	_, err := l.exec(ctx, "note failed approval", `
		update authorizations set confirms = confirms + 1 where id = $1 and confirms = $2 and ended_at is null`, id, number)
	return err
}

// ResendAuthorization ends the link that there is and has a new one mailed, good
// until expires, with the audit entry of who wanted it. ErrNotFound if it has ended.
func (l *Ledger) ResendAuthorization(ctx context.Context, id string, expires time.Time, audit models.AuditEntry) (models.Authorization, error) {
	args := append(auditArgs(audit), id, expires)
	return one[models.Authorization](ctx, l, "resend authorization", `
		with fresh as (
			update authorizations
			   set generation = generation + 1, mails = 0, link_at = $1, sent_at = null, state = 'created', confirms = confirms + 1,
			       expires_at = greatest(expires_at, $10::timestamptz), due_at = $1
			 where id = $9 and ended_at is null and closing is null
			returning *),
		audited as (`+auditIf+` from fresh),
		put as materialized (select outbox_put('authorization_changed', id::text) from fresh)
		select `+authorizationColumns+` from fresh cross join put`, args...)
}

// CloseAuthorization has an authorization end as canceled, unless the bank approved a
// moment before, with the audit entry of who wanted it. ErrNotFound if it has ended or
// is about to.
func (l *Ledger) CloseAuthorization(ctx context.Context, id string, audit models.AuditEntry) error {
	args := append(auditArgs(audit), id)
	_, err := value[string](ctx, l, "close authorization", `
		with closed as materialized (
			select id from authorizations where id = $9 and authorization_close(id, 'canceled')),
		audited as (`+auditIf+` from closed)
		select id::text from closed`, args...)
	return err
}

// auditIf writes an audit entry for each row that it is selected from.
const auditIf = `
	insert into audit_log (at, actor, role, action, account_id, subject, reason, detail)
	select $1, $2, $3, $4, $5, $6, $7, $8::jsonb`

// AuthorizationEnd is how an authorization ends.
type AuthorizationEnd struct {
	State models.AuthorizationState
	// CapturedCents is what was captured by an approval, DeclineCode why the bank refused.
	CapturedCents int64
	DeclineCode   string
	At            time.Time
}

// EndAuthorization ends an authorization and has whoever waits for its payment woken.
// The first end stands: the second time, and for another one, nothing changes.
func (l *Ledger) EndAuthorization(ctx context.Context, id string, end AuthorizationEnd) error {
	_, err := l.exec(ctx, "end authorization", `select authorization_end($1, $2, $3, $4, $5)`,
		id, end.State, end.CapturedCents, orNull(end.DeclineCode), end.At)
	return err
}

// WakeAuthorizations has up to limit authorizations looked at that should have been
// before the given time and were not, whatever kept them (I6). They have until again to
// look; then they are found once more. It answers how many there were.
func (l *Ledger) WakeAuthorizations(ctx context.Context, before, again time.Time, limit int) (int64, error) {
	return value[int64](ctx, l, "wake authorizations", `
		with due as materialized (
			select id from authorizations where ended_at is null and due_at <= $1 order by due_at, id limit $3 for update skip locked),
		later as (
			update authorizations a set due_at = $2 from due where a.id = due.id),
		put as materialized (select outbox_put('authorization_changed', id::text) from due)
		select count(*) from put`, before, again, limit)
}
