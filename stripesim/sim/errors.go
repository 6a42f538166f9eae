package sim

import (
	"fmt"
	"net/http"
	"strings"
)

// Stripe's error types.
const (
	typeAPI         = "api_error"
	typeCard        = "card_error"
	typeIdempotency = "idempotency_error"
	typeInvalid     = "invalid_request_error"
)

// problem is Stripe's error object: the body of a refused request, and the
// last_payment_error of a PaymentIntent.
type problem struct {
	Charge        string        `json:"charge,omitempty"`
	Code          string        `json:"code,omitempty"`
	DeclineCode   string        `json:"decline_code,omitempty"`
	DocURL        string        `json:"doc_url,omitempty"`
	Message       string        `json:"message"`
	Param         string        `json:"param,omitempty"`
	PaymentIntent *intentObject `json:"payment_intent,omitempty"`
	PaymentMethod *methodObject `json:"payment_method,omitempty"`
	SetupIntent   *setupObject  `json:"setup_intent,omitempty"`
	Type          string        `json:"type"`
}

// refusal is a request answered with an error.
type refusal struct {
	status  int
	problem problem
	// unkept says that no endpoint has run, so that the idempotency key stays free.
	unkept bool
}

func newRefusal(status int, p problem) *refusal {
	if p.Code != "" && p.Code != codeNotModelled {
		p.DocURL = docURL(p.Code)
	}
	return &refusal{status: status, problem: p}
}

func docURL(code string) string {
	return "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(code, "_", "-")
}

// codeNotModelled is the double's own error code: Stripe may well have an answer
// to this, the double has none.
const codeNotModelled = "sim_not_modelled"

func notModelled(format string, args ...any) *refusal {
	r := newRefusal(http.StatusNotImplemented, problem{
		Type: typeAPI, Code: codeNotModelled,
		Message: "The Stripe double does not model " + fmt.Sprintf(format, args...) + ".",
	})
	r.unkept = true
	return r
}

// invalidParam refuses a parameter before any endpoint runs.
func invalidParam(code, param, format string, args ...any) *refusal {
	r := newRefusal(http.StatusBadRequest, problem{
		Type: typeInvalid, Code: code, Param: param, Message: fmt.Sprintf(format, args...),
	})
	r.unkept = true
	return r
}

func missingParam(param string) *refusal {
	return invalidParam("parameter_missing", param, "Missing required param: %s.", param)
}

// missing tells that an object does not exist: 404 when the route names it, 400
// when a parameter does.
func missing(status int, kind, id, param string) *refusal {
	return newRefusal(status, problem{
		Type: typeInvalid, Code: "resource_missing", Param: param,
		Message: fmt.Sprintf("No such %s: '%s'", kind, id),
	})
}

// invalidRequest refuses what the state of an object, or its kind, forbids.
func invalidRequest(param, message string) *refusal {
	return newRefusal(http.StatusBadRequest, problem{Type: typeInvalid, Param: param, Message: message})
}

func unauthorized(message string) *refusal {
	r := newRefusal(http.StatusUnauthorized, problem{Type: typeInvalid, Message: message})
	r.unkept = true
	return r
}

func rateLimited() *refusal {
	r := newRefusal(http.StatusTooManyRequests, problem{
		Type: typeInvalid, Code: "rate_limit",
		Message: "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
	})
	r.unkept = true
	return r
}

func serverError(requestID string) *refusal {
	return newRefusal(http.StatusInternalServerError, problem{
		Type:    typeAPI,
		Message: "Sorry! There was an error while talking to one of our backends. Support has been notified. (Request " + requestID + ")",
	})
}
