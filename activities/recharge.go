package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
)

// RechargeStep is how an account's loop goes on.
type RechargeStep struct {
	// WaitMillis is how long to wait, for a turn or for the recharge in flight; 0 when
	// there is nothing to wait for.
	WaitMillis int64 `json:"wait_millis,omitempty"`
}

// AdvanceRecharge takes the next step of an account's loop: it buys one increment,
// waits for the one in flight, or notes and tells why nothing is bought (R25-R27).
func (l *Ledger) AdvanceRecharge(ctx context.Context, in AccountRef) (RechargeStep, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return RechargeStep{}, fmt.Errorf("new purchase id: %w", err)
	}
	advance, err := l.Store.AdvanceRecharge(ctx, ledger.NewRecharge{
		AccountID: in.AccountID, PurchaseID: id.String(), At: l.Now(), Pace: l.RechargePace,
	})
	if err != nil {
		return RechargeStep{}, err
	}
	if advance.Action != billing.RechargeRest {
		l.Wake()
	}
	// Rounded up, so that a turn has come when the wait for it is over.
	return RechargeStep{WaitMillis: int64((advance.Wait + time.Millisecond - 1) / time.Millisecond)}, nil
}
