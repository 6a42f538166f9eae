package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paystage/paystage/models"
)

const purchaseColumns = `id::text, account_id::text, idempotency_key, origin, amount_cents, stripe_customer_id, payment_method_id,
	status, bank, payment_intent_id, captured_cents, decline_code, decline_known, authorization_url, invoice_id::text,
	entitlement_version, revision, created_at, bank_started_at, bank_ended_at, invoice_ended_at, balance_ended_at, tier_ended_at`

// NewPurchase is what a purchase is made of. The customer and the card are taken
// from the account as they stand at that moment.
type NewPurchase struct {
	ID             string
	AccountID      string
	IdempotencyKey string
	Origin         models.Origin
	AmountCents    int64
	At             time.Time
	// StartWithin is when the outbox starts the workflow if whoever created the
	// purchase has not.
	StartWithin time.Duration
}

// CreatePurchase stores a purchase together with the outbox row that will start
// it. The same key with the same amount answers the purchase that is there, for
// ever (R19); with another it is ErrIdempotencyMismatch. ErrNotFound means that
// the account has no card to charge.
func (l *Ledger) CreatePurchase(ctx context.Context, n NewPurchase) (purchase models.Purchase, created bool, err error) {
	purchase, err = one[models.Purchase](ctx, l, "create purchase", `
		with made as (
			insert into purchases (id, account_id, idempotency_key, origin, amount_cents, stripe_customer_id, payment_method_id, card_fingerprint, created_at)
			select $1, a.id, $3, $4, $5, a.stripe_customer_id, c.payment_method_id, c.fingerprint, $6
			  from accounts a join cards c on c.account_id = a.id
			 where a.id = $2 and a.stripe_customer_id is not null
			on conflict (account_id, idempotency_key) do nothing
			returning *),
		put as materialized (select outbox_put('start_purchase', id::text, $7) from made)
		select `+purchaseColumns+` from made cross join put`,
		n.ID, n.AccountID, n.IdempotencyKey, n.Origin, n.AmountCents, n.At, n.StartWithin)
	if !errors.Is(err, ErrNotFound) {
		return purchase, err == nil, err
	}
	purchase, err = l.PurchaseOfKey(ctx, n)
	return purchase, false, err
}

// PurchaseOfKey answers the purchase that was made under n's key with n's amount;
// with another it is ErrIdempotencyMismatch, and ErrNotFound if there is none.
func (l *Ledger) PurchaseOfKey(ctx context.Context, n NewPurchase) (models.Purchase, error) {
	purchase, err := one[models.Purchase](ctx, l, "read purchase by key",
		`select `+purchaseColumns+` from purchases where account_id = $1 and idempotency_key = $2`, n.AccountID, n.IdempotencyKey)
	if err != nil {
		return models.Purchase{}, err
	}
	if purchase.AmountCents != n.AmountCents || purchase.Origin != n.Origin {
		return models.Purchase{}, fmt.Errorf("read purchase by key: %w", ErrIdempotencyMismatch)
	}
	return purchase, nil
}

// Purchase reads a purchase.
func (l *Ledger) Purchase(ctx context.Context, id string) (models.Purchase, error) {
	return one[models.Purchase](ctx, l, "read purchase", `select `+purchaseColumns+` from purchases where id = $1`, id)
}

// maxPending bounds how many pending purchases an answer names.
const maxPending = 100

// PendingPurchases lists the account's pending purchases, oldest first.
func (l *Ledger) PendingPurchases(ctx context.Context, accountID string) ([]models.Purchase, error) {
	return many[models.Purchase](ctx, l, "list pending purchases",
		`select `+purchaseColumns+` from purchases where account_id = $1 and status = 'pending'
		  order by created_at, id limit $2`, accountID, maxPending)
}

// Revision says which revision of a purchase, or of an invoice's collection, is the
// newest.
type Revision struct {
	ID       string
	Revision int64
}

// Revisions reads the revisions of all the purchases and invoices in one query.
func (l *Ledger) Revisions(ctx context.Context, ids []string) ([]Revision, error) {
	return many[Revision](ctx, l, "read revisions", `
		select id::text, revision from purchases where id = any($1::uuid[])
		union all
		select invoice_id::text, revision from invoice_collections where invoice_id = any($1::uuid[])`, ids)
}

// maxCandidates bounds how many purchases a search by email answers.
const maxCandidates = 20

// PurchasesNear lists purchases of the accounts with that email, made within
// the window around at (R23): those that may have been paid before those that
// ended without it, and of each the nearest first.
func (l *Ledger) PurchasesNear(ctx context.Context, email string, at time.Time, window time.Duration) ([]models.Purchase, error) {
	return many[models.Purchase](ctx, l, "find purchases by email and time", `
		select `+purchaseColumns+` from purchases
		 where account_id in (select id from accounts where lower(email) = lower($1))
		   and created_at between $2::timestamptz - $3::interval and $2::timestamptz + $3::interval
		 order by status in ('declined', 'canceled', 'expired'), abs(extract(epoch from created_at - $2::timestamptz)), id
		 limit $4`, email, at, window, maxCandidates)
}

