package models

import "time"

// Card is the one card of an account (R40). Stripe holds the number (R43).
type Card struct {
	AccountID       string `gorm:"primaryKey"`
	PaymentMethodID string
	// Brand and Funding are Stripe's words: visa, mastercard, amex; credit, debit.
	Brand    string
	Funding  string
	Last4    string `gorm:"column:last4"`
	ExpMonth int
	ExpYear  int
	// Fingerprint is the same for the same card number.
	Fingerprint string
	Address     Address `gorm:"embedded"`
	TaxIDType   *string
	TaxIDValue  *string
	// SetupID is the verification by its bank; nil for a card from before there
	// were any.
	SetupID *string
	// SetupIntentID is Stripe's name of that; it is kept with the setup.
	SetupIntentID string `gorm:"-"`
	// MandateID is the customer's standing permission at the bank, where the law of
	// the card's country asks for one (R36). Off-session charges name it.
	MandateID *string
	// IssuedIn is the country of the card's bank; nil if that is not known.
	IssuedIn  *string
	UpdatedAt time.Time `gorm:"autoUpdateTime:false"`
}

// CardSetupState says how far the verification of a card has come.
type CardSetupState string

// The states of a card setup. All but the first two are ends.
const (
	// CardOpen: Stripe is being asked, or nobody knows whether it was.
	CardOpen CardSetupState = "open"
	// CardWaiting: the bank asks the customer, or takes its time.
	CardWaiting  CardSetupState = "waiting"
	CardVerified CardSetupState = "verified"
	CardRefused  CardSetupState = "refused"
	// CardReplaced: another card was put before this one was verified.
	CardReplaced CardSetupState = "replaced"
	// CardExpired: the customer did not answer the bank in time.
	CardExpired CardSetupState = "expired"
	// CardCanceled: Stripe did not take the request, or somebody took it back there.
	CardCanceled CardSetupState = "canceled"
)

// CardSetup is the verification of a card that is to become the account's (R40).
type CardSetup struct {
	ID              string
	AccountID       string
	CustomerID      string
	PaymentMethodID string
	// MandateWanted: the card is set up with a mandate (R36).
	MandateWanted bool
	Line1         string
	City          string
	AddressState  string
	PostalCode    string
	Country       string
	TaxIDType     *string
	TaxIDValue    *string
	State         CardSetupState
	SetupIntentID *string
	// AuthorizationURL is where the customer answers the bank, while it asks.
	AuthorizationURL *string
	DeclineCode      *string
	CreatedAt        time.Time
	ExpiresAt        time.Time
	EndedAt          *time.Time
}

// Address is the billing address that was given with the card.
func (s CardSetup) Address() Address {
	return Address{Line1: s.Line1, City: s.City, State: s.AddressState, PostalCode: s.PostalCode, Country: s.Country}
}

// Ended says whether the verification is over.
func (s CardSetup) Ended() bool { return s.EndedAt != nil }
