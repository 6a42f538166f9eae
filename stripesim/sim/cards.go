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
	// asksUntilSetUp is a card that has to be set up for them first.
	asksUntilSetUp
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
	refuses    string // decline code of saving it by a SetupIntent; empty approves
	processing bool   // the bank answers later
	line1Check string // result of the address checks; empty is pass
	zipCheck   string
	cvcCheck   string
	risk       string // Radar's risk level; empty is normal
	disputes   string // reason of the dispute that follows each charge
	inquires   bool   // that dispute is an inquiry first
	refund     string // how a refund goes on: empty, refundPends or refundFails
	india      string // what comes of an off-session payment under a mandate
}

// How a refund goes on after Stripe has answered; empty is not at all.
const (
	refundPends = "pends" // pending first, succeeded later
	refundFails = "fails" // succeeded first, failed later
)

// What comes of an off-session payment under a mandate in India.
const (
	mandateWorks   = "works"     // charged after the notice
	mandatePaused  = "paused"    // the customer stops the payment at the notice
	noticeFails    = "no notice" // the bank cannot send the notice
	mandateRevoked = "revoked"   // the customer cancels the mandate
)

// testCards are Stripe's test cards, https://docs.stripe.com/testing, and those of
// India's e-mandates, https://docs.stripe.com/india-recurring-payments#testing.
var testCards = []card{
	{key: "4242424242424242", ids: []string{"pm_card_visa", "pm_card_us"}},
	{key: "4000056655665556", ids: []string{"pm_card_visa_debit"}, funding: "debit"},
	{key: "5555555555554444", ids: []string{"pm_card_mastercard"}, brand: "mastercard"},
	{key: "2223003122003222", brand: "mastercard"},
	{key: "5200828282828210", ids: []string{"pm_card_mastercard_debit"}, brand: "mastercard", funding: "debit"},
	{key: "5105105105105100", ids: []string{"pm_card_mastercard_prepaid"}, brand: "mastercard", funding: "prepaid"},
	{key: "378282246310005", ids: []string{"pm_card_amex", "pm_card_amex_threeDSecureNotSupported"}, brand: "amex"},
	{key: "371449635398431", brand: "amex"},
	{key: "6011111111111117", ids: []string{"pm_card_discover"}, brand: "discover"},
	{key: "6011000990139424", brand: "discover"},
	{key: "6011981111111113", brand: "discover", funding: "debit"},
	{key: "3056930009020004", ids: []string{"pm_card_diners"}, brand: "diners"},
	{key: "36227206271667", brand: "diners"},
	{key: "3566002020360505", ids: []string{"pm_card_jcb"}, brand: "jcb"},
	{key: "6200000000000005", ids: []string{"pm_card_unionpay"}, brand: "unionpay"},
	{key: "6200000000000047", brand: "unionpay", funding: "debit"},
	{key: "6205500000000000004", brand: "unionpay"},

	{key: "4000000000000010", ids: []string{"pm_card_avsFail"}, line1Check: "fail", zipCheck: "fail"},
	{key: "4000000000000028", ids: []string{"pm_card_avsLine1Fail"}, line1Check: "fail"},
	{key: "4000000000000036", ids: []string{"pm_card_avsZipFail"}, zipCheck: "fail"},
	{key: "4000000000000044", ids: []string{"pm_card_avsUnchecked"}, line1Check: "unavailable", zipCheck: "unavailable"},
	{key: "4000000000000101", ids: []string{"pm_card_cvcCheckFail"}, cvcCheck: "fail"},

	{key: "4000000000000002", ids: []string{"pm_card_visa_chargeDeclined", "pm_card_chargeDeclined"}, decline: "generic_decline"},
	{key: "4000000000009995", ids: []string{"pm_card_visa_chargeDeclinedInsufficientFunds", "pm_card_chargeDeclinedInsufficientFunds"}, decline: "insufficient_funds"},
	{key: "4000000000009987", ids: []string{"pm_card_visa_chargeDeclinedLostCard", "pm_card_chargeDeclinedLostCard"}, decline: "lost_card"},
	{key: "4000000000009979", ids: []string{"pm_card_visa_chargeDeclinedStolenCard", "pm_card_chargeDeclinedStolenCard"}, decline: "stolen_card"},
	{key: "4000000000000069", ids: []string{"pm_card_chargeDeclinedExpiredCard"}, decline: "expired_card"},
	{key: "4000000000000127", ids: []string{"pm_card_chargeDeclinedIncorrectCvc"}, decline: "incorrect_cvc"},
	{key: "4000000000000119", ids: []string{"pm_card_chargeDeclinedProcessingError"}, decline: "processing_error"},
	{key: "4000000000006975", ids: []string{"pm_card_visa_chargeDeclinedVelocityLimitExceeded"}, decline: "card_velocity_exceeded"},
	{key: "4100000000000019", ids: []string{"pm_card_chargeDeclinedFraudulent", "pm_card_radarBlock"}, decline: "fraudulent", risk: "highest"},
	{key: "4000000000004954", ids: []string{"pm_card_riskLevelHighest"}, decline: "fraudulent", attaches: true, risk: "highest"},
	{key: "4000000000009235", ids: []string{"pm_card_riskLevelElevated"}, risk: "elevated"},
	{key: "4000000000000341", ids: []string{"pm_card_chargeCustomerFail"}, decline: "generic_decline", attaches: true},

	{key: "4000000000003055", ids: []string{"pm_card_threeDSecureOptional"}},
	{key: "4000000000003220", ids: []string{"pm_card_threeDSecure2Required"}, country: "IE", asks: alwaysAsks},
	{key: "4000002500003155", ids: []string{"pm_card_authenticationRequiredOnSetup"}, country: "FR", asks: asksUntilSetUp},
	{key: "4000002760003184", ids: []string{"pm_card_authenticationRequired"}, country: "DE", asks: alwaysAsks},
	{key: "4000003800000446", ids: []string{"pm_card_authenticationRequiredSetupForOffSession"}, country: "IT", asks: asksOnSession},
	{key: "4000008400001629", ids: []string{"pm_card_threeDSecureRequiredChargeDeclined"}, asks: alwaysAsks, decline: "generic_decline", attaches: true},
	{key: "4000008400001280", ids: []string{"pm_card_threeDSecureRequiredProcessingError"}, decline: "generic_decline", attaches: true},
	{key: "4000008260003178", ids: []string{"pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"}, country: "GB", asks: alwaysAsks, decline: "insufficient_funds", attaches: true},

	{key: "4000003560000123", country: "IN", asks: alwaysAsks, india: mandateWorks},
	{key: "4000003560000297", country: "IN", asks: alwaysAsks, india: mandatePaused},
	{key: "4000003560000248", country: "IN", asks: alwaysAsks, india: noticeFails},
	{key: "4000003560000263", country: "IN", asks: alwaysAsks, india: mandateRevoked},

	{key: "4000000000000259", ids: []string{"pm_card_createDispute"}, disputes: "fraudulent"},
	{key: "4000000000002685", ids: []string{"pm_card_createDisputeProductNotReceived"}, disputes: "product_not_received"},
	{key: "4000000000001976", ids: []string{"pm_card_createDisputeInquiry"}, disputes: "fraudulent", inquires: true},

	{key: "4000000000007726", ids: []string{"pm_card_pendingRefund"}, refund: refundPends},
	{key: "4000000000005126", ids: []string{"pm_card_refundFail"}, refund: refundFails},
}

