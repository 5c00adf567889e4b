package controller

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
)

// TestACompetingManagerIsNotOutrun: somebody undoes what sluice does, again and again, as another controller
// or a mutating webhook may; sluice slows down and says so.
func TestACompetingManagerIsNotOutrun(t *testing.T) {
	marked := func(change func(*cluster, *unstructured.Unstructured)) func(*cluster) {
		return func(c *cluster) {
			for _, rs := range c.replicaSets() {
				if releaseID(&rs, web.Name) != 0 {
					change(c, &rs)
				}
			}
		}
	}
	edited := func(change func(*unstructured.Unstructured)) func(*cluster) {
		return marked(func(c *cluster, rs *unstructured.Unstructured) {
			change(rs)
			require.NoError(c.t, c.store.Update(c.t.Context(), rs))
		})
	}
	raw := func(change func(*unstructured.Unstructured)) func(*cluster) {
		return func(c *cluster) {
			object := c.workload()
			change(object)
			require.NoError(c.t, c.store.Update(c.t.Context(), object))
		}
	}
	takes := func(c *cluster) {
		for _, pod := range c.setPods() {
			if pod.Spec.Containers[0].Image == "web:2" {
				require.NoError(c.t, c.store.Delete(c.t.Context(), &pod))
			}
		}
	}
	for name, test := range map[string]struct {
		kind string
		foe  func(*cluster)
		few  bool // writes: sluice does not take part
	}{
		"who marks the canary otherwise": {kind: canary.Deployment, foe: edited(func(rs *unstructured.Unstructured) {
			rs.SetLabels(merge(rs.GetLabels(), map[string]string{canary.WeightLabel: "99"}))
		})},
		"who scales the canary": {kind: canary.Deployment, foe: edited(replicas(7))},
		"who deletes the canary": {kind: canary.Deployment, foe: marked(func(c *cluster, rs *unstructured.Unstructured) {
			require.NoError(c.t, c.store.Delete(c.t.Context(), rs))
		})},
		"who unpauses where no webhook is":             {kind: canary.Deployment, foe: raw(resume)},
		"who lowers the partition where no webhook is": {kind: canary.StatefulSet, foe: raw(partition(0))},
		"who deletes the canary's pods":                {kind: canary.StatefulSet, foe: takes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := stories()[test.kind+" reverted"].start(t)
			c.upgrade("web:2")
			c.writes = nil
			said := ""
			for range 300 {
				test.foe(c)
				c.native()
				_, err := c.once()
				require.NoError(t, err)
				said += c.events()
			}
			require.LessOrEqual(t, len(c.writes), 2*burst, "and as many on the way down")
			require.NotEmpty(t, c.writes)
			require.Contains(t, said, "Warning BackingOff")
			require.Less(t, strings.Count(said, "Warning"), 310)
		})
	}
}
