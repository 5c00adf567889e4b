// Package statefulset shows releases of StatefulSets on a real control plane.
package statefulset

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

const v1, v2, v3 = "example/app:v1", "example/app:v2", "example/app:v3"

const held = 2147483647

// env is the one control plane of this package; each test has a namespace of its own.
var env *harness.Env

func TestMain(m *testing.M) {
	os.Exit(harness.Run(m.Run, harness.SluiceOptions{}, func(e *harness.Env) { env = e }))
}

// database is the StatefulSet "db" of one test.
type database struct {
	*harness.Namespace
	t testing.TB
}

// create makes a StatefulSet as alice and waits until all of its pods are there.
func create(t testing.TB, n *harness.Namespace, set *appsv1.StatefulSet) database {
	t.Helper()
	_, err := env.Client(t, "alice").AppsV1().StatefulSets(n.Name).Create(t.Context(), set, metav1.CreateOptions{})
	require.NoError(t, err)
	db := database{n, t}
	db.wait("its first rollout is complete", func(s *appsv1.StatefulSet) bool {
		return s.Status.ObservedGeneration == s.Generation && s.Status.AvailableReplicas == *s.Spec.Replicas && s.Status.CurrentRevision == s.Status.UpdateRevision
	})
	return db
}

func db() *builders.StatefulSetBuilder { return builders.MakeStatefulSet("db").Replicas(4) }

func (db database) get() *appsv1.StatefulSet {
	db.t.Helper()
	s, err := db.Admin.AppsV1().StatefulSets(db.Name).Get(db.t.Context(), "db", metav1.GetOptions{})
	require.NoError(db.t, err)
	return s
}

func (db database) release() *canary.Release {
	db.t.Helper()
	r, err := canary.DecodeRelease(db.get().Annotations)
	require.NoError(db.t, err)
	return r
}

func (db database) wait(what string, ok func(*appsv1.StatefulSet) bool) {
	db.t.Helper()
	db.Eventually(what, func(ctx context.Context) error {
		s, err := db.Admin.AppsV1().StatefulSets(db.Name).Get(ctx, "db", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !ok(s) {
			return fmt.Errorf("its update strategy is %+v, its release %s, its status %+v, its pods %v", s.Spec.UpdateStrategy,
				s.Annotations[canary.ReleaseAnnotation], s.Status, db.images())
		}
		return nil
	})
}

func (db database) waitPhase(phase canary.Phase, step int) *canary.Release {
	db.t.Helper()
	db.wait(fmt.Sprintf("the release is %s at step %d", phase, step), func(s *appsv1.StatefulSet) bool {
		r, err := canary.DecodeRelease(s.Annotations)
		return err == nil && r != nil && r.Phase == phase && r.Step == step && r.Since != nil
	})
	return db.release()
}

// waitPods waits until exactly these pods are there and ready, by their images.
func (db database) waitPods(want ...string) {
	db.t.Helper()
	db.Eventually(fmt.Sprintf("the pods are %v", want), func(context.Context) error {
		if images := db.images(); !slices.Equal(images, want) {
			return fmt.Errorf("they are %v", images)
		}
		return nil
	})
}

// waitStable waits until there is no release and all pods run an image, with the partition of before.
func (db database) waitStable(image string, partition int32) {
	db.t.Helper()
	db.wait("it has no release", func(s *appsv1.StatefulSet) bool {
		return s.Annotations[canary.ReleaseAnnotation] == "" && *s.Spec.UpdateStrategy.RollingUpdate.Partition == partition &&
			s.Labels[canary.ActiveLabel] == ""
	})
	db.waitPods(slices.Repeat([]string{image}, int(*db.get().Spec.Replicas))...)
}

// pods returns the pods that are ready and not being deleted, by name.
func (db database) pods() map[string]corev1.Pod {
	db.t.Helper()
	list, err := db.Admin.CoreV1().Pods(db.Name).List(db.t.Context(), metav1.ListOptions{LabelSelector: "app=db"})
	require.NoError(db.t, err)
	found := map[string]corev1.Pod{}
	for _, p := range list.Items {
		ready := slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
		if ready && p.DeletionTimestamp == nil {
			found[p.Name] = p
		}
	}
	return found
}

// images returns the images of pods, in the order of their names.
func (db database) images() []string {
	db.t.Helper()
	pods := db.pods()
	var images []string
	for _, name := range slices.Sorted(maps.Keys(pods)) {
		images = append(images, pods[name].Spec.Containers[0].Image)
	}
	return images
}

func (db database) setImage(image string) harness.Result {
	db.t.Helper()
	return db.Kubectl("set", "image", "statefulset/db", "app="+image)
}

func (db database) approve() harness.Result {
	db.t.Helper()
	return db.Kubectl("annotate", "--overwrite", "statefulset/db", canary.ApproveAnnotation+"="+db.release().ApproveValue())
}

// partition is 0 where the strategy has none.
func (db database) partition() int32 {
	db.t.Helper()
	return *db.get().Spec.UpdateStrategy.RollingUpdate.Partition
}
