package ledger

import (
	"context"
	"time"
)

// OpenBounded is Open with another bound on how long the database may say nothing.
func OpenBounded(ctx context.Context, url string, maxConns int32, silence time.Duration) (*Ledger, error) {
	return openBounded(ctx, url, maxConns, silence)
}