// BeginPurchase marks the bank stage as running, once, and answers the purchase.
// That the workflow runs is the proof that it was started, so its outbox row
// leaves here. Behind another begin it waits and answers what that one wrote: its
// own snapshot would show a purchase that was never charged.
func (l *Ledger) BeginPurchase(ctx context.Context, id string, at time.Time) (models.Purchase, error) {
	return one[models.Purchase](ctx, l, "begin purchase", `
		with begun as (
			update purchases set bank = 'charging', bank_started_at = $2
			 where id = $1 and bank = 'waiting'
			returning *),
		started as (
			delete from outbox where kind = 'start_purchase' and subject = $1::uuid::text),
		held as (
			select * from purchases where id = $1 for update)
		select p.*, case when p.origin = 'auto_recharge' then `+mandateOf+` end as mandate_id from (
			select `+purchaseColumns+` from begun
			union all
			select `+purchaseColumns+` from held where not exists (select from begun)) p`, id, at)
}

// mandateOf is the mandate that a charge of p's card is made under while its customer
// is not there (R36). It goes with the card that p was made with (F29).
const mandateOf = `(select s.mandate_id from card_setups s where s.payment_method_id = p.payment_method_id and s.mandate_id is not null limit 1)`

// BankAnswer is what the bank said of a purchase's charge.
type BankAnswer struct {
	State           models.BankState
	PaymentIntentID string
	CapturedCents   int64
	// DeclineCode is set when State is declined; DeclineKnown is whether the
	// decline table has it (R44).
	DeclineCode  string
	DeclineKnown bool
	// AuthorizationURL is where the customer answers the bank, when State is
	// requires_action.
	AuthorizationURL string
	At               time.Time
}

// RecordBank stores what the bank said. A repeat is nothing. A final answer
// stands: one that differs, a second payment included, is ErrNotAsRecorded (I2).
// One that is not final and comes after it is late, and says nothing.
func (l *Ledger) RecordBank(ctx context.Context, id string, a BankAnswer) error {
	var known *bool
	if a.State == models.BankDeclined {
		known = &a.DeclineKnown
	}
	changed, err := value[bool](ctx, l, "record bank answer", `select purchase_record_bank($1, $2, $3, $4, $5, $6, $7, $8)`,
		id, a.State, orNull(a.PaymentIntentID), a.CapturedCents, orNull(a.DeclineCode), known, orNull(a.AuthorizationURL), a.At)
	if err != nil || changed {
		return err
	}
	held, err := l.Purchase(ctx, id)
	if err != nil {
		return err
	}
	if a.State.Final() && held.Bank != a.State {
		return fmt.Errorf("record bank answer: purchase %s is %s already, not %s: %w", id, held.Bank, a.State, ErrNotAsRecorded)
	}
	if a.State == models.BankApproved && *held.PaymentIntentID != a.PaymentIntentID {
		return fmt.Errorf("record bank answer: purchase %s is paid by %s already, not %s: %w", id, *held.PaymentIntentID, a.PaymentIntentID, ErrNotAsRecorded)
	}
	return nil
}

// IssueInvoice issues the invoice of an approved purchase under invoiceID, or
// answers the id of the one that it has.
func (l *Ledger) IssueInvoice(ctx context.Context, id, invoiceID string, at time.Time) (string, error) {
	return value[string](ctx, l, "issue invoice", `select purchase_issue_invoice($1, $2, $3)::text`, id, invoiceID, at)
}

// Credited is the effect of a purchase's credit.
type Credited struct {
	// EntitlementVersion is what the gateways must come to hold, 0 if nothing
	// changed for them.
	EntitlementVersion int64
	TierChanged        bool
}

// CreditPurchase turns the captured money into purchased credits, once, and
// brings the account's entitlement to what its spend has earned.
func (l *Ledger) CreditPurchase(ctx context.Context, id string, rules models.TierRules, at time.Time) (Credited, error) {
	return one[Credited](ctx, l, "credit purchase", `select * from purchase_credit($1, $2, $3, $4)`, id, rules.Thresholds, rules.Limits, at)
}

// SettleTier completes the purchase if every gateway holds what it brought
// about, and says whether it is complete.
func (l *Ledger) SettleTier(ctx context.Context, id string, gateways []string, at time.Time) (bool, error) {
	return value[bool](ctx, l, "settle tier", `select purchase_settle_tier($1, $2, $3)`, id, gateways, at)
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
