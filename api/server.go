package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"
	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/links"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/workflows"
	"github.com/stripe/stripe-go/v76/client"
	"github.com/valyala/fastjson"
	temporal "go.temporal.io/sdk/client"
)

const (
	// maxBody bounds a request's body, in bytes, where its route says nothing else.
	maxBody = 64 << 10
	// bodyTimeout bounds how long a body may take to arrive.
	bodyTimeout = 10 * time.Second
	// answerWithin bounds how long a handler works on an answer, beyond the longest
	// that a caller may ask it to wait.
	answerWithin = maxWait + 30*time.Second
)

// Options is what the front door is built from.
type Options struct {
	Store    *ledger.Ledger
	Temporal temporal.Client
	Queues   workflows.Queues
	Stripe   *client.API
	// ReturnURL is where a bank sends the customer who was asked about a card.
	ReturnURL string
	// WebhookSecrets verify Stripe's events; any of them does, for rotation (F48).
	WebhookSecrets []string
	// Gateways gives the base URLs of the gateways that must hold an entitlement.
	Gateways func() []string
	// MaxPurchaseCents is the most for one purchase (R2).
	MaxPurchaseCents int64
	// Seller is who sells, as documents name it.
	Seller models.Seller
	// Company is who sells, as customers know it, and URL the front door as they reach it.
	Company string
	URL     string
	// Links verifies the links in mails.
	Links links.Keyring
	// AuthorizationLasts is how long a new link to approve a payment is good.
	AuthorizationLasts time.Duration
	Now                func() time.Time
	Log                *slog.Logger
}

// Server is the front door.
type Server struct {
	Options
	payments *activities.Stripe
	cards    *activities.CardVerifier
	approval *activities.Approval
	watch    *watch
	prices   *prices
	usage    *ledger.UsageWriter
	parsers  fastjson.ParserPool
	handler  http.Handler
	// answerWithin is the const of that name, except in tests.
	answerWithin time.Duration
}

// New builds the front door. Its watch over purchases runs until ctx ends. Close it
// when no request is under way any more.
func New(ctx context.Context, o Options) *Server {
	s := &Server{
		Options:  o,
		payments: &activities.Stripe{API: o.Stripe},
		cards:    &activities.CardVerifier{API: o.Stripe, Store: o.Store, ReturnURL: o.ReturnURL, Now: o.Now},
		approval: &activities.Approval{API: o.Stripe},
		watch:    newWatch(ctx, o.Store, o.Log),
		prices:   &prices{store: o.Store},
		usage:    ledger.NewUsageWriter(o.Store, billing.TierRules(), o.Now),

		answerWithin: answerWithin,
	}
	mux := http.NewServeMux()
	config := huma.DefaultConfig("Paystage", "1")
	config.Info.Description = "Credit purchases from the bank's approval to acknowledged limits at the API gateways."
	config.DocsPath, config.SchemasPath = "", "" // its page would be loaded from elsewhere
	config.CreateHooks = nil                     // they would add a $schema to every answer
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		bearer: {Type: "http", Scheme: "bearer", Description: "A role key, made by `starter keys create`."},
	}
	routes := humago.New(mux, config)
	s.accountRoutes(routes)
	s.purchaseRoutes(routes)
	s.limitRoutes(routes)
	s.priceRoutes(routes)
	s.usageRoutes(routes)
	s.deploymentRoutes(routes)
	s.costRoutes(routes)
	s.asOfRoutes(routes)
	s.rechargeRoutes(routes)
	s.supportRoutes(routes)
	s.invoiceRoutes(routes)
	s.authorizationRoutes(routes)
	s.invoicePaymentRoutes(routes)
	s.monthRoutes(routes)
	s.detailRoutes(routes)
	s.chargeRuleRoutes(routes)
	s.keyRoutes(routes)
	s.apiKeyRoutes(routes)
	s.exceptionRoutes(routes)
	s.gatewayRoutes(routes)
	s.webhookRoutes(routes)
	s.plainRoutes(mux)
	s.handler = s.logged(mux)
	go s.watch.run(ctx)
	go s.noteSeller(ctx)
	return s
}

// Close ends what the front door runs beside its requests.
func (s *Server) Close() { s.usage.Close() }

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// bodyErrors are what a body can be refused with before it is acted upon.
var bodyErrors = []int{
	http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity,
}

// route registers an operation for the callers with one of the roles. With none
// it is open to all.
func route[In, Out any](s *Server, api huma.API, op huma.Operation, roles []models.Role, handle func(context.Context, *In) (*Out, error)) {
	op.BodyReadTimeout = bodyTimeout
	op.Errors = append(op.Errors, http.StatusServiceUnavailable)
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = maxBody
	}
	if len(roles) > 0 {
		op.Security = []map[string][]string{{bearer: {}}}
		op.Middlewares = huma.Middlewares{s.authorize(api, roles)}
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden)
	}
	if op.Method == http.MethodPost || op.Method == http.MethodPut {
		op.Errors = append(op.Errors, bodyErrors...)
	}
	huma.Register(api, op, func(ctx context.Context, in *In) (*Out, error) {
		var out *Out
		err := checkText(in)
		if err == nil {
			err = s.within(ctx, func(ctx context.Context) (err error) {
				out, err = handle(ctx, in)
				return err
			})
		}
		if err == nil {
			return out, nil
		}
		p, known := problemOf(err)
		if !known && !errors.Is(err, context.Canceled) {
			s.Log.Error("request failed", "operation", op.OperationID, "error", err)
		}
		return nil, p
	})
}

// errHangs: the answer took longer than a caller should wait.
var errHangs = errors.New("no answer in time")

// within bounds what is done for a request. What takes longer hangs, as a database
// may that closes no connection: the caller is told to come back.
func (s *Server) within(ctx context.Context, do func(context.Context) error) error {
	bounded, cancel := context.WithTimeoutCause(ctx, s.answerWithin, errHangs)
	defer cancel()
	err := do(bounded)
	if err != nil && errors.Is(context.Cause(bounded), errHangs) {
		return fmt.Errorf("%w: %w: %w", ledger.ErrUnavailable, errHangs, err)
	}
	return err
}

// pathID checks an id of a path: one that is no id names nothing.
func pathID(what, id string) error {
	if _, err := uuid.Parse(id); err != nil || len(id) != 36 {
		return notFound(what)
	}
	return nil
}

// named makes a not-found error say what was not found.
func named(what string, err error) error {
	if errors.Is(err, ledger.ErrNotFound) {
		return notFound(what)
	}
	return err
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}
