package billing_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

var noonOf3rd = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// wanting is an account that is $20.00 short of its threshold, and would buy $10.00.
func wanting() models.Recharge {
	return models.Recharge{
		AccountID: "a", Configured: true, HasCard: true, Fingerprint: "fp",
		RechargeSettings: models.RechargeSettings{Enabled: true, AmountCents: 1000, ThresholdCents: 2000},
	}
}

func after(d time.Duration) *time.Time { return new(noonOf3rd.Add(d)) }

func TestNextRecharge(t *testing.T) {
	t.Parallel()
	december := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*models.Recharge)
		want   billing.RechargeStep
	}{
		"R25: below the threshold":     {func(*models.Recharge) {}, billing.RechargeStep{Action: billing.RechargeBuy}},
		"a micro-dollar below":         {func(r *models.Recharge) { r.BalanceMicros = 19_999_999 }, billing.RechargeStep{Action: billing.RechargeBuy}},
		"at the threshold":             {func(r *models.Recharge) { r.BalanceMicros = 20_000_000 }, billing.RechargeStep{Action: billing.RechargeRest}},
		"F27: bought by hand":          {func(r *models.Recharge) { r.InFlightCents = 2000 }, billing.RechargeStep{Action: billing.RechargeRest}},
		"F27: a cent short by hand":    {func(r *models.Recharge) { r.InFlightCents = 1999 }, billing.RechargeStep{Action: billing.RechargeBuy}},
		"off":                          {func(r *models.Recharge) { r.Enabled = false }, billing.RechargeStep{Action: billing.RechargeRest}},
		"R26: one in flight":           {func(r *models.Recharge) { r.PurchaseID = new("p") }, billing.RechargeStep{Action: billing.RechargeAwait}},
		"off with one in flight":       {func(r *models.Recharge) { r.PurchaseID, r.Enabled = new("p"), false }, billing.RechargeStep{Action: billing.RechargeAwait}},
		"no card":                      {func(r *models.Recharge) { r.HasCard = false }, billing.RechargeStep{Action: billing.RechargeRest}},
		"held":                         {func(r *models.Recharge) { r.Held = true }, halted(models.HaltHeld, nil)},
		"R27: a dead card":             {func(r *models.Recharge) { r.CardHalt.Halt = models.HaltCardRefused }, halted(models.HaltCardRefused, nil)},
		"a dead card, nothing to buy":  {func(r *models.Recharge) { r.CardHalt.Halt, r.ThresholdCents = models.HaltCardRefused, 0 }, halted(models.HaltCardRefused, nil)},
		"R27: a pause":                 {func(r *models.Recharge) { r.CardHalt = retryUntil(after(time.Second)) }, halted(models.HaltRetry, after(time.Second))},
		"R27: a pause that is over":    {func(r *models.Recharge) { r.CardHalt = retryUntil(after(0)) }, billing.RechargeStep{Action: billing.RechargeBuy}},
		"14 declines":                  {func(r *models.Recharge) { r.CardDeclines = 14 }, billing.RechargeStep{Action: billing.RechargeBuy}},
		"R27: 15 declines":             {func(r *models.Recharge) { r.CardDeclines, r.CardDeclinesUntil = 15, after(time.Hour) }, halted(models.HaltNetworkLimit, after(time.Hour))},
		"within the cap":               {func(r *models.Recharge) { r.MonthlyCapCents, r.SpentCents = new(int64(5000)), 4000 }, billing.RechargeStep{Action: billing.RechargeBuy}},
		"R26: a cent past the cap":     {func(r *models.Recharge) { r.MonthlyCapCents, r.SpentCents = new(int64(5000)), 4001 }, halted(models.HaltMonthlyCap, &december)},
		"far past a cap that was less": {func(r *models.Recharge) { r.MonthlyCapCents, r.SpentCents = new(int64(1000)), math.MaxInt64 }, halted(models.HaltMonthlyCap, &december)},
		"nine in an hour":              {func(r *models.Recharge) { r.MadeLastHour = 9 }, billing.RechargeStep{Action: billing.RechargeBuy}},
		"R26: ten in an hour":          {func(r *models.Recharge) { r.MadeLastHour = 10 }, halted(models.HaltHourlyLimit, after(time.Hour))},
		"stopped for the hour":         {func(r *models.Recharge) { r.Halt, r.HaltUntil = models.HaltHourlyLimit, after(time.Minute) }, halted(models.HaltHourlyLimit, after(time.Minute))},
		"the hour is over":             {func(r *models.Recharge) { r.Halt, r.HaltUntil = models.HaltHourlyLimit, after(0) }, billing.RechargeStep{Action: billing.RechargeBuy}},
		"ten, and confirmed": {func(r *models.Recharge) {
			r.MadeLastHour, r.ConfirmedPurchases, r.ConfirmedAt, r.MadeSinceConfirmed = 10, 11, after(-time.Hour), 10
		}, billing.RechargeStep{Action: billing.RechargeBuy}},
		"all that was confirmed": {func(r *models.Recharge) {
			r.MadeLastHour, r.ConfirmedPurchases, r.ConfirmedAt, r.MadeSinceConfirmed = 11, 11, after(-time.Hour), 11
		}, halted(models.HaltHourlyLimit, after(time.Hour))},
		"confirmed yesterday": {func(r *models.Recharge) {
			r.MadeLastHour, r.ConfirmedPurchases, r.ConfirmedAt, r.MadeSinceConfirmed = 10, 99, after(-24*time.Hour), 10
		}, halted(models.HaltHourlyLimit, after(time.Hour))},
		"confirmed after a stop": {func(r *models.Recharge) {
			r.Halt, r.HaltUntil, r.ConfirmedPurchases, r.ConfirmedAt = models.HaltHourlyLimit, after(time.Minute), 4, after(0)
		}, billing.RechargeStep{Action: billing.RechargeBuy}},
		"the card before the cap": {func(r *models.Recharge) {
			r.CardHalt.Halt, r.MonthlyCapCents, r.SpentCents = models.HaltCardData, new(int64(1000)), 1000
		}, halted(models.HaltCardData, nil)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := wanting()
			c.change(&r)
			got, err := billing.NextRecharge(r, noonOf3rd)
			if err != nil || got.Action != c.want.Action || got.Halt != c.want.Halt || (got.Until == nil) != (c.want.Until == nil) ||
				got.Until != nil && !got.Until.Equal(*c.want.Until) {
				t.Errorf("got %+v %v, want %+v", got, err, c.want)
			}
		})
	}
}

