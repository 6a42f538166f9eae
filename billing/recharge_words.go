package billing

import (
	"fmt"
	"time"

	"github.com/paystage/paystage/models"
)

// RechargeState is where an account's auto-recharge is, as the customer sees it.
type RechargeState string

// The states. They are part of the public contract and never change.
const (
	// RechargeOff: the customer has it switched off.
	RechargeOff RechargeState = "off"
	// RechargeIdle: it is on, and there is nothing to buy.
	RechargeIdle RechargeState = "idle"
	// RechargeUnderWay: something is being bought, or is about to be.
	RechargeUnderWay RechargeState = "recharging"
	// RechargePaused: it is on, and buys nothing until something changes.
	RechargePaused RechargeState = "paused"
	// RechargeStopped: it was switched off because of the card.
	RechargeStopped RechargeState = "stopped"
)

// RechargeNow is what a customer is told of auto-recharge.
type RechargeNow struct {
	State RechargeState
	// Halt and Until say, when paused or stopped, why and until when; a nil Until
	// is until something is done.
	Halt  models.RechargeHalt
	Until *time.Time
	// Sentence says it in words, and what to do.
	Sentence string
}

// DescribeRecharge says where an account's auto-recharge is at that time. It is the
// loop's own next step, so that what is shown is what will happen.
func DescribeRecharge(r models.Recharge, at time.Time) (RechargeNow, error) {
	step, err := NextRecharge(r, at)
	if err != nil {
		return RechargeNow{}, err
	}
	switch {
	case step.Action == RechargeAwait:
		return RechargeNow{State: RechargeUnderWay, Sentence: fmt.Sprintf("A recharge of %s is under way.", dollars(r.AmountCents))}, nil
	case !r.Enabled:
		return RechargeNow{State: RechargeOff, Sentence: "Auto-recharge is off."}, nil
	case step.Action == RechargeBuy:
		return RechargeNow{State: RechargeUnderWay, Sentence: fmt.Sprintf("A recharge of %s is about to begin.", dollars(r.AmountCents))}, nil
	case step.Action == RechargeRest:
		return RechargeNow{State: RechargeIdle, Sentence: fmt.Sprintf(
			"Auto-recharge is on: %s are bought when the balance falls below %s.", dollars(r.AmountCents), dollars(r.ThresholdCents))}, nil
	}
	now := RechargeNow{State: RechargePaused, Halt: step.Halt, Until: step.Until, Sentence: HaltSentence(step.Halt, r.DeclineCode, step.Until)}
	if step.Halt.Off() {
		now.State = RechargeStopped
	}
	return now, nil
}

// haltSentences say why nothing is bought and what to do. A %s takes the sentence
// of the decline where there is one, else the time at which it goes on.
var haltSentences = map[models.RechargeHalt]string{
	models.HaltCardRefused:    "Auto-recharge is switched off, as this card cannot be charged any more. %s It goes on with another card.",
	models.HaltTriesUsedUp:    "Auto-recharge is switched off, as the card was declined three times in a row. %s Switch it on again then, or use another card.",
	models.HaltCardData:       "Auto-recharge is paused until the card's details are put right. %s It goes on when you have entered the card again, or another one.",
	models.HaltAuthentication: "Auto-recharge is paused, as your bank wants to hear from you before it approves. Use another card, or switch auto-recharge off and on again when your bank allows payments without you.",
	models.HaltApproval:       "Auto-recharge is paused, as your bank wants you to approve a recharge first. We have sent a link to your email address, which is good until %s. It goes on by itself once you have approved, or with another card.",
	models.HaltRetry:          "Auto-recharge is paused, as the card was declined. %s It is tried again by itself on %s.",
	models.HaltNetworkLimit:   "Auto-recharge is paused until %s: the card was declined as often as its network allows in 30 days. Another card can be charged at once.",
	models.HaltMonthlyCap:     "Auto-recharge is paused until %s: your monthly cap does not allow another purchase. Raise the cap, or buy credits yourself.",
	models.HaltHourlyLimit:    "Auto-recharge is paused until %s: it bought ten times within an hour. If that is what you want, confirm the plan that the settings show.",
	models.HaltHeld:           "Automatic payments are on hold on our side. Yours goes on by itself as soon as that is over; you can buy credits yourself meanwhile.",
}

// HaltSentence says why auto-recharge buys nothing, and what to do. code is
// Stripe's decline code where a decline led to it; what it must not tell it doesn't.
func HaltSentence(halt models.RechargeHalt, code string, until *time.Time) string {
	var words []any
	if halt.OfCard() && halt != models.HaltAuthentication && halt != models.HaltApproval {
		words = append(words, DeclineFor(code).Message)
	}
	if until != nil {
		words = append(words, until.UTC().Format("2 January 2006, 15:04 UTC"))
	}
	return fmt.Sprintf(haltSentences[halt], words...)
}
