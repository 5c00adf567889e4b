package gitops

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
)

// TestKubectlWait: the label is written by the same request that changes the phase, so whoever waits
// after a change never reads what the release before it came to.
func TestKubectlWait(t *testing.T) {
	t.Parallel()
	inBothKinds(t, "50%", func(t *testing.T, w workload) {
		promote := func(image string) {
			t.Helper()
			w.setImage(image)
			stale := w.waitFor(phase("Promoted"), time.Second)
			require.NotZero(t, stale.Code, stale)
			w.waitPhase("Waiting")
			w.approve()
			w.waitPhase("Promoted")
			require.Nil(t, w.release())
		}
		promote(v2)
		promote(v3)

		w.setImage(v1)
		w.waitPhase("Waiting")
		w.abort()
		stalled := w.waitFor("condition=Stalled", time.Minute)
		require.Zero(t, stalled.Code, stalled)
		w.waitPhase("Aborted")

		w.setImage(v3)
		w.waitPhase("Reverted")
		require.Nil(t, w.release())
		require.Empty(t, w.conditions())
	})
}

// TestTheConditionWhileARolloutGoesOn: what goes on by itself reconciles; a step that waits for its
// duration does, one that waits for a person does not.
func TestTheConditionWhileARolloutGoesOn(t *testing.T) {
	t.Parallel()
	inBothKinds(t, "40%:6s, 60%", func(t *testing.T, w workload) {
		w.setImage(v2)
		reconciling := w.waitFor("condition=Reconciling", time.Minute)
		require.Zero(t, reconciling.Code, reconciling)
		w.waitPhase("Waiting")
		timed := w.waitFor(`jsonpath={.status.conditions[?(@.type=="Reconciling")].reason}=Waiting`, time.Minute)
		require.Zero(t, timed.Code, timed)
		w.Eventually("step 2 waits for a person", func(context.Context) error {
			if r := w.release(); r.Phase != canary.Waiting || r.Step != 2 || len(w.conditions()) > 0 {
				return fmt.Errorf("release %s, conditions %v", r.Encode(), w.conditions())
			}
			return nil
		})
		w.approve()
		w.waitPhase("Promoted")
		require.Empty(t, w.conditions())
	})
}

// conditions returns the types of sluice's conditions.
func (w workload) conditions() []string {
	w.t.Helper()
	all, _, err := unstructured.NestedSlice(w.object().Object, "status", "conditions")
	require.NoError(w.t, err)
	var own []string
	for _, condition := range all {
		if kind, _ := condition.(map[string]any)["type"].(string); kind == "Reconciling" || kind == "Stalled" {
			own = append(own, kind)
		}
	}
	return own
}
