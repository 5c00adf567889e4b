package controller

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
)

// canaryName is where the canary of a release is or will be.
func (c *cluster) canaryName() string {
	return nameWithHash(web.Name, canary.CanaryHash(c.release()))
}

func TestBlocked(t *testing.T) {
	foreign := func(t *testing.T, c *cluster) {
		t.Helper()
		rs := stableObject()
		rs.SetName(c.canaryName())
		rs.SetResourceVersion("")
		rs.SetOwnerReferences(nil)
		rs.SetLabels(nil)
		setImage("other:1")(rs)
		require.NoError(t, c.store.Create(t.Context(), rs))
	}
	greedy := func(t *testing.T, c *cluster) {
		t.Helper()
		object := deploymentObject("greedy:1")
		object.SetName("greedy")
		require.NoError(t, unstructured.SetNestedField(object.Object, map[string]any{
			"matchExpressions": []any{map[string]any{"key": "app", "operator": "DoesNotExist"}},
		}, "spec", "selector"))
		require.NoError(t, c.store.Create(t.Context(), object))
	}
	for name, test := range map[string]struct {
		before func(*testing.T, *cluster)
		want   string
	}{
		"a ReplicaSet of somebody else has the canary's name":         {foreign, "exists and is not sluice's; delete or rename it"},
		"a Deployment whose selector matches sluice's labels is near": {greedy, "the selector of deployment greedy (!app) also matches sluice's own labels"},
	} {
		t.Run(name, func(t *testing.T) {
			c := running(t)
			c.user("helm", setImage("web:2"))
			test.before(t, c)
			var err error
			for range 5 {
				_, err = c.once()
			}
			require.ErrorContains(t, err, test.want)
			require.Contains(t, c.events(), "Warning ReleaseBlocked")
			require.Equal(t, int64(10), c.pods()["web:1"])
			require.NotContains(t, c.pods(), "web:2")

			c.now = c.now.Add(time.Hour)
			_, err = c.once()
			require.ErrorContains(t, err, test.want, "it might have been away: the step has its deadline once more")
			c.now = c.now.Add(time.Hour)
			_, err = c.once()
			require.NoError(t, err)
			require.Equal(t, canary.Aborted, c.release().Phase, "after its deadline")
			require.Contains(t, c.release().Reason, test.want)
		})
	}
}

func TestCanaryGetsItsMarksBack(t *testing.T) {
	c := running(t)
	c.upgrade("web:2")
	for _, rs := range c.replicaSets() {
		if rs.GetName() == c.canaryName() {
			rs.SetLabels(map[string]string{"note": "mine"})
			require.NoError(t, c.store.Update(t.Context(), &rs))
		}
	}
	c.run()
	require.Equal(t, canary.Waiting, c.release().Phase)
	for _, rs := range c.replicaSets() {
		if rs.GetName() == c.canaryName() {
			require.Equal(t, "mine", rs.GetLabels()["note"])
			require.Equal(t, c.release().ID, releaseID(&rs, web.Name))
		}
	}
	require.Equal(t, map[string]int64{"web:1": 10, "web:2": 2}, c.pods())
}

func TestAbortNamesThePod(t *testing.T) {
	c := running(t)
	c.user("helm", setImage("web:unready"))
	require.NoError(t, c.raw.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: web.Namespace, Name: "web-x",
			Labels: map[string]string{hashLabel: canary.CanaryHash(c.release())},
		},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}},
		}},
	}))
	c.run()
	require.Equal(t, canary.Aborted, c.release().Phase)
	require.Contains(t, c.release().Reason, "pod web-x container c: CrashLoopBackOff")
	require.Contains(t, c.events(), "Warning ReleaseAborted")
}

func TestTooLate(t *testing.T) {
	terminating := apierrors.NewForbidden(replicaSetResource, "web", errors.New("the namespace is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, test := range map[string]struct {
		err       error
		wantAgain time.Duration
		wantErr   bool
	}{
		"no error":                {},
		"conflict":                {err: conflict.err, wantAgain: lookAgain},
		"exists already":          {err: apierrors.NewAlreadyExists(replicaSetResource, "web"), wantAgain: lookAgain},
		"gone":                    {err: apierrors.NewNotFound(replicaSetResource, "web"), wantAgain: lookAgain},
		"namespace being deleted": {err: terminating, wantAgain: lastRetry},
		"too many requests":       {err: busy.err, wantErr: true},
		"blocked":                 {err: &blocked{"no"}, wantErr: true},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := tooLate(test.err)
			require.Equal(t, test.wantErr, err != nil)
			require.Equal(t, test.wantAgain, result.RequeueAfter)
		})
	}
}