func halted(halt models.RechargeHalt, until *time.Time) billing.RechargeStep {
	return billing.RechargeStep{Action: billing.RechargeHalted, Halt: halt, Until: until}
}

func retryUntil(until *time.Time) models.CardHalt {
	return models.CardHalt{Halt: models.HaltRetry, DeclineCode: "insufficient_funds", Tries: 1, Until: until}
}

func TestMonthlyCapEndsWithTheMonth(t *testing.T) {
	t.Parallel()
	r := wanting()
	r.MonthlyCapCents = new(int64(0))
	for at, want := range map[string]string{
		"2026-11-30T23:59:59Z": "2026-12-01T00:00:00Z", "2026-12-31T12:00:00Z": "2027-01-01T00:00:00Z",
		"2026-11-30T20:00:00-05:00": "2027-01-01T00:00:00Z", "2028-02-29T00:00:00Z": "2028-03-01T00:00:00Z",
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		got, err := billing.NextRecharge(r, now)
		if err != nil || got.Until == nil || got.Until.Format(time.RFC3339) != want {
			t.Errorf("at %s it ends %v, want %s", at, got.Until, want)
		}
	}
}

// R27: what each class of the decline table means for the card, to the end.
func TestAfterDecline(t *testing.T) {
	t.Parallel()
	hour := func(n int) *time.Time { return after(time.Duration(n) * time.Hour) }
	soft := map[billing.DeclineClass][2]*time.Time{
		billing.BackOff: {hour(1), hour(24)}, billing.LookUp: {hour(1), hour(24)}, billing.Sparingly: {hour(6), hour(72)},
	}
	hard := map[billing.DeclineClass]models.RechargeHalt{
		billing.Never: models.HaltCardRefused, billing.FixData: models.HaltCardData, billing.Authenticate: models.HaltAuthentication,
	}
	codes := append(billing.Declines(), billing.DeclineFor("a_code_of_2031"), billing.DeclineFor(""))
	for _, decline := range codes {
		for tries := range 4 {
			got := billing.AfterDecline(decline.Code, tries, noonOf3rd)
			want := models.CardHalt{Halt: hard[decline.Class], DeclineCode: decline.Code, Tries: tries}
			if pauses, ok := soft[decline.Class]; ok {
				want.Tries, want.Halt = tries+1, models.HaltTriesUsedUp
				if tries < 2 {
					want.Halt, want.Until = models.HaltRetry, pauses[tries]
				}
			}
			if got.Halt != want.Halt || got.Tries != want.Tries || got.DeclineCode != want.DeclineCode || (got.Until == nil) != (want.Until == nil) ||
				got.Until != nil && !got.Until.Equal(*want.Until) || got.Halt == "" {
				t.Errorf("%s after %d tries: got %+v, want %+v", decline.Code, tries, got, want)
			}
		}
	}
}

