package controller

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
)

// TestADowngradeInTheMiddleOfARelease: a newer sluice left a phase and fields that this one does not know.
// It leaves them alone: what is held stays held, and nothing is promoted. The newer one goes on.
func TestADowngradeInTheMiddleOfARelease(t *testing.T) {
	for _, kind := range []string{canary.Deployment, canary.StatefulSet} {
		t.Run(kind, func(t *testing.T) {
			c := stories()[kind+" reverted"].start(t)
			c.upgrade("web:2")
			state := c.workload().GetAnnotations()[canary.ReleaseAnnotation]
			newer := strings.Replace(state, `"phase":"Waiting"`, `"phase":"Analyzing","analysis":{"runs":3}`, 1)
			require.NotEqual(t, state, newer)
			c.stateIs(newer)
			held := c.dump()
			c.restart()
			c.writes = nil
			for range 20 {
				c.run()
				c.now = c.now.Add(time.Hour)
			}
			require.Empty(t, c.writes)
			requireSame(t, held, c.dump(), "after twenty hours")

			c.stateIs(state)
			c.restart()
			c.run()
			c.drive(canary.ApproveAnnotation, (*canary.Release).ApproveFullValue)
			require.Nil(t, c.release())
		})
	}
}

// stateIs stores a state as another version of sluice would have.
func (c *cluster) stateIs(state string) {
	c.t.Helper()
	object := c.workload()
	annotate(canary.ReleaseAnnotation, state)(object)
	require.NoError(c.t, c.store.Update(c.t.Context(), object))
	c.native()
}

// TestAnUpgradeInTheMiddleOfARelease: an older sluice left a state without what was added since.
func TestAnUpgradeInTheMiddleOfARelease(t *testing.T) {
	for _, kind := range []string{canary.Deployment, canary.StatefulSet} {
		t.Run(kind, func(t *testing.T) {
			c := stories()[kind+" reverted"].start(t)
			c.upgrade("web:2")
			r := c.release()
			older := &canary.Release{ID: r.ID, Phase: r.Phase, Step: r.Step, Stable: r.Stable, Canary: r.Canary, Policy: canary.Policy{Steps: r.Policy.Steps, Deadline: r.Policy.Deadline}}
			c.stateIs(older.Encode())
			for _, rs := range c.replicaSets() { // as they were marked before there were phases
				unstructured.RemoveNestedField(rs.Object, "metadata", "labels", canary.PhaseLabel)
				require.NoError(t, c.store.Update(t.Context(), &rs))
			}
			c.restart()
			c.run()
			require.Equal(t, canary.Waiting, c.release().Phase)
			c.drive(canary.ApproveAnnotation, (*canary.Release).ApproveFullValue)
			require.Nil(t, c.release())
			requireQuiet(t, c)
		})
	}
}
