package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

func (s *Server) authorizationRoutes(api huma.API) {
	support, tags := []models.Role{models.RoleSupport}, []string{"Support"}
	route(s, api, huma.Operation{
		OperationID: "list-authorizations", Method: http.MethodGet, Path: "/v1/support/accounts/{id}/authorizations", Tags: tags,
		Summary: "List an account's payments that its bank wanted approved, newest first", Errors: []int{http.StatusNotFound},
	}, support, s.listAuthorizations)
	route(s, api, huma.Operation{
		OperationID: "resend-authorization", Method: http.MethodPost, Path: "/v1/support/authorizations/{id}/resend", Tags: tags,
		Summary: "Mail a new link, which ends the one before",
		Errors:  []int{http.StatusNotFound, http.StatusConflict},
	}, support, s.resendAuthorization)
	route(s, api, huma.Operation{
		OperationID: "cancel-authorization", Method: http.MethodPost, Path: "/v1/support/authorizations/{id}/cancel", Tags: tags,
		Summary:       "Call a payment off that waits for approval, unless the bank has approved it",
		Description:   "202: the cancellation is on its way to the bank, whose answer decides. The list shows the outcome.",
		DefaultStatus: http.StatusAccepted,
		Errors:        []int{http.StatusNotFound, http.StatusConflict},
	}, support, s.cancelAuthorization)
}

// Authorization is a payment that waits, or waited, for its customer's approval. It
// holds no link: those go to the customer alone.
type Authorization struct {
	ID          string     `json:"id"`
	AccountID   string     `json:"account_id"`
	Purpose     string     `json:"purpose" enum:"purchase,invoice"`
	SubjectID   string     `json:"subject_id" doc:"The purchase or the invoice."`
	Attempt     int        `json:"attempt" doc:"Which attempt to pay it."`
	AmountCents int64      `json:"amount_cents"`
	State       string     `json:"state" enum:"created,sent,opened,approved,refused,expired,replaced,canceled"`
	Closing     *string    `json:"closing,omitempty" enum:"replaced,canceled" doc:"How it is about to end, unless the bank has approved."`
	Links       int64      `json:"links" doc:"How many links there were; the newest alone is good."`
	Mails       int        `json:"mails" doc:"How many mails went out about the newest link, reminders included."`
	CreatedAt   time.Time  `json:"created_at"`
	SentAt      *time.Time `json:"sent_at"`
	OpenedAt    *time.Time `json:"opened_at" doc:"When somebody with the link went on to the bank."`
	ExpiresAt   time.Time  `json:"expires_at"`
	EndedAt     *time.Time `json:"ended_at"`
}

func authorizationView(a models.Authorization) Authorization {
	return Authorization{
		ID: a.ID, AccountID: a.AccountID, Purpose: string(a.Purpose), SubjectID: a.SubjectID, Attempt: a.Attempt, AmountCents: a.AmountCents,
		State: string(a.State), Closing: (*string)(a.Closing), Links: a.Generation, Mails: a.Mails,
		CreatedAt: a.CreatedAt, SentAt: a.SentAt, OpenedAt: a.OpenedAt, ExpiresAt: a.ExpiresAt, EndedAt: a.EndedAt,
	}
}

type authorizationsOutput struct {
	Body struct {
		Authorizations []Authorization `json:"authorizations" doc:"At most 200."`
	}
}

func (s *Server) listAuthorizations(ctx context.Context, in *accountInput) (*authorizationsOutput, error) {
	if _, err := s.account(ctx, in.ID); err != nil {
		return nil, err
	}
	all, err := s.Store.Authorizations(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &authorizationsOutput{}
	out.Body.Authorizations = make([]Authorization, len(all))
	for i, a := range all {
		out.Body.Authorizations[i] = authorizationView(a)
	}
	return out, nil
}

type changeAuthorizationInput struct {
	ID   string `path:"id"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"2000" doc:"Why; for the audit log."`
	}
}

type authorizationOutput struct{ Body Authorization }

func (s *Server) resendAuthorization(ctx context.Context, in *changeAuthorizationInput) (*authorizationOutput, error) {
	a, err := s.authorization(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	a, err = s.Store.ResendAuthorization(ctx, a.ID, s.Now().Add(s.AuthorizationLasts),
		s.audit(ctx, "resend_authorization", a.AccountID, "authorization/"+a.ID, in.Body.Reason))
	return &authorizationOutput{Body: authorizationView(a)}, endedAlready(err)
}

func (s *Server) cancelAuthorization(ctx context.Context, in *changeAuthorizationInput) (*authorizationOutput, error) {
	a, err := s.authorization(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	err = s.Store.CloseAuthorization(ctx, a.ID, s.audit(ctx, "cancel_authorization", a.AccountID, "authorization/"+a.ID, in.Body.Reason))
	if err != nil {
		return nil, endedAlready(err)
	}
	a, err = s.Store.Authorization(ctx, a.ID)
	return &authorizationOutput{Body: authorizationView(a)}, err
}

func (s *Server) authorization(ctx context.Context, id string) (models.Authorization, error) {
	if err := pathID("The authorization", id); err != nil {
		return models.Authorization{}, err
	}
	a, err := s.Store.Authorization(ctx, id)
	return a, named("The authorization", err)
}

// endedAlready says that what was there a moment ago has ended, or is about to.
func endedAlready(err error) error {
	if errors.Is(err, ledger.ErrNotFound) {
		return problem(http.StatusConflict, "authorization_ended", "The authorization has ended, or is about to. The account's list of authorizations says how.")
	}
	return err
}
