package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// authentication says when a card's bank asks the customer.
type authentication int

const (
	_ authentication = iota // the zero value: the bank never asks
	// asksOnSession is a card already set up for off-session payments.
	asksOnSession
	alwaysAsks
)

// card is a test card: what it is and what its bank does.
type card struct {
	// key finds the card again: its number, or the id of one of the double's own.
	key     string
	ids     []string
	last4   string
	brand   string
	funding string
	country string

	asks       authentication
	decline    string // decline code of each charge; empty approves
	attaches   bool   // a declining card that can be attached all the same
	processing bool   // the bank answers later
	line1Check string // result of the address checks; empty is pass
	zipCheck   string
}

// testCards are Stripe's test cards, https://docs.stripe.com/testing.
var testCards = []card{
	{key: "4242424242424242", ids: []string{"pm_card_visa", "pm_card_us"}},
	{key: "4000056655665556", ids: []string{"pm_card_visa_debit"}, funding: "debit"},
	{key: "5555555555554444", ids: []string{"pm_card_mastercard"}, brand: "mastercard"},
	{key: "2223003122003222", brand: "mastercard"},
	{key: "5200828282828210", ids: []string{"pm_card_mastercard_debit"}, brand: "mastercard", funding: "debit"},
	{key: "5105105105105100", ids: []string{"pm_card_mastercard_prepaid"}, brand: "mastercard", funding: "prepaid"},
	{key: "378282246310005", ids: []string{"pm_card_amex"}, brand: "amex"},
	{key: "371449635398431", brand: "amex"},
	{key: "6011111111111117", ids: []string{"pm_card_discover"}, brand: "discover"},
	{key: "3056930009020004", ids: []string{"pm_card_diners"}, brand: "diners"},
	{key: "3566002020360505", ids: []string{"pm_card_jcb"}, brand: "jcb"},
	{key: "6200000000000005", ids: []string{"pm_card_unionpay"}, brand: "unionpay"},

	{key: "4000001240000000", ids: []string{"pm_card_ca"}, country: "CA"},
	{key: "4000002500000003", ids: []string{"pm_card_fr"}, country: "FR"},
	{key: "4000002760000016", ids: []string{"pm_card_de"}, country: "DE"},
	{key: "4000008260000000", ids: []string{"pm_card_gb"}, country: "GB"},

	{key: "4000000000000010", ids: []string{"pm_card_avsFail"}, line1Check: "fail", zipCheck: "fail"},
	{key: "4000000000000028", ids: []string{"pm_card_avsLine1Fail"}, line1Check: "fail"},
	{key: "4000000000000036", ids: []string{"pm_card_avsZipFail"}, zipCheck: "fail"},
	{key: "4000000000000044", ids: []string{"pm_card_avsUnchecked"}, line1Check: "unavailable", zipCheck: "unavailable"},

	{key: "4000000000000002", ids: []string{"pm_card_visa_chargeDeclined", "pm_card_chargeDeclined"}, decline: "generic_decline"},
	{key: "4000000000009995", ids: []string{"pm_card_visa_chargeDeclinedInsufficientFunds", "pm_card_chargeDeclinedInsufficientFunds"}, decline: "insufficient_funds"},
	{key: "4000000000009987", ids: []string{"pm_card_visa_chargeDeclinedLostCard", "pm_card_chargeDeclinedLostCard"}, decline: "lost_card"},
	{key: "4000000000009979", ids: []string{"pm_card_visa_chargeDeclinedStolenCard", "pm_card_chargeDeclinedStolenCard"}, decline: "stolen_card"},
	{key: "4000000000000069", ids: []string{"pm_card_chargeDeclinedExpiredCard"}, decline: "expired_card"},
	{key: "4000000000000127", ids: []string{"pm_card_chargeDeclinedIncorrectCvc"}, decline: "incorrect_cvc"},
	{key: "4000000000000119", ids: []string{"pm_card_chargeDeclinedProcessingError"}, decline: "processing_error"},
	{key: "4000000000006975", ids: []string{"pm_card_visa_chargeDeclinedVelocityLimitExceeded"}, decline: "card_velocity_exceeded"},
	{key: "4100000000000019", ids: []string{"pm_card_chargeDeclinedFraudulent", "pm_card_radarBlock"}, decline: "fraudulent"},
	{key: "4000000000000341", ids: []string{"pm_card_chargeCustomerFail"}, decline: "generic_decline", attaches: true},

	{key: "4000000000003055", ids: []string{"pm_card_threeDSecureOptional"}},
	{key: "4000000000003220", ids: []string{"pm_card_threeDSecure2Required"}, asks: alwaysAsks},
	{key: "4000002500003155", ids: []string{"pm_card_authenticationRequiredOnSetup"}, asks: alwaysAsks},
	{key: "4000002760003184", ids: []string{"pm_card_authenticationRequired"}, asks: alwaysAsks},
	{key: "4000003800000446", ids: []string{"pm_card_authenticationRequiredSetupForOffSession"}, asks: asksOnSession},
	{key: "4000008400001629", ids: []string{"pm_card_threeDSecureRequiredChargeDeclined"}, asks: alwaysAsks, decline: "generic_decline", attaches: true},
	{key: "4000008260003178", ids: []string{"pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"}, asks: alwaysAsks, decline: "insufficient_funds", attaches: true},
}

