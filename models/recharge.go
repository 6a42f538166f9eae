package models

import "time"

// RechargeSettings is what a customer asks of auto-recharge (R25).
type RechargeSettings struct {
	Enabled bool
	// AmountCents is what one purchase buys, ThresholdCents the balance that
	// purchases keep up.
	AmountCents    int64
	ThresholdCents int64
	// MonthlyCapCents bounds what is bought in a month of UTC; nil is no bound.
	MonthlyCapCents *int64
}

// RechargeHalt says why auto-recharge buys nothing although it is wanted. It is ""
// where nothing is in the way.
type RechargeHalt string

// The halts. The first six belong to a card (R27).
const (
	// HaltCardRefused: this card will never be charged; auto-recharge is off.
	HaltCardRefused RechargeHalt = "card_refused"
	// HaltTriesUsedUp: the card was declined too often in a row; auto-recharge is off.
	HaltTriesUsedUp RechargeHalt = "tries_used_up"
	// HaltCardData: something of the card has to be corrected first.
	HaltCardData RechargeHalt = "card_data"
	// HaltAuthentication: the bank wants the customer there.
	HaltAuthentication RechargeHalt = "authentication_required"
	// HaltApproval: a recharge waits for its customer to approve it with the bank.
	HaltApproval RechargeHalt = "approval_pending"
	// HaltRetry: declined for now; tried again later.
	HaltRetry RechargeHalt = "retry"
	// HaltNetworkLimit: the card was declined as often as its network allows.
	HaltNetworkLimit RechargeHalt = "network_limit"
	// HaltMonthlyCap: the customer's own bound for the month is reached.
	HaltMonthlyCap RechargeHalt = "monthly_cap"
	// HaltHourlyLimit: too many purchases in an hour that nobody confirmed.
	HaltHourlyLimit RechargeHalt = "hourly_limit"
	// HaltHeld: all automatic charges are held by the company. It is not stored.
	HaltHeld RechargeHalt = "held"
)

// Off says whether the halt switches auto-recharge off, as against pausing it.
func (h RechargeHalt) Off() bool { return h == HaltCardRefused || h == HaltTriesUsedUp }

// OfCard says whether the halt belongs to a card, and ends with another one.
func (h RechargeHalt) OfCard() bool {
	switch h {
	case HaltCardRefused, HaltTriesUsedUp, HaltCardData, HaltAuthentication, HaltApproval, HaltRetry:
		return true
	case HaltNetworkLimit, HaltMonthlyCap, HaltHourlyLimit, HaltHeld:
		return false
	}
	return false
}

// CardHalt is why a card is not charged by itself, and what led to it.
type CardHalt struct {
	Halt RechargeHalt `db:"card_halt"`
	// DeclineCode is Stripe's, and not for the customer's eyes.
	DeclineCode string `db:"card_decline_code"`
	// Tries counts the soft declines in a row.
	Tries int `db:"card_tries"`
	// Until is when it is over by itself; nil is never.
	Until *time.Time `db:"card_until"`
}

// Recharge is all that decides about an account's auto-recharge, at one instant.
type Recharge struct {
	AccountID string
	// Configured says whether the account ever asked for it; without it the
	// settings are zero.
	Configured bool
	RechargeSettings
	// ConfirmedPurchases is how many of a plan the customer has confirmed, at ConfirmedAt.
	ConfirmedPurchases int
	ConfirmedAt        *time.Time

	BalanceMicros int64
	// InFlightCents is what is being bought and not credited yet, by hand included (F27).
	InFlightCents int64
	// SpentCents is what was bought by itself this month, in flight included.
	SpentCents int64
	// MadeLastHour and MadeSinceConfirmed count automatic purchases.
	MadeLastHour       int64
	MadeSinceConfirmed int64

	// HasCard says whether there is a card; what follows is about that one.
	HasCard     bool
	Fingerprint string
	CardHalt
	// CardDeclines counts how often it was declined within 30 days, whoever asked,
	// as far as the networks' bound; the oldest of these counts until CardDeclinesUntil.
	CardDeclines      int64
	CardDeclinesUntil *time.Time

	// Halt and HaltUntil are what was noted the last time, of what no card is to blame for.
	Halt      RechargeHalt
	HaltUntil *time.Time
	// Held: all automatic charges are held.
	Held bool

	// PurchaseID is the recharge whose end has not been looked at yet.
	PurchaseID       *string
	PurchaseStatus   PurchaseStatus
	PurchaseAt       *time.Time
	PurchaseCredited bool
	// PurchaseDecline is why it was declined; authentication_required as well where the
	// customer was asked and did not approve.
	PurchaseDecline string
	PurchaseCard    string
	// ApprovalUntil is until when its customer may approve it; nil if they are not asked.
	ApprovalUntil *time.Time
	// PurchaseReplaced: it ended because another card took the place of the one asked about.
	PurchaseReplaced bool
}

// RechargeEvent is a halt as it happened.
type RechargeEvent struct {
	ID          int64
	AccountID   string
	Halt        RechargeHalt
	DeclineCode string
	Until       *time.Time
	At          time.Time
}
