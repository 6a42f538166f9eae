package activities

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
)

// CardVerifier has a card verified that is to become an account's (R40). The front
// door does so while its caller waits, and a workflow where the bank takes longer;
// both do the same.
type CardVerifier struct {
	API   *client.API
	Store *ledger.Ledger
	// ReturnURL is where a bank sends the customer after they have answered it.
	ReturnURL string
	Now       func() time.Time
}

// Cards goes on with verifications that wait. A card goes from Stripe to the database
// and through no history (I9).
type Cards struct {
	Verifier *CardVerifier
}

// MetadataCardSetup is the name under which a SetupIntent carries its setup.
const MetadataCardSetup = "card_setup_id"

// CardSetupRef names a verification.
type CardSetupRef struct {
	SetupID string `json:"setup_id"`
}

// CardSetupStep is what a verification waits for.
type CardSetupStep struct {
	State CardSetupWaits `json:"state"`
}

// CardSetupWaits is what a verification waits for; it has ended with CardSetupEnded.
type CardSetupWaits string

// What a verification waits for.
const (
	CardSetupOnBank    CardSetupWaits = "bank"
	CardSetupOnMandate CardSetupWaits = "mandate"
	CardSetupEnded     CardSetupWaits = "ended"
)

// AdvanceCardSetup asks Stripe how a verification stands and does what follows from
// that: the switch to the new card, or the end without it. When the customer's time
// is over the SetupIntent is taken back, and Stripe's answer to that decides: an
// approval a moment before counts. One that was replaced is taken back as well.
func (a *Cards) AdvanceCardSetup(ctx context.Context, in CardSetupRef) (CardSetupStep, error) {
	defer heartbeat(ctx)()
	c := a.Verifier
	setup, err := c.Store.CardSetup(ctx, in.SetupID)
	if err != nil {
		return CardSetupStep{}, err
	}
	if setup.Ended() {
		return CardSetupStep{State: CardSetupEnded}, c.takeBack(ctx, setup)
	}
	if !c.Now().Before(setup.ExpiresAt) {
		setup, err = c.giveUp(ctx, setup)
	}
	if err == nil && !setup.Ended() {
		setup, err = c.verify(ctx, setup, c.Now().Before(setup.ExpiresAt))
	}
	switch {
	case errors.Is(err, errMandatePending):
		return CardSetupStep{State: CardSetupOnMandate}, nil
	case err != nil:
		return CardSetupStep{}, plainly("verify card", err)
	case setup.Ended():
		return CardSetupStep{State: CardSetupEnded}, nil
	}
	return CardSetupStep{State: CardSetupOnBank}, nil
}

// Verify has the bank verify a card whose setup is stored, and answers the setup
// as it then is: verified, and the card is the account's; waiting for the customer;
// or refused. An error of Stripe's that leaves open what became of the request leaves
// the setup open, to be gone on with.
func (c *CardVerifier) Verify(ctx context.Context, setup models.CardSetup) (models.CardSetup, error) {
	return c.verify(ctx, setup, false)
}

// verify asks Stripe, and settles what it says. A mandate that is still being
// registered is waited for only by who has the time.
func (c *CardVerifier) verify(ctx context.Context, setup models.CardSetup, patient bool) (models.CardSetup, error) {
	intent, err := c.setupIntent(ctx, setup)
	if err == nil {
		return c.settle(ctx, setup, intent, patient)
	}
	switch meaningOf(err) {
	case meaningDeclined:
		return c.Store.EndCardSetup(ctx, setup.ID, models.CardRefused, declineCode(stripeError(err)), c.Now())
	case meaningRefused:
		ended, storing := c.Store.EndCardSetup(ctx, setup.ID, models.CardCanceled, "", c.Now())
		return ended, errors.Join(storing, err)
	case meaningLater, meaningUnknown:
	}
	return setup, err
}

