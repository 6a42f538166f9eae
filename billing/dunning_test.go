package billing_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

var third = time.Date(2026, 12, 3, 0, 0, 0, 0, time.UTC)

// chased is an invoice whose first try was declined with that code on the 3rd, and
// whose next day has come.
func chased(code string) models.Collection {
	return models.Collection{
		Status: models.InvoiceOpen, Attempts: 1, ChasedFrom: &third, DueAt: new(third.Add(24 * time.Hour)),
		HasCard: true, Fingerprint: "card", DeclineCode: code, FailedCard: "card",
	}
}

func TestR33NextDunning(t *testing.T) {
	charge := func(origin models.InvoicePaymentOrigin) billing.DunningStep {
		return billing.DunningStep{Action: billing.DunningCharge, Origin: origin}
	}
	rest, pass := billing.DunningStep{Action: billing.DunningRest}, billing.DunningStep{Action: billing.DunningPass}
	for name, c := range map[string]struct {
		code   string
		change func(*models.Collection)
		after  time.Duration
		want   billing.DunningStep
	}{
		"fresh": {after: 0, change: func(c *models.Collection) {
			*c = models.Collection{Status: models.InvoiceOpen, DueAt: &third, HasCard: true, Fingerprint: "card"}
		}, want: charge(models.PaidAutomatically)},
		"fresh without a card":    {change: func(c *models.Collection) { c.HasCard, c.Fingerprint = false, "" }, after: 24 * time.Hour, want: pass},
		"before the day":          {code: "insufficient_funds", after: 24*time.Hour - 1, want: rest},
		"on the day":              {code: "insufficient_funds", after: 24 * time.Hour, want: charge(models.PaidAutomatically)},
		"no reason given":         {code: "do_not_honor", after: 24 * time.Hour, want: charge(models.PaidAutomatically)},
		"no word of a bank":       {after: 24 * time.Hour, want: charge(models.PaidAutomatically)},
		"bank wants the customer": {code: "authentication_required", after: 24 * time.Hour, want: charge(models.PaidAutomatically)},
		"dead card":               {code: "lost_card", after: 24 * time.Hour, want: pass},
		"wrong data":              {code: "expired_card", after: 24 * time.Hour, want: pass},
		"card declined too often": {code: "do_not_honor", change: func(c *models.Collection) { c.CardDeclines = billing.NetworkDeclines }, after: 24 * time.Hour, want: pass},
		"in flight":               {change: func(c *models.Collection) { c.InFlight = 2 }, after: 24 * time.Hour, want: billing.DunningStep{Action: billing.DunningAwait}},
		"in review":               {change: func(c *models.Collection) { c.InReview, c.CardChanged = true, true }, after: 24 * time.Hour, want: rest},
		"void":                    {change: func(c *models.Collection) { c.Status = models.InvoiceVoid }, after: 24 * time.Hour, want: rest},
		"paid, and another card":  {change: func(c *models.Collection) { c.Status, c.CardChanged, c.Fingerprint = models.InvoicePaid, true, "other" }, want: rest},
		"past due":                {code: "do_not_honor", change: func(c *models.Collection) { c.Status = models.InvoicePastDue }, after: 24 * time.Hour, want: rest},
		"another card":            {code: "lost_card", change: func(c *models.Collection) { c.CardChanged, c.Fingerprint = true, "other" }, want: charge(models.PaidByNewCard)},
		"another card, past due": {code: "lost_card", change: func(c *models.Collection) {
			c.Status, c.CardChanged, c.Fingerprint = models.InvoicePastDue, true, "other"
		}, want: charge(models.PaidByNewCard)},
		"another card, declined too often": {code: "lost_card", change: func(c *models.Collection) { c.CardChanged, c.Fingerprint, c.CardDeclines = true, "other", 15 }, want: rest},
		"data entered again":               {code: "incorrect_zip", change: func(c *models.Collection) { c.CardChanged = true }, want: charge(models.PaidByNewCard)},
		"dead card entered again":          {code: "lost_card", change: func(c *models.Collection) { c.CardChanged = true }, want: rest},
		"same card entered for a tax id":   {code: "insufficient_funds", change: func(c *models.Collection) { c.CardChanged = true }, want: rest},
		"card before the first try": {change: func(c *models.Collection) {
			c.CardChanged, c.Fingerprint, c.ChasedFrom, c.DueAt = true, "other", nil, new(third.Add(time.Hour))
		}, want: rest},
	} {
		t.Run(name, func(t *testing.T) {
			collection := chased(c.code)
			if c.change != nil {
				c.change(&collection)
			}
			if got := billing.NextDunning(collection, third.Add(c.after)); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// A failed try on the 3rd leads to tries on the four days, and after the last of them
// the invoice is past due; what an outage let pass is not made up for.
func TestR33Schedule(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		days      []int
		territory string
		failed    []time.Duration
		want      []time.Duration
	}{
		"on time":         {failed: []time.Duration{0, day, 3 * day, 5 * day, 7 * day}, want: []time.Duration{day, 3 * day, 5 * day, 7 * day, -1}},
		"late":            {failed: []time.Duration{0, 4*day + time.Hour, 8 * day}, want: []time.Duration{day, 5 * day, -1}},
		"by hand between": {failed: []time.Duration{0, 2 * day, 2*day + 1}, want: []time.Duration{day, 3 * day, 3 * day}},
		"other days":      {days: []int{2, 10}, failed: []time.Duration{0, 2 * day, 10 * day}, want: []time.Duration{2 * day, 10 * day, -1}},
		// The notice of a day is planned ahead, so that the money moves on the day.
		"with notice": {territory: "IN", failed: []time.Duration{0, 2*day + 26*time.Hour}, want: []time.Duration{2 * day, 4 * day}},
	} {
		t.Run(name, func(t *testing.T) {
			days := c.days
			if days == nil {
				days = billing.DefaultDunningDays()
			}
			collection := models.Collection{Status: models.InvoiceOpen, Territory: c.territory}
			var got []time.Duration
			for _, failed := range c.failed {
				from, next := billing.AfterFailure(collection, days, third.Add(failed))
				if !from.Equal(third) {
					t.Fatalf("counted from %s", from)
				}
				collection.ChasedFrom = &from
				if next == nil {
					got = append(got, -1)
				} else {
					got = append(got, next.Sub(third))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	c := chased("lost_card")
	c.Status = models.InvoicePastDue
	if _, next := billing.AfterFailure(c, billing.DefaultDunningDays(), third.Add(time.Hour)); next != nil {
		t.Error("a past due invoice is charged by itself")
	}
}

// What a customer may charge by hand, and what they are told instead.
func TestR33PaymentByHand(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*models.Collection)
		code   string
		says   string
	}{
		"another try":        {change: func(c *models.Collection) { c.DeclineCode = "insufficient_funds" }},
		"no card":            {change: func(c *models.Collection) { c.HasCard = false }, code: billing.CodeCardRequired},
		"dead card":          {change: func(c *models.Collection) { c.DeclineCode = "stolen_card" }, code: billing.CodeNewCardRequired, says: billing.MessageDeclined},
		"data not put right": {change: func(c *models.Collection) { c.DeclineCode = "expired_card" }, code: billing.CodeNewCardRequired, says: billing.MessageExpired},
		"data put right":     {change: func(c *models.Collection) { c.DeclineCode, c.CardChanged = "expired_card", true }},
		"too often":          {change: func(c *models.Collection) { c.CardDeclines = 15 }, code: billing.CodeNewCardRequired},
	} {
		t.Run(name, func(t *testing.T) {
			collection := chased("")
			c.change(&collection)
			err := billing.CheckInvoicePayment(collection)
			var refusal *billing.Refusal
			if c.code == "" {
				if err != nil {
					t.Error(err)
				}
			} else if !errors.As(err, &refusal) || refusal.Code != c.code || c.says != "" && refusal.Message != c.says {
				t.Errorf("got %v, want %s: %s", err, c.code, c.says)
			}
		})
	}
}

func TestCheckDunningDays(t *testing.T) {
	for _, c := range []struct {
		days []int
		ok   bool
	}{{billing.DefaultDunningDays(), true}, {[]int{2}, true}, {nil, false}, {[]int{0, 1}, false}, {[]int{3, 3}, false}, {[]int{5, 3}, false}, {[]int{91}, false}} {
		if err := billing.CheckDunningDays(c.days); (err == nil) != c.ok {
			t.Errorf("%v: %v", c.days, err)
		}
	}
}