// Every halt has a sentence without a hole, whatever led to it, and says nothing that
// a bank only suspects.
func TestEveryHaltHasItsSentence(t *testing.T) {
	t.Parallel()
	ends := map[models.RechargeHalt]bool{models.HaltRetry: true, models.HaltNetworkLimit: true, models.HaltMonthlyCap: true, models.HaltHourlyLimit: true}
	seen := map[string]bool{}
	for _, halt := range []models.RechargeHalt{
		models.HaltCardRefused, models.HaltTriesUsedUp, models.HaltCardData, models.HaltAuthentication, models.HaltRetry,
		models.HaltNetworkLimit, models.HaltMonthlyCap, models.HaltHourlyLimit, models.HaltHeld,
	} {
		var until *time.Time
		if ends[halt] {
			until = after(0)
		}
		sentence := billing.HaltSentence(halt, "stolen_card", until)
		if len(sentence) < 40 || !strings.HasSuffix(sentence, ".") || strings.Contains(sentence, "%") || strings.Contains(sentence, "stolen") || seen[sentence] {
			t.Errorf("%s says %q", halt, sentence)
		}
		if ends[halt] != strings.Contains(sentence, "3 November 2026, 12:00 UTC") {
			t.Errorf("%s says, of when it ends, %q", halt, sentence)
		}
		seen[sentence] = true
	}
}

// The plan is the least number of increments that meet the threshold, and never
// beyond the cap.
func TestPlanIsTheLeastThatMeetsTheThreshold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := wanting()
		r.AmountCents = rapid.Int64Range(billing.MinPurchaseCents, billing.DefaultMaxPurchaseCents).Draw(t, "amount")
		r.ThresholdCents = rapid.Int64Range(0, billing.MaxThresholdCents).Draw(t, "threshold")
		r.BalanceMicros = rapid.Int64Range(-1e12, 1e12).Draw(t, "balance")
		r.InFlightCents = rapid.Int64Range(0, 1e6).Draw(t, "in flight")
		plan, err := billing.PlanRecharge(r)
		if err != nil {
			t.Fatal(err)
		}
		reaches := func(n int64) bool {
			return r.BalanceMicros+(r.InFlightCents+n*r.AmountCents)*int64(money.Cent) >= r.ThresholdCents*int64(money.Cent)
		}
		if !reaches(plan.Purchases) || plan.Purchases > 0 && reaches(plan.Purchases-1) || plan.TotalCents != plan.Purchases*r.AmountCents || plan.Capped {
			t.Fatalf("the plan is %+v", plan)
		}
		r.MonthlyCapCents = new(rapid.Int64Range(r.AmountCents, 1e7).Draw(t, "cap"))
		r.SpentCents = rapid.Int64Range(0, 1e7).Draw(t, "spent")
		capped, err := billing.PlanRecharge(r)
		if err != nil || capped.Purchases > plan.Purchases || capped.Capped != (capped.Purchases < plan.Purchases) ||
			capped.Purchases > 0 && r.SpentCents+capped.TotalCents > *r.MonthlyCapCents ||
			capped.Capped && r.SpentCents+capped.TotalCents+r.AmountCents <= *r.MonthlyCapCents {
			t.Fatalf("with the cap it is %+v, without %+v: %v", capped, plan, err)
		}
	})
}

// R1: what does not fit is an error, never a wrap.
func TestRechargeOfABalanceThatDoesNotFit(t *testing.T) {
	t.Parallel()
	r := wanting()
	r.BalanceMicros = math.MinInt64
	if _, err := billing.NextRecharge(r, noonOf3rd); err == nil {
		t.Error("no error")
	}
	if _, err := billing.PlanRecharge(r); err == nil {
		t.Error("no error")
	}
	if _, err := billing.DescribeRecharge(r, noonOf3rd); err == nil {
		t.Error("no error")
	}
}
