package gateway

import (
	"errors"

	"github.com/paystage/paystage/models"
)

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
	}
	return nil
}
