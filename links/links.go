// Package links makes and reads the tokens of the links that customers get by mail: signed,
// for one purpose, for a time, and without personal data (R37, I9).
//
// A token is base64url(payload).base64url(HMAC-SHA256), and its payload is
//
//	version.key id.purpose.id.generation.expiry
//
// The id is of the row that the link is about; what is paid and by whom stands there
// and not in the token. A row whose link is replaced raises its generation, so whoever
// acts on a token compares the two. That a link was used is known by the row as well.
//
// Keys are rotated without a gap: the first one signs, and all of them verify (F48).
package links

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Purpose is what a link is for. A token does for no other.
type Purpose string

// The purposes. They are part of every token and never change.
const (
	// Authorize: approve a payment with the bank; the id is an authorization's.
	Authorize Purpose = "authorize"
	// PayInvoice: pay an invoice by hand; the id is the invoice's.
	PayInvoice Purpose = "pay_invoice"
)

// Token is what a link says, once it has been verified.
type Token struct {
	Purpose Purpose
	// ID names the row that the link is about.
	ID string
	// Generation is which of the row's links this is.
	Generation int64
	// Expires is when it ends, in whole seconds.
	Expires time.Time
}

// Why a token is not taken, or cannot be made.
var (
	// ErrNoKey: there is no key to sign with (F48).
	ErrNoKey = errors.New("links cannot be signed: PAYSTAGE_LINK_KEYS is not set")
	// ErrInvalid: it was not signed by a key that we know, or was changed since.
	ErrInvalid = errors.New("the link is not as it was sent")
	// ErrOtherPurpose: it is genuine, and for something else.
	ErrOtherPurpose = errors.New("the link is for another purpose")
	// ErrExpired: it is genuine, and its time is over.
	ErrExpired = errors.New("the link has expired")
)

const (
	version = "1"
	// minSecretBytes is the least length of a secret; a shorter one could be guessed.
	minSecretBytes = 16
	// maxToken bounds what is looked at, in bytes.
	maxToken = 512
	// context keeps what is signed here apart from whatever else a key might sign.
	context = "paystage link\n"
)

// Keyring holds the keys of links. The zero Keyring signs nothing and verifies
// nothing. It never prints its secrets.
type Keyring struct {
	signer  string
	secrets map[string][]byte
}

// ParseKeys reads a keyring from "id:secret[,id:secret]", the form of the gateways'
// signing keys; "" is the zero Keyring. Ids are letters, digits, '-' and '_'; secrets
// are at least 16 bytes without a comma. The errors name ids and never secrets.
func ParseKeys(text string) (Keyring, error) {
	if text == "" {
		return Keyring{}, nil
	}
	ring := Keyring{secrets: map[string][]byte{}}
	for i, entry := range strings.Split(text, ",") {
		id, secret, found := strings.Cut(strings.TrimSpace(entry), ":")
		switch {
		case !found || !validKeyID(id):
			return Keyring{}, fmt.Errorf("link key %d is not of the form id:secret", i+1)
		case len(secret) < minSecretBytes:
			return Keyring{}, fmt.Errorf("link key %s: the secret has fewer than %d bytes", id, minSecretBytes)
		case ring.secrets[id] != nil:
			return Keyring{}, fmt.Errorf("link key %s is given twice", id)
		}
		ring.secrets[id] = []byte(secret)
		if i == 0 {
			ring.signer = id
		}
	}
	return ring, nil
}

// validKeyID: a dot would end the id's field of the payload.
func validKeyID(id string) bool {
	return id != "" && len(id) <= 32 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// Format prints the id of the signing key and how many keys there are, for every
// verb, so that no log line can hold a secret (I9).
func (k Keyring) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "keyring(signs with %q, %d keys)", k.signer, len(k.secrets))
}

// Sign makes the token. The same token signed by the same key is the same text.
func (k Keyring) Sign(t Token) (string, error) {
	if k.signer == "" {
		return "", ErrNoKey
	}
	payload := strings.Join([]string{
		version, k.signer, string(t.Purpose), t.ID, strconv.FormatInt(t.Generation, 10), strconv.FormatInt(t.Expires.Unix(), 10),
	}, ".")
	return encode([]byte(payload)) + "." + encode(mac(k.secrets[k.signer], payload)), nil
}

// Open verifies a token for a purpose, at now. A genuine one that is for another purpose
// ([ErrOtherPurpose]) or has expired ([ErrExpired]) is given beside the error, so
// that a page can say what to do next; of any other nothing is believed ([ErrInvalid]).
func (k Keyring) Open(text string, purpose Purpose, now time.Time) (Token, error) {
	if len(text) > maxToken {
		return Token{}, ErrInvalid
	}
	first, second, _ := strings.Cut(text, ".")
	payload, payloadErr := encoding.DecodeString(first)
	signature, signatureErr := encoding.DecodeString(second)
	fields := strings.Split(string(payload), ".")
	if payloadErr != nil || signatureErr != nil || len(fields) != 6 || fields[0] != version {
		return Token{}, ErrInvalid
	}
	secret := k.secrets[fields[1]]
	if secret == nil || !hmac.Equal(signature, mac(secret, string(payload))) {
		return Token{}, ErrInvalid
	}
	generation, generationErr := strconv.ParseInt(fields[4], 10, 64)
	expires, expiresErr := strconv.ParseInt(fields[5], 10, 64)
	if generationErr != nil || expiresErr != nil {
		return Token{}, ErrInvalid
	}
	t := Token{Purpose: Purpose(fields[2]), ID: fields[3], Generation: generation, Expires: time.Unix(expires, 0).UTC()}
	switch {
	case t.Purpose != purpose:
		return t, ErrOtherPurpose
	case !now.Before(t.Expires):
		return t, ErrExpired
	}
	return t, nil
}

// encoding is strict: a token has one spelling.
var encoding = base64.RawURLEncoding.Strict()

func encode(b []byte) string { return encoding.EncodeToString(b) }

func mac(secret []byte, payload string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(context + payload))
	return h.Sum(nil)
}
