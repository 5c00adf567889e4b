package webhook

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOurAnswerComesBeforeTheAPIServerGivesUp(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"timeout=1s":    900 * time.Millisecond,
		"timeout=3s":    2700 * time.Millisecond,
		"timeout=5s":    4500 * time.Millisecond,
		"timeout=30s":   29 * time.Second,
		"timeout=1h":    29 * time.Second,
		"timeout=100ms": 50 * time.Millisecond,
		"timeout=0s":    9 * time.Second,
		"timeout=-5s":   9 * time.Second,
		"timeout=soon":  9 * time.Second,
		"":              9 * time.Second,
	} {
		t.Run(query, func(t *testing.T) {
			require.Equal(t, want, budget(httptest.NewRequest("POST", "/mutate?"+query, nil)))
		})
	}
}