// cardsOfCountries are the plain Visa cards by the country that issued them.
var cardsOfCountries = map[string]string{
	"AT": "4000000400000008", "AU": "4000000360000006", "BE": "4000000560000004", "BG": "4000001000000000",
	"BR": "4000000760000002", "CA": "4000001240000000", "CH": "4000007560000009", "CZ": "4000002030000002",
	"DE": "4000002760000016", "DK": "4000002080000001", "EE": "4000002330000009", "ES": "4000007240000007",
	"FI": "4000002460000001", "FR": "4000002500000003", "GB": "4000008260000000", "GR": "4000003000000030",
	"HU": "4000003480000005", "IE": "4000003720000005", "IN": "4000003560000008", "IT": "4000003800000008",
	"JP": "4000003920000003", "LT": "4000004400000000", "LU": "4000004420000006", "LV": "4000004280000005",
	"MT": "4000004700000007", "MX": "4000004840008001", "NL": "4000005280000002", "NO": "4000005780000007",
	"NZ": "4000005540000008", "PL": "4000006160000005", "PT": "4000006200000007", "RO": "4000006420000001",
	"SE": "4000007520000008", "SG": "4000007020000003", "SI": "4000007050000006", "SK": "4000007030000001",
}

// The double's own ids; Stripe does not know them.
const (
	simDeclinePrefix      = "pm_sim_decline_"
	simSetupDeclinePrefix = "pm_sim_setup_decline_"
	simProcessing         = "pm_sim_processing"
	simProcessingFails    = "pm_sim_processing_fails"
	simNoCVCCheck         = "pm_sim_cvc_unavailable"
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
	for country, number := range cardsOfCountries {
		c := card{key: number, country: country}.withDefaults()
		byName[number], byName["pm_card_"+strings.ToLower(country)] = c, c
	}
	return byName
}()

