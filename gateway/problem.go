package gateway

import (
	"encoding/json"
	"net/http"
)

// Codes of the problems that a gateway answers with. They never change.
const (
	CodeBadSignature       = "bad_signature"
	CodeInvalidEntitlement = "invalid_entitlement"
	CodeNotFound           = "not_found"
	CodeMethodNotAllowed   = "method_not_allowed"
	CodeBodyTooLarge       = "body_too_large"
	CodeBodyUnreadable     = "body_unreadable"
	CodeStoreFailed        = "store_failed"
	CodeAnotherStore       = "another_store"
	CodeNotFilled          = "not_filled"
)

// problem is an RFC 9457 problem with a stable code.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

func writeProblem(w http.ResponseWriter, status int, code, detail string) {
	writeAs(w, "application/problem+json", status, problem{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: status,
		Detail: detail,
		Code:   code,
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	writeAs(w, "application/json", status, body)
}

func writeAs(w http.ResponseWriter, contentType string, status int, body any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	// A client that has gone is the only thing that can fail here.
	_ = json.NewEncoder(w).Encode(body)
}
