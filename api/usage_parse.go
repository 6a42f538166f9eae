package api

import (
	"bytes"
	"encoding/json"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/paystage/paystage/billing"
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

// usageReport is an event as it was sent, and what it says.
type usageReport struct {
	ID        string      `json:"id"`
	AccountID string      `json:"account_id"`
	SKU       string      `json:"sku"`
	Quantity  json.Number `json:"quantity"`
	At        string      `json:"at"`
	Resource  string      `json:"resource"`

	quantity int64
	at       time.Time
	// reason is the code of what is wrong with the form, "" if nothing is.
	reason string
}

// parseUsage reads a batch. What is wrong with one event is that event's own; the
// batch is refused only if it is no list of events at all.
func parseUsage(body []byte) ([]usageReport, error) {
	var batch struct {
		Events []usageReport `json:"events"`
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		var apart []usageReport
		if apart, err = parseApart(body); err != nil {
			return nil, err
		}
		batch.Events = apart
	}
	switch n := len(batch.Events); {
	case n == 0:
		return nil, problem(http.StatusUnprocessableEntity, "no_events", "Send at least one event in events.")
	case n > maxUsageEvents:
		return nil, problem(http.StatusUnprocessableEntity, "too_many_events", "A batch has at most 5,000 events. Send the rest in another.")
	}
	for i := range batch.Events {
		if r := &batch.Events[i]; r.reason == "" {
			r.reason = r.read()
		}
	}
	return batch.Events, nil
}

// parseApart reads the events of a batch one by one, where one of them has not the
// form of an event.
func parseApart(body []byte) ([]usageReport, error) {
	var batch struct {
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(withoutNonNumbers(body), &batch); err != nil {
		return nil, problem(http.StatusBadRequest, "malformed_request", "The request cannot be read: the body must be one JSON object with events, a list.")
	}
	reports := make([]usageReport, len(batch.Events))
	for i, text := range batch.Events {
		if json.Unmarshal(text, &reports[i]) == nil {
			continue
		}
		// Its other fields may still say which event it was.
		reports[i].reason = codeMalformedEvent
		var fields struct{ Quantity json.RawMessage }
		if json.Unmarshal(text, &fields) == nil && json.Unmarshal(fields.Quantity, new(json.Number)) != nil {
			reports[i].reason = codeInvalidQuantity
		}
	}
	return reports, nil
}

// nonNumbers are what some encoders write for numbers that JSON has not.
var nonNumbers = [][]byte{[]byte("-Infinity"), []byte("Infinity"), []byte("NaN")}

// withoutNonNumbers puts quotes around NaN and Infinity outside of texts, so that
// the event that has one can be told from the others.
func withoutNonNumbers(body []byte) []byte {
	var out bytes.Buffer
	inText := false
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case inText && c == '\\' && i+1 < len(body):
			out.WriteByte(c)
			i++
			c = body[i]
		case c == '"':
			inText = !inText
		case !inText:
			if word := nonNumberAt(body[i:]); word != nil {
				out.WriteByte('"')
				out.Write(word)
				out.WriteByte('"')
				i += len(word) - 1
				continue
			}
		}
		out.WriteByte(c)
	}
	return out.Bytes()
}

func nonNumberAt(text []byte) []byte {
	for _, word := range nonNumbers {
		if bytes.HasPrefix(text, word) {
			return word
		}
	}
	return nil
}

// read takes the fields for what they say, or answers the code of the first that
// says nothing.
func (r *usageReport) read() (reason string) {
	if r.ID == "" || len(r.ID) > maxUsageID || !isPlain(r.ID) {
		return codeInvalidEventID
	}
	if len(r.Resource) > maxUsageResource || !isPlain(r.Resource) {
		return codeInvalidResource
	}
	if r.quantity, reason = wholeNumber(string(r.Quantity)); reason != "" {
		return reason
	}
	var err error
	if r.at, err = time.Parse(time.RFC3339, r.At); err != nil {
		return codeInvalidEventTime
	}
	return ""
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
