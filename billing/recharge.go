package billing

import (
	"fmt"
	"time"

	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

const (
	// DefaultRechargeCents is what one automatic purchase buys unless the customer
	// says otherwise (R25).
	DefaultRechargeCents int64 = 2500
	// MaxThresholdCents is the highest threshold, $100,000.00.
	MaxThresholdCents int64 = 10_000_000

	// A plan that is larger than one of these is carried out only if it was
	// confirmed.
	unconfirmedPurchases       = 3
	unconfirmedCents     int64 = 50_000

	// HourlyPurchases bounds an account's automatic purchases in an hour that belong
	// to no confirmed plan (R26). A confirmation is good for confirmationLasts.
	HourlyPurchases   = 10
	confirmationLasts = 24 * time.Hour

	// NetworkDeclines is how often a card may be declined within NetworkWindow before
	// it is not charged by itself any more (R27).
	NetworkDeclines = 15
	NetworkWindow   = 30 * 24 * time.Hour
)

// CheckRecharge refuses settings of auto-recharge that make no sense: an amount
// that cannot be bought (as [CheckPurchaseAmount] with max in cents), a threshold
// below zero or over [MaxThresholdCents], a cap that allows no purchase. The error
// is a [*Refusal].
func CheckRecharge(s models.RechargeSettings, max int64) error {
	if err := CheckPurchaseAmount(s.AmountCents, max); err != nil {
		return err
	}
	if s.ThresholdCents < 0 || s.ThresholdCents > MaxThresholdCents {
		return &Refusal{
			Code:    CodeInvalidThreshold,
			Message: fmt.Sprintf("threshold_cents is the balance to keep up, from 0 to %d (%s).", MaxThresholdCents, dollars(MaxThresholdCents)),
		}
	}
	if s.MonthlyCapCents != nil && (*s.MonthlyCapCents < s.AmountCents || *s.MonthlyCapCents > mostCents) {
		return &Refusal{
			Code:    CodeInvalidCap,
			Message: fmt.Sprintf("monthly_cap_cents must allow one purchase at least, so %d or more. Leave it out for no cap.", s.AmountCents),
		}
	}
	return nil
}

// RechargePlan is what auto-recharge would buy now, worked out before anything is
// charged (R26).
type RechargePlan struct {
	Purchases  int64
	TotalCents int64
	// Capped: the monthly cap stops it short of the threshold.
	Capped bool
}

// Large says whether the plan needs the customer's confirmation.
func (p RechargePlan) Large() bool {
	return p.Purchases > unconfirmedPurchases || p.TotalCents > unconfirmedCents
}

// PlanRecharge works out how many increments bring the balance, with what is in
// flight, to the threshold, as far as the monthly cap allows. What stands in the
// way otherwise it leaves out: it is the plan, whether or not it can go on now.
func PlanRecharge(r models.Recharge) (RechargePlan, error) {
	gap, err := rechargeGap(r)
	if err != nil || !r.Enabled || gap <= 0 {
		return RechargePlan{}, err
	}
	amount, err := money.FromCents(r.AmountCents)
	if err != nil {
		return RechargePlan{}, fmt.Errorf("plan recharge: %w", err)
	}
	plan := RechargePlan{Purchases: int64(gap / amount)}
	if gap%amount > 0 {
		plan.Purchases++
	}
	if r.MonthlyCapCents != nil {
		if allowed := max(0, *r.MonthlyCapCents-r.SpentCents) / r.AmountCents; allowed < plan.Purchases {
			plan.Purchases, plan.Capped = allowed, true
		}
	}
	// At most the gap and one amount more, each of which fits.
	plan.TotalCents = plan.Purchases * r.AmountCents
	return plan, nil
}

// rechargeGap is how far the balance and what is in flight are below the threshold.
func rechargeGap(r models.Recharge) (money.USD, error) {
	threshold, err := money.FromCents(r.ThresholdCents)
	if err != nil {
		return 0, fmt.Errorf("gap to the threshold: %w", err)
	}
	coming, err := money.FromCents(r.InFlightCents)
	if err != nil {
		return 0, fmt.Errorf("gap to the threshold: %w", err)
	}
	gap, err := money.Sub(threshold, money.USD(r.BalanceMicros))
	if err == nil {
		gap, err = money.Sub(gap, coming)
	}
	if err != nil {
		return 0, fmt.Errorf("gap to the threshold: %w", err)
	}
	return gap, nil
}

// RechargeAction is what the loop of an account does next.
type RechargeAction string

// The actions.
const (
	// RechargeRest: there is nothing to buy.
	RechargeRest RechargeAction = "rest"
	// RechargeAwait: a recharge is in flight; nothing else is bought meanwhile.
	RechargeAwait RechargeAction = "await"
	// RechargeHalted: something has to be bought, or would have to be, and must not be.
	RechargeHalted RechargeAction = "halted"
	// RechargeBuy: one increment is bought now.
	RechargeBuy RechargeAction = "buy"
)

// RechargeStep is the next step of an account's loop.
type RechargeStep struct {
	Action RechargeAction
	// Halt and Until say, when halted, why and until when; a nil Until is until
	// something changes.
	Halt  models.RechargeHalt
	Until *time.Time
}

// NextRecharge decides what an account's loop does at that time (R25-R27). The
// order is the law: what is in flight is waited for before anything, and what the
// card is to blame for is named before what the customer or the company bounds.
func NextRecharge(r models.Recharge, at time.Time) (RechargeStep, error) {
	gap, err := rechargeGap(r)
	switch {
	case err != nil:
		return RechargeStep{}, err
	case r.PurchaseID != nil && r.ApprovalUntil != nil:
		return RechargeStep{Action: RechargeHalted, Halt: models.HaltApproval, Until: r.ApprovalUntil}, nil
	case r.PurchaseID != nil:
		return RechargeStep{Action: RechargeAwait}, nil
	case !r.Enabled || !r.HasCard:
		return RechargeStep{Action: RechargeRest}, nil
	case r.CardHalt.Halt != "" && (r.CardHalt.Until == nil || at.Before(*r.CardHalt.Until)):
		return RechargeStep{Action: RechargeHalted, Halt: r.CardHalt.Halt, Until: r.CardHalt.Until}, nil
	case gap <= 0:
		return RechargeStep{Action: RechargeRest}, nil
	case r.Held:
		return RechargeStep{Action: RechargeHalted, Halt: models.HaltHeld}, nil
	case r.CardDeclines >= NetworkDeclines:
		return RechargeStep{Action: RechargeHalted, Halt: models.HaltNetworkLimit, Until: r.CardDeclinesUntil}, nil
	case r.MonthlyCapCents != nil && r.SpentCents > *r.MonthlyCapCents-r.AmountCents:
		return RechargeStep{Action: RechargeHalted, Halt: models.HaltMonthlyCap, Until: nextMonth(at)}, nil
	case !confirmed(r, at):
		if until := hourlyLimit(r, at); until != nil {
			return RechargeStep{Action: RechargeHalted, Halt: models.HaltHourlyLimit, Until: until}, nil
		}
	}
	return RechargeStep{Action: RechargeBuy}, nil
}

// confirmed says whether the next purchase belongs to a plan that the customer saw
// and confirmed.
func confirmed(r models.Recharge, at time.Time) bool {
	return r.ConfirmedAt != nil && at.Before(r.ConfirmedAt.Add(confirmationLasts)) && r.MadeSinceConfirmed < int64(r.ConfirmedPurchases)
}

// hourlyLimit is until when the hourly bound stops the account, nil if it doesn't.
// A stop lasts an hour from when it began, so that it is told once.
func hourlyLimit(r models.Recharge, at time.Time) *time.Time {
	if r.Halt == models.HaltHourlyLimit && r.HaltUntil != nil && at.Before(*r.HaltUntil) {
		return r.HaltUntil
	}
	if r.MadeLastHour < HourlyPurchases {
		return nil
	}
	until := at.Add(time.Hour)
	return &until
}

// nextMonth is when the month after that of at begins, in UTC.
func nextMonth(at time.Time) *time.Time {
	at = at.UTC()
	until := time.Date(at.Year(), at.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	return &until
}

// softTries is how many tries in a row a card has that is declined for now.
const softTries = 3

// AfterDecline is what a declined recharge means for its card at that time, after
// as many soft declines in a row as tries (R27).
func AfterDecline(code string, tries int, at time.Time) models.CardHalt {
	halt := models.CardHalt{DeclineCode: code, Tries: tries}
	class := DeclineFor(code).Class
	switch class {
	case Never:
		halt.Halt = models.HaltCardRefused
	case FixData:
		halt.Halt = models.HaltCardData
	case Authenticate:
		halt.Halt = models.HaltAuthentication
	case BackOff, Sparingly, LookUp:
		halt.Tries++
		halt.Halt = models.HaltTriesUsedUp
		if halt.Tries < softTries {
			until := at.Add(softPause(class, tries))
			halt.Halt, halt.Until = models.HaltRetry, &until
		}
	}
	return halt
}

// softPause is the pause before the second (tries 0) or the third try (1). A bank
// that gave no reason is asked far apart.
func softPause(class DeclineClass, tries int) time.Duration {
	if class == Sparingly {
		return [...]time.Duration{6 * time.Hour, 72 * time.Hour}[tries]
	}
	return [...]time.Duration{time.Hour, 24 * time.Hour}[tries]
}
