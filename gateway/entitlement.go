package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/paystage/paystage/models"
)

// Bounds on what one entitlement may hold.
const (
	maxKeys       = 100
	maxExceptions = 200
	maxAccountID  = 255
)

// checkEntitlement refuses what no sender of entitlements ever means.
func checkEntitlement(e models.Entitlement) error {
	switch {
	case e.AccountID == "":
		return errors.New("account_id is missing")
	case len(e.AccountID) > maxAccountID:
		return fmt.Errorf("account_id has more than %d bytes", maxAccountID)
	case e.Version < 1:
		return errors.New("version must be 1 or more")
	case e.Tier.Number < 0:
		return errors.New("tier.number must not be negative")
	case e.Limits.LLM < 0 || e.Limits.Embeddings < 0 || e.Limits.Rerank < 0:
		return errors.New("limits must not be negative")
	case len(e.Keys) > maxKeys:
		return fmt.Errorf("keys has more than %d", maxKeys)
	case len(e.Exceptions) > maxExceptions:
		return fmt.Errorf("exceptions has more than %d", maxExceptions)
	}
	for _, key := range e.Keys {
		if !isHex(key.ID, keyIDBytes) || !isHex(key.SHA256, sha256.Size) {
			return fmt.Errorf("keys: %q is not an id of %d bytes with a SHA-256, both in hexadecimal", key.ID, keyIDBytes)
		}
	}
	for _, x := range e.Exceptions {
		if x.RPM != nil && *x.RPM < 0 {
			return errors.New("exceptions: rpm must not be negative")
		}
	}
	return nil
}

// isHex says whether a text is that many bytes in hexadecimal.
func isHex(text string, bytes int) bool {
	decoded, err := hex.DecodeString(text)
	return err == nil && len(decoded) == bytes
}
