package controller

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

// stormy has a DaemonSet "web" whose next change waits for a minute, with a condition of somebody else's.
func stormy(t *testing.T) *shopCluster {
	other := appsv1.DaemonSetCondition{Type: "Tended", Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon)}
	web := daemonSet("web", "app")
	web.Status.Conditions = []appsv1.DaemonSetCondition{other}
	c := newCluster(t, shop(), configMap("app", "none"), web)
	c.looks(named(canary.DaemonSet, "web"))
	for i := range freeChanges {
		c.edit("app", fmt.Sprint(i))
		c.looks(named(canary.DaemonSet, "web"))
	}
	c.edit("app", "last")
	c.looks(named(canary.DaemonSet, "web"))
	return c
}

// postponed returns the condition of the DaemonSet "web", nil where it has none. The other one is always there.
func (c *shopCluster) postponed() *appsv1.DaemonSetCondition {
	conditions := c.daemonSet("web").Status.Conditions
	var found *appsv1.DaemonSetCondition
	others := 0
	for i := range conditions {
		if conditions[i].Type == hashing.ConditionConfigPostponed {
			found = &conditions[i]
		} else {
			others++
		}
	}
	require.Equal(c.t, 1, others, "%v", conditions)
	return found
}

func TestAConditionStandsWhileAChangeIsKeptFromAWorkload(t *testing.T) {
	web := named(canary.DaemonSet, "web")
	tests := map[string]struct {
		then func(*shopCluster)
		want bool // it stands
	}{
		"nothing happens":                  {func(*shopCluster) {}, true},
		"another controller leads":         {func(c *shopCluster) { c.restart() }, true},
		"some of the time has passed":      {func(c *shopCluster) { c.now = c.now.Add(30 * time.Second) }, true},
		"the wait is over":                 {func(c *shopCluster) { c.now = c.now.Add(time.Minute) }, false},
		"the content is put back":          {func(c *shopCluster) { c.edit("app", fmt.Sprint(freeChanges-1)) }, false},
		"the wait is over, and it was new": {func(c *shopCluster) { c.restart(); c.now = c.now.Add(time.Minute) }, false},
		"the namespace opts out":           {func(c *shopCluster) { c.optedOut = true }, false},
		"the namespace is spared":          {func(c *shopCluster) { c.spared["shop"] = true }, false},
		"the workload opts out": {func(c *shopCluster) {
			d := c.daemonSet("web")
			d.Labels = map[string]string{canary.EnabledLabel: "false"}
			require.NoError(c.t, c.store.Update(t.Context(), d))
		}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := stormy(t)
			condition := c.postponed()
			require.NotNil(t, condition)
			require.Equal(t, corev1.ConditionTrue, condition.Status)
			require.Equal(t, tooOften, condition.Reason)
			require.Equal(t, "config changed 4 times in quick succession: the next release of it waits until 2026-11-01T12:01:00Z. "+
				"Find who keeps changing configmap/app", condition.Message)
			require.Equal(t, noon, condition.LastTransitionTime.UTC())
			test.then(c)
			c.looks(web)
			if !test.want {
				require.Nil(t, c.postponed())
				return
			}
			require.Equal(t, condition, c.postponed(), "as it was, without another write")
		})
	}
}

// What is of no interest is not even read, unless the cache says that there is something to take off.
func TestOptedOutWorkloadsAreNotRead(t *testing.T) {
	c := stormy(t)
	c.optedOut = true
	c.looks(named(canary.DaemonSet, "web"))
	calls := c.calls
	c.looks(named(canary.DaemonSet, "web"))
	require.Equal(t, calls, c.calls)
}

func TestAFailureElsewhereIsACondition(t *testing.T) {
	c := newCluster(t, shop(), configMap("app", "none"), deployment("web", "app"), deployment("api", "app"))
	web, api := named(canary.Deployment, "web"), named(canary.Deployment, "api")
	c.looks(web)
	c.looks(api)
	c.edit("app", "bad")
	c.looks(web)
	c.change("web", func(r *canary.Release) { r.Phase = canary.Aborted })
	c.looks(api)
	conditions := c.deployment("api").Status.Conditions
	require.Len(t, conditions, 1)
	require.EqualValues(t, hashing.ConditionConfigPostponed, conditions[0].Type)
	require.Equal(t, failure, conditions[0].Reason)
	require.Contains(t, conditions[0].Message, "deployment/web failed with this content of configmap/app")
	c.edit("app", "good")
	c.looks(api)
	require.Empty(t, c.deployment("api").Status.Conditions)
}
