package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// cardSetup opens the verification of a card.
func (b *books) cardSetup(t tb, account string, at time.Time) models.CardSetup {
	t.Helper()
	s := models.CardSetup{
		ID: uuid.NewString(), AccountID: account, CustomerID: "cus", PaymentMethodID: "pm_next", Line1: "1 Main St", City: "Springfield",
		AddressState: "IL", PostalCode: "62701", Country: "US", CreatedAt: at, ExpiresAt: at.Add(time.Hour),
	}
	done(t, b.OpenCardSetup(t.Context(), s, time.Minute))
	return s
}

func verified(s models.CardSetup) models.Card {
	c := card(s.AccountID, s.PaymentMethodID)
	c.SetupID, c.SetupIntentID = &s.ID, "seti_"+s.ID
	return c
}

// R40: of several cards the newest alone becomes the account's, and putting it a
// second time finds what is done.
func TestR40ReplacedCardSetupSwitchesNothing(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	first, second := b.cardSetup(t, account, noon), b.cardSetup(t, account, noon.Add(time.Second))
	if err := b.PutCard(t.Context(), verified(first)); !errors.Is(err, ledger.ErrCardSetupEnded) {
		t.Errorf("the replaced one: %v", err)
	}
	held, err := b.Card(t.Context(), account)
	done(t, err)
	same(t, "card", held.PaymentMethodID, "pm_"+account)
	for range 2 {
		done(t, b.PutCard(t.Context(), verified(second)))
	}
	held, err = b.Card(t.Context(), account)
	done(t, err)
	same(t, "card", *held.SetupID, second.ID)
	ended, err := b.EndCardSetup(t.Context(), second.ID, models.CardExpired, "", noon)
	done(t, err)
	same(t, "a late end", ended.State, models.CardVerified)
}

// F30: of the same card put at once with two addresses one wins, whatever the order.
func TestF30SameCardAtOnceWithTwoAddresses(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.account(t)
	here, elsewhere := card(account, "pm_1"), card(account, "pm_2")
	elsewhere.Address.Line1 = "2 Other St"
	answers := make(chan error, 2)
	for _, c := range []models.Card{here, elsewhere} {
		go func() { answers <- b.PutCard(t.Context(), c) }()
	}
	refused := 0
	for range 2 {
		if err := <-answers; errors.Is(err, ledger.ErrAddressMismatch) {
			refused++
		} else {
			done(t, err)
		}
	}
	same(t, "refused", refused, 1)
}

// What is settled of a verification the database keeps, as it keeps the card.
func TestCardsAndTheirSetupsAreKept(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.customer(t)
	s := b.cardSetup(t, account, noon)
	_, err := b.EndCardSetup(t.Context(), s.ID, models.CardRefused, "do_not_honor", noon)
	done(t, err)
	for _, statement := range []string{
		`delete from cards`, `delete from card_setups`, `update card_setups set state = 'verified', decline_code = null, setup_intent_id = 'seti'`,
		`update card_setups set payment_method_id = 'pm_other'`,
	} {
		if _, err := b.db.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s was taken", statement)
		}
	}
}
