package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of an admitted request and of its answer, in Go's canonical form.
const (
	// HeaderAccount names the account to the handler behind the middleware. What a
	// caller sends under this name never gets there.
	HeaderAccount = "Paystage-Account"

	// The rate limit headers: the requests per minute, how many are left now, and
	// the seconds until all of them are.
	HeaderLimit     = "Ratelimit-Limit"
	HeaderRemaining = "Ratelimit-Remaining"
	HeaderReset     = "Ratelimit-Reset"
	headerRetry     = "Retry-After"
)

// ModelOf names the model that a request is for. An error is answered with 400,
// one of http.MaxBytesReader with 413.
type ModelOf func(*http.Request) (string, error)

// Middleware admits requests to the handler behind it and answers the others with
// a problem (RFC 9457). The key is that of `Authorization: Bearer KEY`; it is
// checked before the request's body is looked at.
func (a *Admission) Middleware(model ModelOf) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			now := a.Now()
			held, d := a.admitAccount(BearerKey(r), now)
			if !d.Admitted() {
				a.Refuse(w, d)
				return
			}
			name, err := model(r)
			if err != nil {
				refuseBody(w, err)
				return
			}
			if d = a.admitModel(r.Context(), held, d, name, now); !d.Admitted() {
				a.Refuse(w, d)
				return
			}
			d.setHeaders(w.Header(), r.Header)
			next.ServeHTTP(w, r)
		})
	}
}

// BearerKey is the API key of a request, "" if it has none.
func BearerKey(r *http.Request) string {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return key
}

// setHeaders writes the rate limit headers of an answer and the account's of the
// request with two allocations in all.
func (d Decision) setHeaders(answer, request http.Header) {
	var buffer [64]byte
	text := strconv.AppendInt(buffer[:0], d.Rate.Limit, 10)
	limit := len(text)
	text = strconv.AppendInt(text, d.Rate.Remaining, 10)
	remaining := len(text)
	text = strconv.AppendInt(text, wholeSeconds(d.Rate.Reset), 10)
	all := string(text)
	values := []string{all[:limit], all[limit:remaining], all[remaining:], d.Account}
	answer[HeaderLimit] = values[0:1:1]
	answer[HeaderRemaining] = values[1:2:2]
	answer[HeaderReset] = values[2:3:3]
	if request != nil {
		request[HeaderAccount] = values[3:4:4]
	}
}

// wholeSeconds rounds up, so that whoever waits that long has waited long enough.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// JSONModel names the model of a request whose body is a JSON object with the field
// "model", such as one for chat completions, of at most maxBytes. The body can be
// read again behind it.
func JSONModel(maxBytes int64) ModelOf {
	return func(r *http.Request) (string, error) {
		body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBytes))
		if err != nil {
			return "", err
		}
		var asked struct {
			Model string `json:"model"`
		}
		if err := json.Unmarshal(body, &asked); err != nil || asked.Model == "" {
			return "", errors.New("the body must be a JSON object that names a model")
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		return asked.Model, nil
	}
}

func refuseBody(w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		writeProblem(w, http.StatusRequestEntityTooLarge, CodeBodyTooLarge,
			"The body may have at most "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes.")
		return
	}
	writeProblem(w, http.StatusBadRequest, CodeBodyInvalid,
		"The model could not be read from the request: send a JSON object with the field model.")
}