// cardByName finds a card by its number, its pm_card_ id, or the double's own id.
func cardByName(name string) (card, bool) {
	if c, known := cardsByName[name]; known {
		return c, true
	}
	own := card{key: name, last4: "0341", attaches: true}
	refusal, refuses := strings.CutPrefix(name, simSetupDeclinePrefix)
	switch code, declines := strings.CutPrefix(name, simDeclinePrefix); {
	case name == simProcessing:
		own.processing = true
	case name == simProcessingFails:
		own.processing, own.decline = true, "generic_decline"
	case name == simNoCVCCheck:
		own.cvcCheck = "unavailable"
	case refuses && declineCodeForm.MatchString(refusal):
		own.refuses = refusal
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
	fill(&c.cvcCheck, "pass")
	fill(&c.risk, "normal")
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

// occasion is what a bank knows of one attempt besides the card.
type occasion struct {
	offSession    bool
	authenticated bool
	// setUp: the card was saved for off-session payments, the customer agreeing.
	setUp bool
	// challenge: the merchant wants the customer asked (request_three_d_secure).
	challenge bool
}

// judge gives the bank's verdict, and the decline code where it is decline.
func (c card) judge(o occasion) (verdict, string) {
	switch {
	case c.asksFor(o) && o.offSession:
		return decline, "authentication_required"
	case c.asksFor(o):
		return askCustomer, ""
	case c.processing:
		return answerLater, ""
	case c.decline != "":
		return decline, c.decline
	default:
		return approve, ""
	}
}

func (c card) asksFor(o occasion) bool {
	switch {
	case o.authenticated:
		return false
	case c.country == "IN" && o.offSession:
		return true // without a mandate an off-session payment is nobody's to approve
	}
	switch c.asks {
	case alwaysAsks:
		return true
	case asksUntilSetUp:
		return !o.offSession || !o.setUp
	case asksOnSession:
		return !o.offSession
	}
	return o.challenge && !o.offSession
}

// judgeSetup gives the verdict on saving the card, which a bank may want approved
// though it would not ask for a payment.
func (c card) judgeSetup(authenticated, challenge bool) (verdict, string) {
	asks := challenge || c.asks == alwaysAsks || c.asks == asksUntilSetUp
	switch {
	case asks && !authenticated:
		return askCustomer, ""
	case c.refusesAttachment():
		return decline, c.decline
	case c.refuses != "":
		return decline, c.refuses
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
