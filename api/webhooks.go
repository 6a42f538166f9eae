package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"
)

const (
	// tolerance is how far an event's time may lie from ours, either way (F16).
	tolerance = 300 * time.Second
	// maxEvent bounds an event's body in bytes.
	maxEvent = 1 << 20
)

type webhookInput struct {
	Signature string `header:"Stripe-Signature"`
	RawBody   []byte
}

type webhookOutput struct {
	Body struct {
		Received bool `json:"received"`
		Fresh    bool `json:"fresh" doc:"False for an event that came before."`
	}
}

func (s *Server) webhookRoutes(api huma.API) {
	op := huma.Operation{
		OperationID: "stripe-webhook", Method: http.MethodPost, Path: "/webhooks/stripe", Tags: []string{"Webhooks"},
		Summary:      "Take an event of Stripe: verified, stored, then acted upon",
		MaxBodyBytes: maxEvent,
	}
	route(s, api, op, nil, s.takeWebhook)
}

// takeWebhook verifies an event over its raw body and stores it before it
// answers: what is answered with 200 is not lost. What the event says is not
// believed; its purchase asks Stripe again (F11 to F17).
func (s *Server) takeWebhook(ctx context.Context, in *webhookInput) (*webhookOutput, error) {
	now := s.Now()
	if err := s.verify(in.RawBody, in.Signature, now); err != nil {
		return nil, err
	}
	var event stripe.Event
	if err := json.Unmarshal(in.RawBody, &event); err != nil || event.ID == "" || event.Data == nil {
		return nil, problem(http.StatusBadRequest, "malformed_event", "The body is signed, but it is not an event of Stripe.")
	}
	if event.APIVersion != stripe.APIVersion {
		return nil, s.wrongVersion(ctx, event.APIVersion, now)
	}
	fresh, err := s.Store.RecordStripeEvent(ctx, storedEvent(event, now))
	if err != nil {
		return nil, err
	}
	out := &webhookOutput{}
	out.Body.Received, out.Body.Fresh = true, fresh
	return out, nil
}

// verify checks a signature with each of the secrets, and the time it was made:
// stripe-go refuses what is too old, but takes what comes from the future.
func (s *Server) verify(body []byte, signature string, now time.Time) error {
	// stripe-go signs with the last time of several; one is all that Stripe sends.
	if strings.Count(signature, "t=") != 1 {
		return invalidSignature()
	}
	for _, secret := range s.WebhookSecrets {
		err := webhook.ValidatePayloadIgnoringTolerance(body, signature, secret)
		if errors.Is(err, webhook.ErrNoValidSignature) {
			continue
		}
		if err != nil {
			break
		}
		if age := now.Sub(signedAt(signature)); age.Abs() > tolerance {
			return problem(http.StatusBadRequest, "event_out_of_time",
				"The event was signed over 5 minutes from now. Check this machine's clock; Stripe will send the event again.")
		}
		return nil
	}
	return invalidSignature()
}

func invalidSignature() error {
	return problem(http.StatusBadRequest, "invalid_signature",
		"The Stripe-Signature header does not match the body. Check that STRIPE_WEBHOOK_SECRET is this endpoint's signing secret, and that nothing between Stripe and here changes the body.")
}

// signedAt reads the time of a signature that was found valid.
func signedAt(signature string) time.Time {
	for pair := range strings.SplitSeq(signature, ",") {
		if seconds, ok := strings.CutPrefix(pair, "t="); ok {
			unix, _ := strconv.ParseInt(seconds, 10, 64) // a valid signature has a valid time
			return time.Unix(unix, 0)
		}
	}
	return time.Time{}
}

// wrongVersion refuses an event of another API version, tells a person, and says
// what to do (F17). Stripe sends it again for three days, and lookups do without.
func (s *Server) wrongVersion(ctx context.Context, version string, now time.Time) error {
	detail := fmt.Sprintf("The webhook endpoint sends events of API version %.40q; this program reads %s. "+
		"Create the endpoint at Stripe with api_version=%s and remove the other.", version, stripe.APIVersion, stripe.APIVersion)
	err := s.Store.RaiseAlert(ctx, models.Alert{
		Kind: models.AlertWebhookVersion, Subject: "webhooks/stripe", Detail: detail, RaisedAt: now,
	})
	if err != nil {
		return err
	}
	return problem(http.StatusBadRequest, "wrong_api_version", detail)
}

// storedEvent is what is kept of an event.
func storedEvent(event stripe.Event, now time.Time) ledger.StripeEvent {
	var object struct {
		ID       string            `json:"id"`
		Metadata map[string]string `json:"metadata"`
	}
	// An object that reads otherwise concerns nobody.
	_ = json.Unmarshal(event.Data.Raw, &object)
	stored := ledger.StripeEvent{
		ID: event.ID, Type: string(event.Type), ObjectID: object.ID,
		CreatedAt: time.Unix(event.Created, 0).UTC(), ReceivedAt: now,
	}
	stored.PurchaseID = idIn(object.Metadata, activities.MetadataPurchase)
	stored.InvoiceID = idIn(object.Metadata, activities.MetadataInvoice)
	return stored
}

// idIn is the id that the metadata holds by that name, "" if it holds none.
func idIn(metadata map[string]string, name string) string {
	if _, err := uuid.Parse(metadata[name]); err != nil {
		return ""
	}
	return metadata[name]
}
