package traffic

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/canary/traffic/split"
)

// slowMapper takes as long to answer as an API server.
type slowMapper struct{ meta.RESTMapper }

func (m slowMapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	time.Sleep(time.Millisecond)
	return m.RESTMapper.RESTMapping(kind, versions...)
}

// TestAKindThatIsInstalledLaterIsWatchedWithinHalfAMinute after that.
func TestAKindThatIsInstalledLaterIsWatchedWithinHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := makeWorldWithout(t, []schema.GroupKind{split.VirtualService})
		everything := makeWorld(t).mapper.RESTMapper
		w.mapper.RESTMapper = slowMapper{w.mapper.RESTMapper}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var installed, watched time.Time
		var kinds []string
		err := EachKind(ctx, w.client, func(kind schema.GroupVersionKind) error {
			kinds = append(kinds, kind.Kind)
			if kind.Kind == "ApisixRoute" { // the last one
				installed, w.mapper.RESTMapper = time.Now(), slowMapper{everything}
			}
			watched = time.Now()
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, []string{"HTTPRoute", "GRPCRoute", "Ingress", "ApisixRoute", "VirtualService"}, kinds)
		require.LessOrEqual(t, watched.Sub(installed), absentFor)
	})
}
