package server

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// surprised does not see the Lease until it has tried to create it, as when two replicas start at once.
type surprised struct {
	*leaseStore
	tried atomic.Bool
}

func (l *surprised) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	if !l.tried.Load() {
		return nil, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "leases"}, LeaseName)
	}
	return l.leaseStore.Get(ctx)
}

func (l *surprised) Create(context.Context, resourcelock.LeaderElectionRecord) error {
	l.tried.Store(true)
	return apierrors.NewAlreadyExists(schema.GroupResource{Resource: "leases"}, LeaseName)
}

func TestAFasterReplicaIsNoError(t *testing.T) {
	tests := map[string]struct {
		verbosity int
		want      string
	}{
		"nothing is said":     {0, ""},
		"it is said if asked": {1, "another replica was faster to take the lease"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var lines []string
			logger := funcr.New(func(_, line string) {
				mu.Lock()
				defer mu.Unlock()
				if strings.Contains(line, `"error"`) || strings.Contains(line, "faster") {
					lines = append(lines, line)
				}
			}, funcr.Options{Verbosity: tt.verbosity})
			r := newReplica(&sharedLease{record: &resourcelock.LeaderElectionRecord{}}, "a")
			r.lock = &surprised{leaseStore: r.store}
			running := background(log.IntoContext(t.Context(), logger), r.run)
			r.leads(t)
			running.stop()
			if tt.want == "" {
				require.Empty(t, lines)
				return
			}
			require.Len(t, lines, 1)
			require.Contains(t, lines[0], tt.want)
		})
	}
}

func TestAnElectionThatFailsIsAnError(t *testing.T) {
	var lines []string
	logger := quietAboutRivals(funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{}))

	logger.WithName("election").WithValues("lock", "x").Error(errCutOff, "getting the lease failed")

	require.Len(t, lines, 1)
	require.Contains(t, lines[0], `"error"="connection refused"`)
	quietAboutRivals(logr.Discard()).Error(errCutOff, "this is said to nobody")
}
