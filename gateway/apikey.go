package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/paystage/paystage/models"
)

const (
	// keyPrefix begins every API key, so that a key that leaks can be searched for.
	keyPrefix = "psk_"
	// keyIDBytes is the length of a key's id, keySecretBytes that of its secret;
	// both are written in hexadecimal.
	keyIDBytes     = 8
	keySecretBytes = 32
	// keyBytes is what a store holds of a key: its id and its SHA-256.
	keyBytes = keyIDBytes + sha256.Size
)

// NewAPIKey makes an API key of an account. The text is for its holder and is kept
// nowhere; the hash is what gateways know it by. The secret is 256 random bits, so
// a slow hash would add nothing.
//
// The text is psk_<account>_<id>_<secret>: it names the account, so that a gateway
// finds the key without a table of all keys.
func NewAPIKey(account string) (hash models.KeyHash, text string) {
	var id [keyIDBytes]byte
	var secret [keySecretBytes]byte
	rand.Read(id[:]) // never fails
	rand.Read(secret[:])
	hash.ID = hex.EncodeToString(id[:])
	text = keyPrefix + account + "_" + hash.ID + "_" + hex.EncodeToString(secret[:])
	digest := sha256.Sum256([]byte(text))
	hash.SHA256 = hex.EncodeToString(digest[:])
	return hash, text
}

// keyAccount reads the account out of a key's text: what lies between the prefix
// and the id.
func keyAccount(text string) (account string, ok bool) {
	const tail = 1 + 2*keyIDBytes + 1 + 2*keySecretBytes
	rest, ok := strings.CutPrefix(text, keyPrefix)
	if !ok || len(rest) <= tail || rest[len(rest)-tail] != '_' {
		return "", false
	}
	return rest[:len(rest)-tail], true
}

// find gives the holding whose key a text is; nil if the account, the key or its
// secret is unknown, or the key is revoked.
func (s *Store) find(text string) *holding {
	account, ok := keyAccount(text)
	if !ok || len(text) > maxKeyText {
		return nil
	}
	held := s.holding(account)
	if held == nil {
		return nil
	}
	var buffer [maxKeyText]byte // sha256 wants bytes; the heap is not needed for them
	digest := sha256.Sum256(buffer[:copy(buffer[:], text)])
	for keys := held.text[held.idLength:]; keys != ""; keys = keys[keyBytes:] {
		if equal(keys[keyIDBytes:keyBytes], &digest) {
			return held
		}
	}
	return nil
}

// equal compares in constant time.
func equal(hash string, digest *[sha256.Size]byte) bool {
	var different byte
	for i := range digest {
		different |= hash[i] ^ digest[i]
	}
	return different == 0
}

// maxKeyText bounds the text of a key, in bytes.
const maxKeyText = 256
