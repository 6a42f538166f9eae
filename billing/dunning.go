package billing

import (
	"errors"
	"fmt"
	"time"

	"github.com/paystage/paystage/models"
)

// DefaultDunningDays are the days after a first failed charge on which an invoice is
// charged again (R33).
func DefaultDunningDays() []int { return []int{1, 3, 5, 7} }

// maxDunningDay bounds how long an invoice may be chased.
const maxDunningDay = 90

// CheckDunningDays refuses a schedule that is empty, does not grow or takes longer
// than a quarter of a year.
func CheckDunningDays(days []int) error {
	if len(days) == 0 {
		return errors.New("name one day at least, such as 1,3,5,7")
	}
	last := 0
	for _, day := range days {
		if day <= last || day > maxDunningDay {
			return fmt.Errorf("%d is not a day after %d and up to %d: days grow, such as 1,3,5,7", day, last, maxDunningDay)
		}
		last = day
	}
	return nil
}

// DunningAction is what happens next to an unpaid invoice.
type DunningAction string

// The actions.
const (
	// DunningRest: nothing, before its time has come or somebody does something.
	DunningRest DunningAction = "rest"
	// DunningAwait: a try is in flight; nothing else is charged meanwhile.
	DunningAwait DunningAction = "await"
	// DunningCharge: the card is charged now.
	DunningCharge DunningAction = "charge"
	// DunningPass: the time has come and there is no card to charge; the customer is
	// told, and the schedule goes on as if the charge had failed.
	DunningPass DunningAction = "pass"
)

// DunningStep is the next step of an unpaid invoice.
type DunningStep struct {
	Action DunningAction
	// Origin says, when charging, why.
	Origin models.InvoicePaymentOrigin
}

// NextDunning decides what happens to an unpaid invoice at that time (R33). What is
// in flight is waited for before anything. A card that was put is tried at once, past
// due or not; else the schedule decides, which a past due invoice has behind it.
func NextDunning(c models.Collection, at time.Time) DunningStep {
	switch {
	case c.InFlight != 0:
		return DunningStep{Action: DunningAwait}
	case !c.Owed() || c.InReview:
		return DunningStep{Action: DunningRest}
	case c.CardChanged && isNews(c) && refuseCard(c) == nil:
		return DunningStep{Action: DunningCharge, Origin: models.PaidByNewCard}
	case c.Status == models.InvoicePastDue || c.DueAt == nil || at.Before(*c.DueAt):
		return DunningStep{Action: DunningRest}
	case refuseCard(c) != nil:
		return DunningStep{Action: DunningPass}
	}
	return DunningStep{Action: DunningCharge, Origin: models.PaidAutomatically}
}

// isNews says whether the card that was put gives a reason to try at once: it is
// another one, or what was wrong with its data may be right now. The same card
// entered again, for a tax ID say (R41), is no reason.
func isNews(c models.Collection) bool {
	return c.ChasedFrom != nil && (c.Fingerprint != c.FailedCard || DeclineFor(c.DeclineCode).Class == FixData)
}

// CheckInvoicePayment refuses a payment by hand that cannot get better with the card
// that there is. The error is a [*Refusal].
func CheckInvoicePayment(c models.Collection) error {
	if refusal := refuseCard(c); refusal != nil {
		return refusal
	}
	return nil
}

// refuseCard says why the account's card is not to be charged for the invoice: there
// is none, it was declined in a way that no repeat makes better, or as often as the
// networks allow (R27).
func refuseCard(c models.Collection) *Refusal {
	if !c.HasCard {
		return &Refusal{Code: CodeCardRequired, Message: "There is no card to charge. Add one, then pay."}
	}
	if c.CardDeclines >= NetworkDeclines {
		return &Refusal{Code: CodeNewCardRequired, Message: "The card was declined as often as its network allows in 30 days. Use another card."}
	}
	if c.Fingerprint != c.FailedCard {
		return nil
	}
	decline := DeclineFor(c.DeclineCode)
	if decline.Class == Never || decline.Class == FixData && !c.CardChanged {
		return &Refusal{Code: CodeNewCardRequired, Message: decline.Message}
	}
	return nil
}

// AfterFailure says how the schedule goes on when a try has failed at that time: when
// the next one is, nil when there is none and the invoice is past due, and from when
// the days count. A day that went by meanwhile, in an outage say, is not made up for.
// Where the law has a customer told ahead of a charge (R36) a try is sent that much
// ahead of its day: Stripe tells them, and the money moves on the day.
func AfterFailure(c models.Collection, days []int, at time.Time) (from time.Time, next *time.Time) {
	from = at
	if c.ChasedFrom != nil {
		from = *c.ChasedFrom
	}
	if c.Status == models.InvoicePastDue {
		return from, nil
	}
	notice := time.Duration(ChargeRule(c.RulesTerritory, c.Territory, c.IssuedIn).NoticeHours) * time.Hour
	for _, day := range days {
		if try := from.Add(time.Duration(day)*24*time.Hour - notice); try.After(at) {
			return from, &try
		}
	}
	return from, nil
}
