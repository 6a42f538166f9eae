package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
)

// Problem is an error answer (RFC 9457). Code is what programs go by.
type Problem struct {
	Type   string `json:"type" doc:"Always about:blank: code says which problem it is." example:"about:blank"`
	Title  string `json:"title" doc:"The HTTP status in words." example:"Unprocessable Entity"`
	Status int    `json:"status" example:"422"`
	Code   string `json:"code" doc:"Stable; for programs." example:"amount_too_small"`
	Detail string `json:"detail" doc:"What is wrong and what to do." example:"The least credit purchase is $5.00. Choose a larger amount."`
	// Errors says, for a request of the wrong form, what is wrong where.
	Errors []FieldError `json:"errors,omitempty"`
	// Plan is, for confirmation_required, what there is to say yes to.
	Plan *RechargePlan `json:"plan,omitempty"`

	// headers go with the answer.
	headers http.Header
}

// FieldError is one thing wrong with a request.
type FieldError struct {
	Location string `json:"location" example:"body.amount_cents"`
	Message  string `json:"message" example:"expected integer"`
}

// Error is the code and the detail.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType makes a JSON answer a problem.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders are the headers of the answer; huma asks for them.
func (p *Problem) GetHeaders() http.Header { return p.headers }

// write answers the problem where huma does not.
func (p *Problem) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), p.headers)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// retryAfter is how many seconds a caller is asked to stay away where something that
// we need does not answer.
const retryAfter = "5"

func problem(status int, code, detail string) *Problem {
	p := &Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail, headers: http.Header{},
	}
	switch status {
	case http.StatusUnauthorized:
		p.headers.Set("WWW-Authenticate", `Bearer realm="paystage"`)
	case http.StatusServiceUnavailable:
		p.headers.Set("Retry-After", retryAfter)
	}
	return p
}

// huma has one place, for the whole program, where the form of its own errors is
// set. This package is the only one here that uses huma.
func init() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return humaProblem(status, message, errs...)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		p := humaProblem(status, message, errs...)
		if status == http.StatusRequestEntityTooLarge {
			p.Detail = fmt.Sprintf("The body is larger than the %d bytes that this route takes. Send only what it asks for.", ctx.Operation().MaxBodyBytes)
		}
		return p
	}
}

// humaProblem gives the errors that huma finds by itself (a body of the wrong
// form, say) their code and sentence. The values that a caller sent are left out:
// they may be personal (I9).
func humaProblem(status int, message string, errs ...error) *Problem {
	var fields []FieldError
	for _, err := range errs {
		var detail *huma.ErrorDetail
		if errors.As(err, &detail) {
			fields = append(fields, FieldError{Location: detail.Location, Message: detail.Message})
		}
	}
	code, sentence := formProblem(status, fields)
	if sentence == "" {
		sentence = message
	}
	p := problem(status, code, sentence)
	p.Errors = fields
	return p
}

// formProblems names the fields whose errors have a code and a sentence of their own.
var formProblems = []struct{ field, code, sentence string }{
	{"amount_cents", billing.CodeInvalidAmount, "amount_cents must be a whole number of cents, such as 2500 for $25.00."},
	{"threshold_cents", billing.CodeInvalidThreshold, "threshold_cents must be a whole number of cents, such as 5000 for $50.00."},
	{"monthly_cap_cents", billing.CodeInvalidCap, "monthly_cap_cents must be a whole number of cents, such as 50000 for $500.00; leave it out for no cap."},
	{"Idempotency-Key", "idempotency_key_required", "Send an Idempotency-Key header of 1 to 200 ASCII characters: one key for one purchase or grant, the same when you repeat it."},
	{"payment_method", codeInvalidMethod, "payment_method must be the id of a Stripe PaymentMethod, such as pm_1Q2w3E4r. Make one with Stripe.js; never send a card number."},
	{"purchased_at", "invalid_time", "purchased_at must be a time with its zone, such as 2026-11-03T14:05:00-08:00."},
	{"reason", "reason_required", "Say why, in reason: it goes into the audit log."},
}

func formProblem(status int, fields []FieldError) (code, sentence string) {
	for _, known := range formProblems {
		for _, f := range fields {
			if strings.HasSuffix(f.Location, "."+known.field) || strings.Contains(f.Message, known.field) {
				return known.code, known.sentence
			}
		}
	}
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return "body_too_large", ""
	case status == http.StatusBadRequest:
		return "malformed_request", "The request cannot be read: the body must be one JSON object."
	case status == http.StatusUnsupportedMediaType:
		return "unsupported_media_type", "Send the body as application/json."
	case status >= http.StatusInternalServerError:
		return "internal", internalSentence
	case len(fields) > 0:
		return "invalid_request", fmt.Sprintf("%s: %s.", fields[0].Location, fields[0].Message)
	}
	return "invalid_request", ""
}

const (
	internalSentence    = "Something failed on our side. Nothing was lost; repeat the request with the same Idempotency-Key."
	unavailableSentence = "The database does not answer just now. Repeat the request in a moment, with the same Idempotency-Key if it has one."
)

// problemOf is what a handler's error tells the caller. known is false for an
// error whose cause only the log should see.
func problemOf(err error) (p *Problem, known bool) {
	if errors.As(err, &p) {
		return p, true
	}
	var refusal *billing.Refusal
	if errors.As(err, &refusal) {
		return problem(http.StatusUnprocessableEntity, refusal.Code, refusal.Message), true
	}
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return notFound("The thing you named"), true
	case errors.Is(err, ledger.ErrIdempotencyMismatch):
		return problem(http.StatusConflict, "idempotency_mismatch",
			"This Idempotency-Key was used before with another body. Use a new key for something new, or repeat the first body."), true
	}
	if errors.Is(err, ledger.ErrUnavailable) {
		return problem(http.StatusServiceUnavailable, "unavailable", unavailableSentence), false
	}
	return problem(http.StatusInternalServerError, "internal", internalSentence), false
}

func notFound(what string) *Problem {
	return problem(http.StatusNotFound, "not_found", what+" does not exist. Check the id in the path.")
}
