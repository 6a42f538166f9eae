package letters

import (
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
)

// RechargeHalted says that auto-recharge buys nothing for now, why, and what to do
// (R26, R27). code is Stripe's, where a decline led to it.
func RechargeHalted(to Reader, halt models.RechargeHalt, code string, until *time.Time) Letter {
	subject := "Auto-recharge is paused"
	if halt.Off() {
		subject = "Auto-recharge is switched off"
	}
	return write(to, page{
		subject: subject,
		paragraphs: []string{
			billing.HaltSentence(halt, code, until),
			"Your balance is not refilled meanwhile. Your billing page shows how it stands.",
		},
	})
}
