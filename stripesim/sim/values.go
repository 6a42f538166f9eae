package sim

import (
	"crypto/rand"
	"encoding/json"
)

// text is a string that Stripe writes as null when it is empty.
type text string

// MarshalJSON writes null for the empty text.
func (t text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(t))
}

// unixTime is a moment in seconds that Stripe writes as null when it is unset.
type unixTime int64

// MarshalJSON writes null for the unset moment.
func (t unixTime) MarshalJSON() ([]byte, error) {
	if t == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(int64(t))
}

// null is a field of Stripe's that the double always leaves empty.
type null struct{}

// MarshalJSON writes null.
func (null) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// ref is a field that holds the id of another object, or, when the caller asked
// for it with expand, that object.
type ref struct {
	id       string
	expanded any
}

// MarshalJSON writes the object, the id, or null.
func (r ref) MarshalJSON() ([]byte, error) {
	if r.expanded != nil {
		return json.Marshal(r.expanded)
	}
	return text(r.id).MarshalJSON()
}

// UnmarshalJSON reads an id or null; the journal never holds an expanded object.
func (r *ref) UnmarshalJSON(raw []byte) error {
	return json.Unmarshal(raw, &r.id)
}

const idAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newID gives prefix followed by n random letters and digits.
func newID(prefix string, n int) string {
	id := make([]byte, n)
	rand.Read(id) // never fails since Go 1.24
	for i, b := range id {
		id[i] = idAlphabet[int(b)%len(idAlphabet)]
	}
	return prefix + string(id)
}
