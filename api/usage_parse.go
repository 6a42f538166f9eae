package api

import (
	"bytes"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/valyala/fastjson"
)

const (
	maxUsageID       = 200
	maxUsageResource = 200
	// maxExponent bounds the numbers that are written out to be looked at.
	maxExponent = 40

	codeMalformedEvent   = "malformed_event"
	codeInvalidEventID   = "invalid_id"
	codeInvalidQuantity  = "invalid_quantity"
	codeInvalidEventTime = "invalid_time"
	codeInvalidResource  = "invalid_resource"
)

// usageReport is an event as it was sent.
type usageReport struct {
	id       string
	account  uuid.UUID
	sku      string
	quantity int64
	at       time.Time
	resource string
	// reason is the code of what is wrong with the form, "" if nothing is.
	reason string
}

// parseUsage reads a batch. What is wrong with one event is that event's own, NaN
// and infinity included; the batch is refused only if it is no list of events at all.
func (s *Server) parseUsage(body []byte) ([]usageReport, error) {
	parser := s.parsers.Get()
	defer s.parsers.Put(parser)
	batch, err := parser.ParseBytes(body)
	if err != nil {
		batch, err = parser.ParseBytes(withoutInfinity(body))
	}
	if err != nil || batch.Type() != fastjson.TypeObject || batch.Exists("events") && batch.Get("events").Type() != fastjson.TypeArray {
		return nil, problem(http.StatusBadRequest, "malformed_request", "The request cannot be read: the body must be one JSON object with events, a list.")
	}
	events := batch.GetArray("events")
	switch n := len(events); {
	case n == 0:
		return nil, problem(http.StatusUnprocessableEntity, "no_events", "Send at least one event in events.")
	case n > maxUsageEvents:
		return nil, problem(http.StatusUnprocessableEntity, "too_many_events", "A batch has at most 5,000 events. Send the rest in another.")
	}
	reports := make([]usageReport, len(events))
	for i, event := range events {
		reports[i].reason = reports[i].read(event)
	}
	return reports, nil
}

// withoutInfinity puts quotes around Infinity outside of texts: some encoders write
// it for a number that JSON has not, and the parser, which knows NaN, refuses it.
func withoutInfinity(body []byte) []byte {
	word := []byte("Infinity")
	var out []byte
	inText := false
	for i := 0; i < len(body); i++ {
		switch {
		case inText && body[i] == '\\' && i+1 < len(body):
			out = append(out, body[i])
			i++
		case body[i] == '"':
			inText = !inText
		case !inText && bytes.HasPrefix(body[i:], word):
			out = append(bytes.TrimSuffix(out, []byte("-")), `"Infinity"`...)
			i += len(word) - 1
			continue
		}
		out = append(out, body[i])
	}
	return out
}

// read takes an event for what it says, or answers the code of the first thing that
// says nothing. What it keeps it copies: the parser is used again.
func (r *usageReport) read(event *fastjson.Value) (reason string) {
	id, account, sku, at, resource := event.Get("id"), event.Get("account_id"), event.Get("sku"), event.Get("at"), event.Get("resource")
	for _, text := range []*fastjson.Value{id, account, sku, at, resource} {
		if event.Type() != fastjson.TypeObject || text != nil && text.Type() != fastjson.TypeString {
			return codeMalformedEvent
		}
	}
	r.id, r.sku, r.resource = text(id), text(sku), text(resource)
	if r.id == "" || len(r.id) > maxUsageID || !isPlain(r.id) {
		return codeInvalidEventID
	}
	if len(r.resource) > maxUsageResource || !isPlain(r.resource) {
		return codeInvalidResource
	}
	var err error
	if r.account, err = uuid.Parse(text(account)); err != nil || len(text(account)) != 36 {
		return models.UsageUnknownAccount
	}
	if r.quantity, reason = quantity(event.Get("quantity")); reason != "" {
		return reason
	}
	if r.at, err = time.Parse(time.RFC3339, text(at)); err != nil {
		return codeInvalidEventTime
	}
	return ""
}

func text(v *fastjson.Value) string {
	if v == nil {
		return ""
	}
	return string(v.GetStringBytes())
}

// quantity reads a number, or a text that is one.
func quantity(v *fastjson.Value) (int64, string) {
	if v == nil {
		return 0, codeInvalidQuantity
	}
	if n, err := v.Int64(); err == nil {
		return n, ""
	}
	switch v.Type() {
	case fastjson.TypeNumber:
		return wholeNumber(v.String())
	case fastjson.TypeString:
		return wholeNumber(text(v))
	}
	return 0, codeInvalidQuantity
}

// isPlain says whether a text has no control characters.
func isPlain(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] < ' ' || text[i] >= utf8.RuneSelf || text[i] == 0x7f {
			return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
		}
	}
	return true
}

// wholeNumber reads a JSON number that is whole, however it is written.
func wholeNumber(text string) (int64, string) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		return n, ""
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	power, err := strconv.Atoi(exponent)
	if exponent != "" && err != nil || len(text) > maxUsageID {
		return 0, codeInvalidQuantity
	}
	if power > maxExponent {
		return 0, billing.CodeUsageTooLarge
	}
	number, ok := new(big.Rat).SetString(mantissa)
	if !ok || power < -maxExponent {
		return 0, codeInvalidQuantity
	}
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(power, -power))), nil))
	if power < 0 {
		scale.Inv(scale)
	}
	switch number.Mul(number, scale); {
	case number.Sign() < 0:
		return 0, billing.CodeNegativeQuantity
	case !number.IsInt():
		return 0, codeInvalidQuantity
	case !number.Num().IsInt64():
		return 0, billing.CodeUsageTooLarge
	}
	return number.Num().Int64(), ""
}
