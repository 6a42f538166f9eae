package gateway

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/paystage/paystage/models"
)

// Bounds on what one entitlement may hold.
const (
	maxKeys       = 100
	maxExceptions = 200
)

// parse reads the JSON of one entitlement.
func (p *plans) parse(text []byte) (*holding, error) {
	var e models.Entitlement
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, err
	}
	if err := checkEntitlement(e); err != nil {
		return nil, err
	}
	return p.hold(e)
}

// checkEntitlement refuses what no sender of entitlements ever means.
func checkEntitlement(e models.Entitlement) error {
	switch {
	case e.AccountID == "":
		return errors.New("account_id is missing")
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
		if key.ID == "" || !isHash(key.SHA256) {
			return fmt.Errorf("keys: %q is not an id with a SHA-256 in hexadecimal", key.ID)
		}
	}
	for _, x := range e.Exceptions {
		if x.RPM != nil && *x.RPM < 0 {
			return errors.New("exceptions: rpm must not be negative")
		}
	}
	return nil
}
