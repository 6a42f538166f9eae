package gateway_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/gateway"
)

const (
	oldKey = "2026-09:an-old-secret-of-many-bytes"
	newKey = "2026-10:a-new-secret:of-many-bytes"
)

var noon = time.Date(2026, 10, 3, 12, 0, 0, 0, time.UTC)

func ring(t *testing.T, text string) gateway.Keyring {
	t.Helper()
	keys, err := gateway.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func push(target, body string) *http.Request {
	return httptest.NewRequest(http.MethodPut, target, strings.NewReader(body))
}

func TestSignatureHoldsForWhatWasSigned(t *testing.T) {
	keys := ring(t, newKey)
	for name, target := range map[string]string{
		"plain":         "/entitlements/acct_1",
		"escaped slash": "/entitlements/acct%2F1",
		"other letters": "/entitlements/%C3%A9",
	} {
		t.Run(name, func(t *testing.T) {
			req := push(target, "{}")
			keys.Sign(req, []byte("{}"), noon)
			if err := keys.Verify(req, []byte("{}"), noon); err != nil {
				t.Error(err)
			}
		})
	}
}

// The exact bytes are a contract with gateways written in other languages; the
// value was computed with another implementation of HMAC.
func TestSignatureIsAsDocumented(t *testing.T) {
	req := push("/entitlements/acct_1", "{}")
	ring(t, "k1:0123456789abcdef").Sign(req, []byte("{}"), time.Unix(1_790_000_000, 0))
	for header, want := range map[string]string{
		"Paystage-Key-Id":    "k1",
		"Paystage-Timestamp": "1790000000",
		"Paystage-Signature": "v1=e56017b77154401029ca776ce2615bf9a5ff13508da80959d8e0ac293505d952",
	} {
		if got := req.Header.Get(header); got != want {
			t.Errorf("%s: got %s, want %s", header, got, want)
		}
	}
}

func TestSignatureBreaks(t *testing.T) {
	keys := ring(t, newKey)
	for name, alter := range map[string]func(req *http.Request, body *string){
		"altered body":     func(_ *http.Request, body *string) { *body = `{"version":3}` },
		"altered method":   func(req *http.Request, _ *string) { req.Method = http.MethodDelete },
		"altered path":     func(req *http.Request, _ *string) { req.URL.Path = "/entitlements/acct_2" },
		"other escaping":   func(req *http.Request, _ *string) { req.URL = &url.URL{Path: "/entitlements/acct/1"} },
		"added query":      func(req *http.Request, _ *string) { req.URL.RawQuery = "force=1" },
		"altered time":     func(req *http.Request, _ *string) { req.Header.Set(gateway.HeaderTimestamp, "1790000001") },
		"unknown key":      func(req *http.Request, _ *string) { req.Header.Set(gateway.HeaderKeyID, "2026-11") },
		"no key":           func(req *http.Request, _ *string) { req.Header.Del(gateway.HeaderKeyID) },
		"no time":          func(req *http.Request, _ *string) { req.Header.Del(gateway.HeaderTimestamp) },
		"no signature":     func(req *http.Request, _ *string) { req.Header.Del(gateway.HeaderSignature) },
		"empty signature":  func(req *http.Request, _ *string) { req.Header.Set(gateway.HeaderSignature, "v1=") },
		"cut signature":    cutSignature(1),
		"half a signature": cutSignature(32),
		"another scheme": func(req *http.Request, _ *string) {
			signature := req.Header.Get(gateway.HeaderSignature)
			req.Header.Set(gateway.HeaderSignature, strings.Replace(signature, "v1=", "v2=", 1))
		},
		"no scheme": func(req *http.Request, _ *string) {
			req.Header.Set(gateway.HeaderSignature, strings.TrimPrefix(req.Header.Get(gateway.HeaderSignature), "v1="))
		},
		"forged with another secret": func(req *http.Request, body *string) {
			ring(t, "2026-10:not-the-secret-of-that-key").Sign(req, []byte(*body), noon)
		},
		"signed by the zero keyring": func(req *http.Request, body *string) {
			gateway.Keyring{}.Sign(req, []byte(*body), noon)
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"version":2}`
			req := push("/entitlements/acct%2F1", body)
			keys.Sign(req, []byte(body), noon)
			alter(req, &body)
			if err := keys.Verify(req, []byte(body), noon); !errors.Is(err, gateway.ErrSignature) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// cutSignature takes digits off the end.
func cutSignature(digits int) func(*http.Request, *string) {
	return func(req *http.Request, _ *string) {
		signature := req.Header.Get(gateway.HeaderSignature)
		req.Header.Set(gateway.HeaderSignature, signature[:len(signature)-digits])
	}
}

func TestSignatureLivesFiveMinutesEitherWay(t *testing.T) {
	keys := ring(t, newKey)
	for _, c := range []struct {
		apart time.Duration
		valid bool
	}{
		{0, true},
		{300 * time.Second, true},
		{-300 * time.Second, true},
		{301 * time.Second, false},
		{-301 * time.Second, false},
		{100 * 365 * 24 * time.Hour, false},
		{-100 * 365 * 24 * time.Hour, false},
	} {
		req := push("/entitlements/acct_1", "")
		keys.Sign(req, nil, noon)
		if err := keys.Verify(req, nil, noon.Add(c.apart)); (err == nil) != c.valid {
			t.Errorf("%s later: %v", c.apart, err)
		}
	}
}

// F48: at each step of a rotation every signature that is out there still holds.
func TestF48RotationHasNoGap(t *testing.T) {
	steps := []string{oldKey, oldKey + "," + newKey, newKey + "," + oldKey, newKey}
	for i := range len(steps) - 1 {
		for _, pair := range [][2]string{{steps[i], steps[i+1]}, {steps[i+1], steps[i]}} {
			req := push("/entitlements/acct_1", "{}")
			ring(t, pair[0]).Sign(req, []byte("{}"), noon)
			if err := ring(t, pair[1]).Verify(req, []byte("{}"), noon); err != nil {
				t.Errorf("signed at step %d or after, verified next to it: %v", i, err)
			}
		}
	}
	req := push("/entitlements/acct_1", "{}")
	ring(t, oldKey).Sign(req, []byte("{}"), noon)
	if err := ring(t, newKey).Verify(req, []byte("{}"), noon); !errors.Is(err, gateway.ErrSignature) {
		t.Errorf("a retired key still verifies: %v", err)
	}
}

func TestParseKeysRefuses(t *testing.T) {
	const secret = "the-secret-of-this-test"
	for name, text := range map[string]string{
		"nothing":        "",
		"no id":          ":" + secret,
		"no secret":      "id",
		"empty secret":   "id:",
		"short secret":   "id:" + secret[:15],
		"trailing comma": "id:" + secret + ",",
		"twice":          "id:" + secret + ",id:" + secret + "x",
		"id in header":   "i\nd:" + secret,
		"id with space":  "i d:" + secret,
		"no colon":       secret,
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := gateway.ParseKeys(text)
			if err == nil {
				t.Fatalf("taken as %v", keys)
			}
			if strings.Contains(err.Error(), secret[:15]) {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestKeyringPrintsNoSecrets(t *testing.T) {
	keys := ring(t, newKey+", "+oldKey)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("keys", "ring", keys)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("keys", "ring", keys)
	printed := fmt.Sprintf("%v %+v %#v %s %d %x", keys, keys, keys, keys, keys, keys) + log.String()
	for _, secret := range []string{"secret", fmt.Sprintf("%x", "secret"), fmt.Sprint([]byte("secret"))[1:10]} {
		if strings.Contains(printed, secret) {
			t.Errorf("printed: %s", printed)
		}
	}
	if !strings.Contains(printed, "2026-10") {
		t.Errorf("the signing key's id is not in %s", printed)
	}
}
