package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// Exception is what support has set for one account alone.
type Exception struct {
	ID        string     `json:"id"`
	Model     string     `json:"model,omitempty" doc:"The model that it is about."`
	Class     string     `json:"class,omitempty" doc:"Or the class of requests: llm, embeddings or rerank."`
	Access    string     `json:"access,omitempty" doc:"allow opens the model whatever the tier, deny closes it."`
	RPM       *int64     `json:"requests_per_minute,omitempty"`
	Until     *time.Time `json:"until,omitempty" doc:"When it ends by itself."`
	Reason    string     `json:"reason"`
	CreatedAt time.Time  `json:"created_at"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`
}

func exceptionView(x models.AccountException) Exception {
	return Exception{
		ID: x.ID, Model: x.Model, Class: string(x.Class), Access: string(x.Access), RPM: x.RPM, Until: x.Until,
		Reason: x.Reason, CreatedAt: x.CreatedAt, EndedAt: x.EndedAt,
	}
}

type putExceptionInput struct {
	ID   string `path:"id"`
	Body struct {
		Model  string     `json:"model,omitempty" maxLength:"200" doc:"The model that it is about, by its id."`
		Class  string     `json:"class,omitempty" doc:"Or the class of requests: llm, embeddings or rerank."`
		Access string     `json:"access,omitempty" doc:"For a model: allow opens it whatever the tier, deny closes it."`
		RPM    *int64     `json:"requests_per_minute,omitempty" minimum:"0" maximum:"100000000" doc:"In place of the tier's, or the model's own."`
		Until  *time.Time `json:"until,omitempty" doc:"When it ends by itself; without end if left out."`
		Reason string     `json:"reason" minLength:"1" maxLength:"2000" doc:"Why; for the audit log."`
	}
}

type endExceptionInput struct {
	ID          string `path:"id"`
	ExceptionID string `path:"exception"`
	Body        struct {
		Reason string `json:"reason" minLength:"1" maxLength:"2000" doc:"Why; for the audit log."`
	}
}

type exceptionOutput struct{ Body Exception }

type exceptionsOutput struct {
	Body struct {
		Exceptions []Exception `json:"exceptions"`
	}
}

func (s *Server) exceptionRoutes(api huma.API) {
	support := []models.Role{models.RoleSupport}
	const path = "/v1/support/accounts/{id}/exceptions"
	tags := []string{"Support"}
	route(s, api, huma.Operation{
		OperationID: "put-exception", Method: http.MethodPost, Path: path, Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Change an account's access to a model, or its rate limit, in the place of the exception before",
		Errors:  []int{http.StatusNotFound, http.StatusConflict},
	}, support, s.putException)
	route(s, api, huma.Operation{
		OperationID: "list-exceptions", Method: http.MethodGet, Path: path, Tags: tags,
		Summary: "List the newest exceptions of an account, those that have ended too", Errors: []int{http.StatusNotFound},
	}, support, s.listExceptions)
	route(s, api, huma.Operation{
		OperationID: "end-exception", Method: http.MethodPost, Path: path + "/{exception}/end", Tags: tags,
		Summary: "End an exception now", Errors: []int{http.StatusNotFound},
	}, support, s.endException)
}

func (s *Server) putException(ctx context.Context, in *putExceptionInput) (*exceptionOutput, error) {
	account, err := s.account(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	b := in.Body
	x := models.AccountException{
		ID: id, AccountID: account.ID, Model: b.Model, Class: models.Class(b.Class), Access: models.Access(b.Access),
		RPM: b.RPM, Until: b.Until, Reason: b.Reason, CreatedAt: s.Now(),
	}
	if err := checkException(x); err != nil {
		return nil, err
	}
	entry := s.audit(ctx, "put_exception", account.ID, "exception/"+id, b.Reason)
	if entry.Detail, err = json.Marshal(map[string]any{
		"model": x.Model, "class": x.Class, "access": x.Access, "requests_per_minute": x.RPM, "until": x.Until,
	}); err != nil {
		return nil, err
	}
	err = s.Store.PutException(ctx, x, entry)
	if errors.Is(err, ledger.ErrTooMany) {
		return nil, problem(http.StatusConflict, "too_many_exceptions", fmt.Sprintf(
			"The account has %d exceptions in force, which is as many as it may. End one first.", ledger.MaxExceptions))
	}
	if err != nil {
		return nil, err
	}
	return &exceptionOutput{Body: exceptionView(x)}, nil
}

// checkException refuses what would say nothing, or two things at once.
func checkException(x models.AccountException) error {
	wrong := ""
	switch {
	case (x.Model == "") == (x.Class == ""):
		wrong = "Name either a model or a class of requests."
	case x.Class != "" && !slices.Contains(models.Classes(), x.Class):
		wrong = fmt.Sprintf("There is no class %q. The classes are llm, embeddings and rerank.", x.Class)
	case x.Access != models.AccessByTier && x.Access != models.AccessAllow && x.Access != models.AccessDeny:
		wrong = "access is allow or deny, or left out."
	case x.Access != models.AccessByTier && x.Model == "":
		wrong = "access is about one model. Name the model."
	case x.Access == models.AccessByTier && x.RPM == nil:
		wrong = "Set access or requests_per_minute, or both."
	case x.Until != nil && !x.Until.After(x.CreatedAt):
		wrong = "until must be in the future."
	default:
		return nil
	}
	return problem(http.StatusUnprocessableEntity, "invalid_exception", wrong)
}

func (s *Server) listExceptions(ctx context.Context, in *accountInput) (*exceptionsOutput, error) {
	if _, err := s.account(ctx, in.ID); err != nil {
		return nil, err
	}
	all, err := s.Store.AccountExceptions(ctx, in.ID, nil)
	if err != nil {
		return nil, err
	}
	out := &exceptionsOutput{}
	out.Body.Exceptions = exceptionViews(all)
	return out, nil
}

func exceptionViews(all []models.AccountException) []Exception {
	views := make([]Exception, len(all))
	for i, x := range all {
		views[i] = exceptionView(x)
	}
	return views
}

func (s *Server) endException(ctx context.Context, in *endExceptionInput) (*exceptionOutput, error) {
	if err := pathID("The account", in.ID); err != nil {
		return nil, err
	}
	if err := pathID("The exception", in.ExceptionID); err != nil {
		return nil, err
	}
	entry := s.audit(ctx, "end_exception", in.ID, "exception/"+in.ExceptionID, in.Body.Reason)
	x, err := s.Store.EndException(ctx, in.ID, in.ExceptionID, entry)
	if err != nil {
		return nil, named("The exception", err)
	}
	return &exceptionOutput{Body: exceptionView(x)}, nil
}
