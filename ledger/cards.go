package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

// Card reads the account's card; ErrNotFound when it has none.
func (l *Ledger) Card(ctx context.Context, accountID string) (models.Card, error) {
	var card models.Card
	err := l.records.WithContext(ctx).Take(&card, "account_id = ?", accountID).Error
	return card, wrap("read card", err)
}

// CheckCardAddress refuses a card that the account had before, with another address:
// ErrAddressMismatch (R41).
func (l *Ledger) CheckCardAddress(ctx context.Context, accountID, fingerprint string, address models.Address) error {
	known, err := one[models.Address](ctx, l, "read address of card", knownAddress, accountID, fingerprint)
	return sameAsKnown(known, err, address)
}

const knownAddress = `select line1, city, state, postal_code, country from card_addresses where account_id = $1 and fingerprint = $2`

func sameAsKnown(known models.Address, err error, address models.Address) error {
	if errors.Is(err, ErrNotFound) || errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil && !billing.SameAddress(known, address) {
		return ErrAddressMismatch
	}
	return err
}

// PutCard makes card the account's card, in the place of the one before, in one
// transaction (R40). A card that names its setup ends it as verified; if that was
// replaced meanwhile, or ended otherwise, it is ErrCardSetupEnded and nothing
// changes. A second time it finds its own effect. A card that the account had with
// another address is ErrAddressMismatch (R41).
func (l *Ledger) PutCard(ctx context.Context, card models.Card) error {
	return l.inTransaction(ctx, "put card", func(tx pgx.Tx) error {
		// Of several cards at once each sees what the one before did.
		if _, err := tx.Exec(ctx, `select from accounts where id = $1 for no key update`, card.AccountID); err != nil {
			return err
		}
		if card.SetupID != nil {
			if done, err := endVerified(ctx, tx, card); err != nil || done {
				return err
			}
		}
		known, err := oneIn[models.Address](ctx, tx, knownAddress, card.AccountID, card.Fingerprint)
		if err := sameAsKnown(known, err, card.Address); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			insert into cards as c (account_id, payment_method_id, brand, funding, last4, exp_month, exp_year, fingerprint,
			                        line1, city, state, postal_code, country, tax_id_type, tax_id_value, setup_id, mandate_id, issued_in, updated_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
			on conflict (account_id) do update set
			   (payment_method_id, brand, funding, last4, exp_month, exp_year, fingerprint,
			    line1, city, state, postal_code, country, tax_id_type, tax_id_value, setup_id, mandate_id, issued_in, updated_at)
			 = (excluded.payment_method_id, excluded.brand, excluded.funding, excluded.last4, excluded.exp_month, excluded.exp_year, excluded.fingerprint,
			    excluded.line1, excluded.city, excluded.state, excluded.postal_code, excluded.country, excluded.tax_id_type, excluded.tax_id_value,
			    excluded.setup_id, excluded.mandate_id, excluded.issued_in, excluded.updated_at)`,
			card.AccountID, card.PaymentMethodID, card.Brand, card.Funding, card.Last4, card.ExpMonth, card.ExpYear, card.Fingerprint,
			card.Address.Line1, card.Address.City, card.Address.State, card.Address.PostalCode, card.Address.Country,
			card.TaxIDType, card.TaxIDValue, card.SetupID, card.MandateID, card.IssuedIn, card.UpdatedAt)
		return err
	})
}

// endVerified ends the card's setup, and says whether that was done before.
func endVerified(ctx context.Context, tx pgx.Tx, card models.Card) (done bool, err error) {
	setup, err := oneIn[models.CardSetup](ctx, tx, `select state, ended_at from card_setups where id = $1 for update`, card.SetupID)
	switch {
	case err != nil || setup.State == models.CardVerified:
		return true, err
	case setup.Ended():
		return true, ErrCardSetupEnded
	}
	_, err = tx.Exec(ctx, `
		update card_setups set state = 'verified', setup_intent_id = $2, mandate_id = $3, authorization_url = null, ended_at = $4 where id = $1`,
		card.SetupID, card.SetupIntentID, card.MandateID, card.UpdatedAt)
	if err != nil {
		return false, err
	}
	return false, forgetCardSetup(ctx, tx, *card.SetupID)
}

// SetCardTaxID changes the tax number beside the account's card, if that is still
// the one of this setup, and says whether it is. A card that is being verified gives
// way: what was asked for last counts.
func (l *Ledger) SetCardTaxID(ctx context.Context, card models.Card) (changed bool, err error) {
	err = l.inTransaction(ctx, "set tax id", func(tx pgx.Tx) error {
		if err := replaceCardSetup(ctx, tx, card.AccountID, card.UpdatedAt); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			update cards set tax_id_type = $3, tax_id_value = $4, updated_at = $5 where account_id = $1 and setup_id = $2`,
			card.AccountID, card.SetupID, card.TaxIDType, card.TaxIDValue, card.UpdatedAt)
		changed = tag.RowsAffected() == 1
		return err
	})
	return changed, err
}