// The double's own ids; Stripe does not know them.
const (
	simDeclinePrefix   = "pm_sim_decline_"
	simProcessing      = "pm_sim_processing"
	simProcessingFails = "pm_sim_processing_fails"
)

var declineCodeForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// cardsByName finds a test card by its number and by each of its ids.
var cardsByName = func() map[string]card {
	byName := make(map[string]card)
	for _, c := range testCards {
		byName[c.key] = c.withDefaults()
		for _, id := range c.ids {
			byName[id] = c.withDefaults()
		}
	}
	return byName
}()

// cardByName finds a card by its number, its pm_card_ id, or the double's own id.
func cardByName(name string) (card, bool) {
	if c, known := cardsByName[name]; known {
		return c, true
	}
	own := card{key: name, last4: "0341", attaches: true}
	switch code, declines := strings.CutPrefix(name, simDeclinePrefix); {
	case name == simProcessing:
		own.processing = true
	case name == simProcessingFails:
		own.processing, own.decline = true, "generic_decline"
	case declines && declineCodeForm.MatchString(code):
		own.decline = code
	default:
		return card{}, false
	}
	return own.withDefaults(), true
}

func (c card) withDefaults() card {
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&c.brand, "visa")
	fill(&c.funding, "credit")
	fill(&c.country, "US")
	fill(&c.line1Check, "pass")
	fill(&c.zipCheck, "pass")
	if c.last4 == "" {
		c.last4 = c.key[len(c.key)-4:]
	}
	return c
}

// fingerprint is the same for the same number, whatever payment method holds it.
func (c card) fingerprint() string {
	sum := sha256.Sum256([]byte("card fingerprint " + c.key))
	return hex.EncodeToString(sum[:8])
}

// refusesAttachment tells whether saving the card already ends in its decline.
func (c card) refusesAttachment() bool { return c.decline != "" && !c.attaches }

// verdict is what the bank says to a confirmation.
type verdict int

const (
	approve verdict = iota
	decline
	askCustomer
	answerLater
)

// judge gives the bank's verdict, and the decline code where it is decline.
func (c card) judge(offSession, authenticated bool) (verdict, string) {
	asks := c.asks == alwaysAsks || (c.asks == asksOnSession && !offSession)
	switch {
	case asks && !authenticated && offSession:
		return decline, "authentication_required"
	case asks && !authenticated:
		return askCustomer, ""
	case c.processing:
		return answerLater, ""
	case c.decline != "":
		return decline, c.decline
	default:
		return approve, ""
	}
}

// validLuhn tells whether the digits of a card number add up.
func validLuhn(number string) bool {
	if len(number) < 12 || len(number) > 19 {
		return false
	}
	sum := 0
	for i := range len(number) {
		digit := int(number[len(number)-1-i] - '0')
		if digit < 0 || digit > 9 {
			return false
		}
		if i%2 == 1 {
			digit *= 2
			if digit > 9 {
				digit -= 9
			}
		}
		sum += digit
	}
	return sum%10 == 0
}