// setupIntent reads the verification's SetupIntent, or makes it. The key is the
// setup's own, so that however often it is sent it asks the bank once.
func (c *CardVerifier) setupIntent(ctx context.Context, setup models.CardSetup) (*stripe.SetupIntent, error) {
	if setup.SetupIntentID != nil {
		params := &stripe.SetupIntentParams{}
		params.Context = ctx
		return c.API.SetupIntents.Get(*setup.SetupIntentID, params)
	}
	params := &stripe.SetupIntentParams{
		Customer:           stripe.String(setup.CustomerID),
		PaymentMethod:      stripe.String(setup.PaymentMethodID),
		PaymentMethodTypes: []*string{stripe.String("card")},
		Usage:              stripe.String(string(stripe.SetupIntentUsageOffSession)),
		Confirm:            stripe.Bool(true),
		ReturnURL:          stripe.String(c.ReturnURL),
		Metadata:           map[string]string{MetadataAccount: setup.AccountID, MetadataCardSetup: setup.ID},
	}
	if setup.MandateWanted {
		params.PaymentMethodOptions = mandateOptions(setup)
	}
	params.SetIdempotencyKey("card-setup/" + setup.ID + "/1")
	params.Context = ctx
	return c.API.SetupIntents.New(params)
}

// mandateOptions is what the customer agrees to in India: charges of up to that
// amount, whenever credits are needed or an invoice is due (R36).
func mandateOptions(setup models.CardSetup) *stripe.SetupIntentPaymentMethodOptionsParams {
	return &stripe.SetupIntentPaymentMethodOptionsParams{Card: &stripe.SetupIntentPaymentMethodOptionsCardParams{
		MandateOptions: &stripe.SetupIntentPaymentMethodOptionsCardMandateOptionsParams{
			Amount:         stripe.Int64(billing.MandateCents),
			AmountType:     stripe.String("maximum"),
			Currency:       stripe.String(string(stripe.CurrencyUSD)),
			Interval:       stripe.String("sporadic"),
			Reference:      stripe.String(setup.ID),
			StartDate:      stripe.Int64(setup.CreatedAt.Unix()),
			SupportedTypes: []*string{stripe.String("india")},
		},
	}}
}

// settle does what follows from a SetupIntent's state.
func (c *CardVerifier) settle(ctx context.Context, setup models.CardSetup, intent *stripe.SetupIntent, patient bool) (models.CardSetup, error) {
	switch intent.Status {
	case stripe.SetupIntentStatusSucceeded:
		return c.accept(ctx, setup, intent, patient)
	case stripe.SetupIntentStatusRequiresPaymentMethod:
		code := noReason
		if intent.LastSetupError != nil {
			code = declineCode(intent.LastSetupError)
		}
		return c.Store.EndCardSetup(ctx, setup.ID, models.CardRefused, code, c.Now())
	case stripe.SetupIntentStatusCanceled:
		return c.Store.EndCardSetup(ctx, setup.ID, models.CardCanceled, "", c.Now())
	case stripe.SetupIntentStatusRequiresAction, stripe.SetupIntentStatusRequiresConfirmation, stripe.SetupIntentStatusProcessing:
	}
	link := ""
	if intent.NextAction != nil && intent.NextAction.RedirectToURL != nil {
		link = intent.NextAction.RedirectToURL.URL
	}
	return c.Store.NoteCardSetup(ctx, setup.ID, intent.ID, link)
}

// errMandatePending: the bank took the card and still registers the mandate.
var errMandatePending = errors.New("mandate is being registered")

// accept makes a verified card the account's, unless the checks that came with the
// verification speak against it (R41).
func (c *CardVerifier) accept(ctx context.Context, setup models.CardSetup, intent *stripe.SetupIntent, patient bool) (models.CardSetup, error) {
	params := &stripe.PaymentMethodParams{}
	params.Context = ctx
	method, err := c.API.PaymentMethods.Get(setup.PaymentMethodID, params)
	if err != nil {
		return setup, err
	}
	code := refusalOf(method)
	if code == "" {
		code, err = c.mandateRefusal(ctx, intent, patient)
	}
	if err != nil {
		return setup, err
	}
	if code == "" {
		err = c.Store.PutCard(ctx, verifiedCard(setup, intent, method, c.Now()))
	}
	if errors.Is(err, ledger.ErrAddressMismatch) {
		// Put twice at once, with two addresses: the other one was first.
		code, err = "incorrect_address", nil
	}
	if code != "" {
		return c.Store.EndCardSetup(ctx, setup.ID, models.CardRefused, code, c.Now())
	}
	if err != nil && !errors.Is(err, ledger.ErrCardSetupEnded) {
		return setup, err
	}
	return c.Store.CardSetup(ctx, setup.ID)
}