const cardSetupColumns = `id::text, account_id::text, customer_id, payment_method_id, mandate_wanted, line1, city, address_state, postal_code, country,
	tax_id_type, tax_id_value, state, setup_intent_id, authorization_url, decline_code, created_at, expires_at, ended_at`

// OpenCardSetup stores the verification of a card before Stripe is asked for it, in
// the place of one that is under way: the newest alone can win (R40). If whoever
// asks Stripe dies, the outbox has it gone on with after lookAfter.
func (l *Ledger) OpenCardSetup(ctx context.Context, s models.CardSetup, lookAfter time.Duration) error {
	return l.inTransaction(ctx, "open card setup", func(tx pgx.Tx) error {
		if err := replaceCardSetup(ctx, tx, s.AccountID, s.CreatedAt); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			with put as materialized (select outbox_put('card_setup', $1::uuid::text, $15))
			insert into card_setups (id, account_id, customer_id, payment_method_id, mandate_wanted, line1, city, address_state, postal_code, country,
			                         tax_id_type, tax_id_value, created_at, expires_at)
			select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 from put`,
			s.ID, s.AccountID, s.CustomerID, s.PaymentMethodID, s.MandateWanted, s.Line1, s.City, s.AddressState, s.PostalCode, s.Country,
			s.TaxIDType, s.TaxIDValue, s.CreatedAt, s.ExpiresAt, lookAfter)
		return err
	})
}

// replaceCardSetup ends the verification that is under way, holding the account. Its
// workflow is told, to take the SetupIntent back.
func replaceCardSetup(ctx context.Context, tx pgx.Tx, accountID string, at time.Time) error {
	if _, err := tx.Exec(ctx, `select from accounts where id = $1 for no key update`, accountID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		with replaced as (
			update card_setups set state = 'replaced', authorization_url = null, ended_at = $2
			 where account_id = $1 and ended_at is null
			returning id)
		select outbox_put('card_setup', id::text) from replaced`, accountID, at)
	return err
}

// forgetCardSetup takes the word to look at a setup out of the outbox.
func forgetCardSetup(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, `delete from outbox where kind = 'card_setup' and subject = $1::uuid::text`, id)
	return err
}

// CardSetup reads the verification of a card.
func (l *Ledger) CardSetup(ctx context.Context, id string) (models.CardSetup, error) {
	return one[models.CardSetup](ctx, l, "read card setup", `select `+cardSetupColumns+` from card_setups where id = $1`, id)
}

// NewestCardSetup reads the account's newest verification of a card; ErrNotFound
// when it never had one.
func (l *Ledger) NewestCardSetup(ctx context.Context, accountID string) (models.CardSetup, error) {
	return one[models.CardSetup](ctx, l, "read newest card setup",
		`select `+cardSetupColumns+` from card_setups where account_id = $1 order by created_at desc, id desc limit 1`, accountID)
}

// NoteCardSetup notes the SetupIntent of a verification, and where the customer
// answers the bank; without that the bank takes its time. What begins to wait is
// looked after by a workflow from then on. One that has ended is not changed but for
// its SetupIntent, which is to be taken back.
func (l *Ledger) NoteCardSetup(ctx context.Context, id, setupIntentID, authorizationURL string) (models.CardSetup, error) {
	return one[models.CardSetup](ctx, l, "note card setup", `
		with held as (
			select id, state from card_setups where id = $1 for update),
		noted as (
			update card_setups s
			   set setup_intent_id = $2,
			       state = case when s.ended_at is null then 'waiting' else s.state end,
			       authorization_url = case when s.ended_at is null then $3 end
			  from held where s.id = held.id
			returning s.*),
		put as materialized (select outbox_put('card_setup', id::text) from held where state not in ('waiting', 'verified'))
		select `+cardSetupColumns+` from noted left join put on true`, id, setupIntentID, orNull(authorizationURL))
}

// EndCardSetup ends a verification without a new card: refused, with the code of the
// decline, expired or canceled. One that has ended already stays as it is.
func (l *Ledger) EndCardSetup(ctx context.Context, id string, state models.CardSetupState, declineCode string, at time.Time) (models.CardSetup, error) {
	err := l.inTransaction(ctx, "end card setup", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			update card_setups set state = $2, decline_code = $3, authorization_url = null, ended_at = $4
			 where id = $1 and ended_at is null`, id, state, orNull(declineCode), at)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return forgetCardSetup(ctx, tx, id)
	})
	if err != nil {
		return models.CardSetup{}, err
	}
	return l.CardSetup(ctx, id)
}

// CardDataHalted says whether auto-recharge waits for the card to be entered again,
// because its data is wrong (R27).
func (l *Ledger) CardDataHalted(ctx context.Context, accountID, fingerprint string) (bool, error) {
	return value[bool](ctx, l, "read halt of card", `
		select exists (select from recharge_cards where account_id = $1 and fingerprint = $2 and halt = 'card_data')`, accountID, fingerprint)
}
