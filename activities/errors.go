package activities

import (
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/stripe/stripe-go/v76"
)

// meaning is what an error of a call to Stripe says about its effect.
type meaning string

const (
	// meaningDeclined: the bank said no. Nothing was charged.
	meaningDeclined meaning = "declined"
	// meaningLater: Stripe did not take the request. Nothing was charged, and the
	// same request may be sent again.
	meaningLater meaning = "later"
	// meaningUnknown: the request may have had its effect. Look, do not repeat (R20).
	meaningUnknown meaning = "unknown"
	// meaningRefused: Stripe says that the request is wrong. No repeat will help.
	meaningRefused meaning = "refused"
)

// codeMandateInvalid: the bank was not asked, because the customer's standing
// permission is not in force (R36). For the customer that is a decline.
const codeMandateInvalid = "payment_intent_mandate_invalid"

// stripeMeanings is the table: the first row that fits decides.
var stripeMeanings = []struct {
	name    string
	fits    func(status int, e *stripe.Error) bool
	meaning meaning
}{
	{"card error", func(_ int, e *stripe.Error) bool { return e.Type == stripe.ErrorTypeCard }, meaningDeclined},
	{"mandate in force no more", func(_ int, e *stripe.Error) bool { return e.Code == codeMandateInvalid }, meaningDeclined},
	{"rate limit or lock", func(s int, _ *stripe.Error) bool { return s == http.StatusTooManyRequests }, meaningLater},
	{"key revoked or wrong", func(s int, _ *stripe.Error) bool { return s == http.StatusUnauthorized || s == http.StatusForbidden }, meaningLater},
	{"the same key is being processed", func(s int, _ *stripe.Error) bool { return s == http.StatusConflict }, meaningUnknown},
	{"Stripe failed", func(s int, _ *stripe.Error) bool { return s >= 500 }, meaningUnknown},
	{"request refused", func(s int, _ *stripe.Error) bool { return s >= 400 }, meaningRefused},
}

// meaningOf classifies an error of a call to Stripe. A connection that was never
// made sent nothing; whatever else is not Stripe's own word is unknown.
func meaningOf(err error) meaning {
	var e *stripe.Error
	if errors.As(err, &e) {
		for _, row := range stripeMeanings {
			if row.fits(e.HTTPStatusCode, e) {
				return row.meaning
			}
		}
		return meaningUnknown
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return meaningLater
	}
	return meaningUnknown
}

// plain is an error of a call to Stripe without what it may quote of a customer:
// activity errors are kept in histories and logs (I9).
func plain(operation string, err error) error {
	var e *stripe.Error
	if errors.As(err, &e) {
		return fmt.Errorf("%s: Stripe answered %d %s %s (request %s)", operation, e.HTTPStatusCode, e.Type, e.Code, e.RequestID)
	}
	var op net.Error
	if errors.As(err, &op) && op.Timeout() {
		return fmt.Errorf("%s: Stripe did not answer in time", operation)
	}
	var dial *net.OpError
	if errors.As(err, &dial) {
		return fmt.Errorf("%s: no connection to Stripe (%s)", operation, dial.Op)
	}
	return fmt.Errorf("%s: no usable answer from Stripe", operation)
}

// stripeError is Stripe's own word in err, nil if it has none.
func stripeError(err error) *stripe.Error {
	var e *stripe.Error
	errors.As(err, &e)
	return e
}

func errorCode(err error) string {
	if e := stripeError(err); e != nil {
		if e.Code != "" {
			return string(e.Code)
		}
		return string(e.Type)
	}
	return ""
}
