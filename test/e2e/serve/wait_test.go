package serve

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long the test waits for what must happen. The longest takes 18 s on an idle machine:
// until the Lease of a killed leader has expired.
const patience = 60 * time.Second

// eventually waits until done returns nil.
func eventually(t *testing.T, what string, done func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		err := done(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			require.NoError(t, err, "waited %s in vain until %s", patience, what)
		case <-retry.C:
		}
	}
}
