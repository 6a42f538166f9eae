package links_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/links"
)

const (
	oldKey = "k1:0123456789abcdef"
	newKey = "k2:fedcba9876543210"
)

var (
	noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	link = links.Token{
		Purpose: links.Authorize, ID: "0198f3c2-7d4e-7b1a-9c00-1f2e3d4c5b6a", Generation: 2, Expires: noon.Add(7 * 24 * time.Hour),
	}
)

func ring(t *testing.T, text string) links.Keyring {
	t.Helper()
	keys, err := links.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func sign(t *testing.T, keys links.Keyring, token links.Token) string {
	t.Helper()
	text, err := keys.Sign(token)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func wantError(t *testing.T, text string, keys links.Keyring, at time.Time, want error) {
	t.Helper()
	got, err := keys.Open(text, links.Authorize, at)
	if !errors.Is(err, want) {
		t.Errorf("%s\n  is %+v, %v; want %v", text, got, err, want)
	}
	if errors.Is(want, links.ErrInvalid) && got != (links.Token{}) {
		t.Errorf("of a token that was changed something is believed: %+v", got)
	}
}

func TestTokenSaysWhatWasSigned(t *testing.T) {
	keys := ring(t, oldKey)
	text := sign(t, keys, link)
	if again := sign(t, keys, link); again != text {
		t.Error("the same token has two spellings")
	}
	got, err := keys.Open(text, links.Authorize, noon)
	if err != nil || got != link {
		t.Errorf("it says %+v, %v", got, err)
	}
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
		t.Errorf("%s can't stand in a path as it is", text)
	}
}

// R37: each field is covered by the signature, and whatever is changed makes the
// whole token worthless.
func TestF41AlteredTokenIsRefused(t *testing.T) {
	keys := ring(t, oldKey)
	text := sign(t, keys, link)
	payload, signature, _ := strings.Cut(text, ".")
	plain, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	for i, other := range []string{
		"2", "k2", "pay_invoice", "0198f3c2-7d4e-7b1a-9c00-1f2e3d4c5b6b", "3", "1999999999",
	} {
		fields := strings.Split(string(plain), ".")
		fields[i] = other
		forged := base64.RawURLEncoding.EncodeToString([]byte(strings.Join(fields, ".")))
		t.Run(fmt.Sprintf("field %d", i), func(t *testing.T) { wantError(t, forged+"."+signature, keys, noon, links.ErrInvalid) })
	}
	for name, forged := range map[string]string{
		"empty": "", "one part": payload, "no signature": payload + ".", "no payload": "." + signature,
		"a field more": base64.RawURLEncoding.EncodeToString([]byte(string(plain)+".1")) + "." + signature,
		"three parts":  text + ".x", "padding": payload + "=." + signature, "huge": strings.Repeat("a", 1<<20),
	} {
		t.Run(name, func(t *testing.T) { wantError(t, forged, keys, noon, links.ErrInvalid) })
	}
	for end := range text {
		wantError(t, text[:end], keys, noon, links.ErrInvalid)
	}
	for at := range text { // every bit of every character
		for bit := range 7 {
			changed := []byte(text)
			changed[at] ^= 1 << bit
			wantError(t, string(changed), keys, noon, links.ErrInvalid)
		}
	}
}

func TestF41GenuineTokenOfAnotherPurposeOrTime(t *testing.T) {
	keys := ring(t, oldKey)
	other := link
	other.Purpose = links.PayInvoice
	wantError(t, sign(t, keys, other), keys, noon, links.ErrOtherPurpose)
	text := sign(t, keys, link)
	wantError(t, text, keys, link.Expires.Add(-time.Nanosecond), nil)
	wantError(t, text, keys, link.Expires, links.ErrExpired)
}

// F48: while keys are rotated links of both are good; without a key nothing is
// signed and nothing is believed.
func TestF48Rotation(t *testing.T) {
	before, between, after := ring(t, oldKey), ring(t, newKey+", "+oldKey), ring(t, newKey)
	old, fresh := sign(t, before, link), sign(t, between, link)
	wantError(t, old, between, noon, nil)
	wantError(t, fresh, between, noon, nil)
	wantError(t, fresh, before, noon, links.ErrInvalid)
	wantError(t, old, after, noon, links.ErrInvalid)
	wantError(t, fresh, ring(t, "k2:another-secret-of-its-name"), noon, links.ErrInvalid)
	none := ring(t, "")
	if _, err := none.Sign(link); !errors.Is(err, links.ErrNoKey) || !strings.Contains(err.Error(), "PAYSTAGE_LINK_KEYS") {
		t.Errorf("without a key: %v", err)
	}
	wantError(t, fresh, none, noon, links.ErrInvalid)
}

func TestKeysThatAreNone(t *testing.T) {
	for _, text := range []string{"k1", ":0123456789abcdef", "k.1:0123456789abcdef", "k1:short-secret", oldKey + ",", oldKey + "," + oldKey} {
		if _, err := links.ParseKeys(text); err == nil || strings.Contains(err.Error(), "secret-") || strings.Contains(err.Error(), "0123456789abcdef") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", ring(t, oldKey), ring(t, oldKey), ring(t, oldKey), ring(t, oldKey)); strings.Contains(shown, "0123456789abcdef") {
		t.Errorf("a keyring prints its secret: %s", shown)
	}
}
