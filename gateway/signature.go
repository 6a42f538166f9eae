package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a signed request.
const (
	HeaderKeyID     = "Paystage-Key-Id"
	HeaderTimestamp = "Paystage-Timestamp" // Unix seconds
	HeaderSignature = "Paystage-Signature" // v1=hex HMAC-SHA256
)

// Tolerance is how far the clocks of signer and verifier may be apart, in either
// direction, the time on the way included.
const Tolerance = 300 * time.Second

// minSecretBytes is the least length of a secret; a shorter one could be guessed.
const minSecretBytes = 16

// signatureScheme names the algorithm, so that another can be told from it.
const signatureScheme = "v1="

// ErrSignature is why a request is refused: it is not signed by a key that we
// know, for what it says, at about this time. What it wraps is for the log, not
// for the sender.
var ErrSignature = errors.New("bad signature")

// Keyring holds the shared keys of Paystage and its gateways. The first signs
// and all verify, so a key is rotated without a gap (F48): add the new one
// behind the old one everywhere, then put it first, then drop the old one.
//
// A keyring never prints its secrets. What the zero Keyring signs, no ring
// verifies, nor does it verify anything.
type Keyring struct {
	signer  string
	secrets map[string][]byte
}

// ParseKeys reads a keyring from "id:secret[,id:secret]". Ids are letters,
// digits, '-', '_' and '.'; secrets are at least 16 bytes without a comma. The
// errors name ids and never secrets.
func ParseKeys(text string) (Keyring, error) {
	ring := Keyring{secrets: map[string][]byte{}}
	for i, entry := range strings.Split(text, ",") {
		id, secret, found := strings.Cut(strings.TrimSpace(entry), ":")
		switch {
		case !found || !validKeyID(id):
			return Keyring{}, fmt.Errorf("signing key %d is not of the form id:secret", i+1)
		case len(secret) < minSecretBytes:
			return Keyring{}, fmt.Errorf("signing key %s: the secret has fewer than %d bytes", id, minSecretBytes)
		case ring.secrets[id] != nil:
			return Keyring{}, fmt.Errorf("signing key %s is given twice", id)
		}
		ring.secrets[id] = []byte(secret)
		if i == 0 {
			ring.signer = id
		}
	}
	return ring, nil
}

// Format prints the id of the signing key and how many keys there are, for every
// verb, so that no log line can hold a secret (I9).
func (k Keyring) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "keyring(signs with %q, %d keys)", k.signer, len(k.secrets))
}

// Sign sets the signature headers of a request with this body, made at now. The
// signature covers the method, the path and the body, so nothing of these may
// change afterwards; a query cannot be signed.
func (k Keyring) Sign(req *http.Request, body []byte, now time.Time) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	mac := signature(k.secrets[k.signer], timestamp, req, body)
	req.Header.Set(HeaderKeyID, k.signer)
	req.Header.Set(HeaderTimestamp, timestamp)
	req.Header.Set(HeaderSignature, signatureScheme+hex.EncodeToString(mac))
}

// Verify checks a received request and the body read from it, at now: signed by
// any key of the ring, within [Tolerance] of now. The error wraps [ErrSignature].
func (k Keyring) Verify(req *http.Request, body []byte, now time.Time) error {
	secret, found := k.secrets[req.Header.Get(HeaderKeyID)]
	if !found {
		return fmt.Errorf("%w: unknown key id", ErrSignature)
	}
	if req.URL.RawQuery != "" {
		return fmt.Errorf("%w: a query is not covered by it", ErrSignature)
	}
	text, found := strings.CutPrefix(req.Header.Get(HeaderSignature), signatureScheme)
	got, err := hex.DecodeString(text)
	timestamp := req.Header.Get(HeaderTimestamp)
	if !found || err != nil || !hmac.Equal(got, signature(secret, timestamp, req, body)) {
		return fmt.Errorf("%w: not made with this key for this request", ErrSignature)
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: the timestamp is not a number of seconds", ErrSignature)
	}
	if oldest, newest := now.Add(-Tolerance).Unix(), now.Add(Tolerance).Unix(); seconds < oldest || seconds > newest {
		return fmt.Errorf("%w: the timestamp is more than %s from now", ErrSignature, Tolerance)
	}
	return nil
}

// signature is the HMAC over what a signed request promises. The lines cannot
// run into each other: none of the first three can hold a line break, and the
// last has a fixed length.
func signature(secret []byte, timestamp string, req *http.Request, body []byte) []byte {
	digest := sha256.Sum256(body)
	path := req.URL.EscapedPath()
	if path == "" {
		path = "/" // what goes over the wire
	}
	mac := hmac.New(sha256.New, secret)
	_, _ = fmt.Fprintf(mac, "%s\n%s\n%s\n%x", timestamp, req.Method, path, digest)
	return mac.Sum(nil)
}

func validKeyID(id string) bool {
	for _, r := range id {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r) {
			return false
		}
	}
	return id != ""
}
