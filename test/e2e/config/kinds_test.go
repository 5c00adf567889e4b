package config

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/test/builders"
)

func TestConfigOfAStatefulSet(t *testing.T) {
	s := namespace(t).configured()
	built := builders.MakeStatefulSet("db").Replicas(3).Obj()
	reads(&built.Spec.Template.Spec)
	set := s.CreateSet(built)
	set.Wait("its config was seen", func(set *appsv1.StatefulSet) bool { return set.Annotations[canary.ConfigSeenAnnotation] != "" })
	first := set.Get().Spec.Template
	stable := set.Pods()

	s.set("app", "GREETING", "good day")
	release := set.WaitPhase(canary.Waiting, 1)
	require.Equal(t, "configmap/app: GREETING", release.Cause)
	kept := 0
	for name, pod := range set.Pods() {
		if stable[name].UID == pod.UID {
			kept++
		}
	}
	require.Equal(t, 2, kept, "one pod runs the new config")

	s.set("app", "GREETING", "hello")
	set.WaitReleased()
	require.Equal(t, first, set.Get().Spec.Template)

	s.set("app", "GREETING", "good evening")
	set.WaitPhase(canary.Waiting, 1)
	set.Approve()
	set.WaitReleased()
	require.NotEqual(t, first, set.Get().Spec.Template)
	require.Zero(t, set.Partition())
}

func TestConfigOfADaemonSetRollsOutNatively(t *testing.T) {
	s := namespace(t).configured()
	labels := map[string]string{"app": "agent"}
	agent := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent"}}
	agent.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	agent.Spec.Template.Labels = labels
	agent.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Image: v1}}
	reads(&agent.Spec.Template.Spec)
	_, err := env.Client(t, "alice").AppsV1().DaemonSets(s.Name).Create(t.Context(), agent, metav1.CreateOptions{})
	require.NoError(t, err)
	await := func(what string, ok func(*appsv1.DaemonSet) bool) *appsv1.DaemonSet {
		t.Helper()
		var found *appsv1.DaemonSet
		s.Eventually(what, func(ctx context.Context) error {
			var err error
			if found, err = s.Admin.AppsV1().DaemonSets(s.Name).Get(ctx, "agent", metav1.GetOptions{}); err == nil && !ok(found) {
				err = errors.New(fmt.Sprint(found.Status))
			}
			return err
		})
		return found
	}
	first := digestOf(await("it was seen", func(d *appsv1.DaemonSet) bool {
		return d.Annotations[canary.ConfigSeenAnnotation] != "" && d.Status.NumberAvailable == d.Status.DesiredNumberScheduled
	}).Spec.Template)
	require.NotEmpty(t, first)

	s.set("app", "GREETING", "good day")
	d := await("the new config is rolled out", func(d *appsv1.DaemonSet) bool {
		return digestOf(d.Spec.Template) != first && d.Status.ObservedGeneration == d.Generation &&
			d.Status.UpdatedNumberScheduled == d.Status.DesiredNumberScheduled && d.Status.NumberAvailable == d.Status.DesiredNumberScheduled
	})
	generation := d.Generation
	s.looked()
	require.Equal(t, generation, await("it is there", func(*appsv1.DaemonSet) bool { return true }).Generation)
	revisions, err := s.Admin.AppsV1().ControllerRevisions(s.Name).List(t.Context(), metav1.ListOptions{LabelSelector: "app=agent"})
	require.NoError(t, err)
	require.Len(t, revisions.Items, 2)

	for i := range 3 {
		before := digestOf(await("it is there", func(*appsv1.DaemonSet) bool { return true }).Spec.Template)
		s.set("app", "GREETING", fmt.Sprintf("change %d", i+2))
		await("the new config is rolled out", func(d *appsv1.DaemonSet) bool { return digestOf(d.Spec.Template) != before })
	}
	s.set("app", "GREETING", "the fifth change")
	await("the condition of a change that is kept back", func(d *appsv1.DaemonSet) bool {
		return slices.ContainsFunc(d.Status.Conditions, func(c appsv1.DaemonSetCondition) bool {
			return c.Type == hashing.ConditionConfigPostponed && c.Reason == "ConfigChangesTooOften"
		})
	})
}