// refusalOf is the decline code of a card that its bank took and we don't; "" if we
// do too.
func refusalOf(method *stripe.PaymentMethod) string {
	if method.Card == nil {
		return billing.CodeUnsupportedCard
	}
	var refusal *billing.Refusal
	if errors.As(billing.CheckCard(string(method.Card.Brand), string(method.Card.Funding)), &refusal) {
		return refusal.Code
	}
	if checks := method.Card.Checks; checks != nil {
		return billing.FailedCheck(string(checks.AddressLine1Check), string(checks.AddressPostalCodeCheck), string(checks.CVCCheck))
	}
	return ""
}

// mandateRefusal looks whether the bank took the mandate, where there is one. A
// mandate that nobody can read is left to the first charge.
func (c *CardVerifier) mandateRefusal(ctx context.Context, intent *stripe.SetupIntent, patient bool) (code string, err error) {
	if intent.Mandate == nil {
		return "", nil
	}
	params := &stripe.MandateParams{}
	params.Context = ctx
	mandate, err := c.API.Mandates.Get(intent.Mandate.ID, params)
	if err != nil {
		if NotServed(err) {
			return "", nil
		}
		return "", err
	}
	switch mandate.Status {
	case stripe.MandateStatusInactive:
		return billing.CodeMandateInactive, nil
	case stripe.MandateStatusPending:
		if patient {
			return "", errMandatePending
		}
	case stripe.MandateStatusActive:
	}
	return "", nil
}

// plainly is plain for errors of Stripe; those of the database quote nobody.
func plainly(operation string, err error) error {
	var unreached *url.Error
	if stripeError(err) != nil || errors.As(err, &unreached) {
		return plain(operation, err)
	}
	return err
}

// NotServed says that what was asked for is not served at all.
func NotServed(err error) bool {
	e := stripeError(err)
	return e != nil && (e.HTTPStatusCode == http.StatusNotFound || e.HTTPStatusCode == http.StatusMethodNotAllowed ||
		e.HTTPStatusCode == http.StatusNotImplemented)
}

func verifiedCard(setup models.CardSetup, intent *stripe.SetupIntent, method *stripe.PaymentMethod, at time.Time) models.Card {
	card := models.Card{
		AccountID: setup.AccountID, PaymentMethodID: method.ID,
		Brand: string(method.Card.Brand), Funding: string(method.Card.Funding), Last4: method.Card.Last4,
		ExpMonth: int(method.Card.ExpMonth), ExpYear: int(method.Card.ExpYear), Fingerprint: Fingerprint(method),
		Address: setup.Address(), TaxIDType: setup.TaxIDType, TaxIDValue: setup.TaxIDValue,
		SetupID: &setup.ID, SetupIntentID: intent.ID, UpdatedAt: at,
	}
	if intent.Mandate != nil {
		card.MandateID = &intent.Mandate.ID
	}
	if method.Card.Country != "" {
		card.IssuedIn = &method.Card.Country
	}
	return card
}

// Fingerprint is the same for the same card number. Where Stripe gives none a
// payment method is like no other.
func Fingerprint(method *stripe.PaymentMethod) string {
	return cmp.Or(method.Card.Fingerprint, method.ID)
}

// giveUp takes back a SetupIntent whose customer did not answer in time. The
// verification expires if that was done; else what Stripe says then counts.
func (c *CardVerifier) giveUp(ctx context.Context, setup models.CardSetup) (models.CardSetup, error) {
	if setup.SetupIntentID != nil {
		if err := c.cancelSetup(ctx, *setup.SetupIntentID); err != nil {
			if meaningOf(err) == meaningRefused {
				return setup, nil
			}
			return setup, err
		}
	}
	return c.Store.EndCardSetup(ctx, setup.ID, models.CardExpired, "", c.Now())
}

// takeBack cancels the SetupIntent of a verification that ended without its
// customer's answer. One that is over at Stripe as well is left alone.
func (c *CardVerifier) takeBack(ctx context.Context, setup models.CardSetup) error {
	if setup.State != models.CardReplaced || setup.SetupIntentID == nil {
		return nil
	}
	if err := c.cancelSetup(ctx, *setup.SetupIntentID); err != nil && meaningOf(err) != meaningRefused {
		return plain("take back card setup", err)
	}
	return nil
}

func (c *CardVerifier) cancelSetup(ctx context.Context, id string) error {
	params := &stripe.SetupIntentCancelParams{CancellationReason: stripe.String(string(stripe.SetupIntentCancellationReasonAbandoned))}
	params.Context = ctx
	_, err := c.API.SetupIntents.Cancel(id, params)
	return err
}
