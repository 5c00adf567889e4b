package harness

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
)

// Closed is the partition of a StatefulSet that is held.
const Closed = 2147483647

// Set is the StatefulSet "db" of a test in its Namespace.
type Set struct {
	*Namespace
	// Deliver, where it is set, brings a version in the place of `kubectl set image`.
	Deliver func(image string) Result
}

// CreateSet creates a StatefulSet "db" as alice and waits until all of its pods are there.
func (n *Namespace) CreateSet(s *appsv1.StatefulSet) Set {
	n.t.Helper()
	_, err := n.Env.Client(n.t, "alice").AppsV1().StatefulSets(n.Name).Create(n.t.Context(), s, metav1.CreateOptions{})
	require.NoError(n.t, err)
	set := Set{Namespace: n}
	set.WaitComplete()
	return set
}

// WaitComplete waits until the native rollout is over.
func (s Set) WaitComplete() *appsv1.StatefulSet {
	s.t.Helper()
	return s.Wait("its rollout is complete", func(s *appsv1.StatefulSet) bool {
		n := *s.Spec.Replicas
		return s.Status.ObservedGeneration == s.Generation && s.Status.Replicas == n && s.Status.AvailableReplicas == n &&
			s.Status.CurrentRevision == s.Status.UpdateRevision
	})
}

// Get returns the StatefulSet as stored.
func (s Set) Get() *appsv1.StatefulSet {
	s.t.Helper()
	set, err := s.Admin.AppsV1().StatefulSets(s.Name).Get(s.t.Context(), "db", metav1.GetOptions{})
	require.NoError(s.t, err)
	return set
}

// Release returns its release, nil where there is none.
func (s Set) Release() *canary.Release {
	s.t.Helper()
	r, err := canary.DecodeRelease(s.Get().Annotations)
	require.NoError(s.t, err)
	return r
}

// Image is what the spec says.
func (s Set) Image() string {
	s.t.Helper()
	return s.Get().Spec.Template.Spec.Containers[0].Image
}

// Partition is what the spec says, 0 where it says nothing.
func (s Set) Partition() int32 {
	s.t.Helper()
	return partitionOf(s.Get())
}

func partitionOf(s *appsv1.StatefulSet) int32 {
	if r := s.Spec.UpdateStrategy.RollingUpdate; r != nil && r.Partition != nil {
		return *r.Partition
	}
	return 0
}

// Wait waits until the StatefulSet is as asked for.
func (s Set) Wait(what string, ok func(*appsv1.StatefulSet) bool) *appsv1.StatefulSet {
	s.t.Helper()
	var found *appsv1.StatefulSet
	s.Eventually(what, func(ctx context.Context) error {
		set, err := s.Admin.AppsV1().StatefulSets(s.Name).Get(ctx, "db", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if found = set; !ok(set) {
			return fmt.Errorf("its update strategy is %+v, its release %s, its status %+v", set.Spec.UpdateStrategy,
				set.Annotations[canary.ReleaseAnnotation], set.Status)
		}
		return nil
	})
	return found
}

// WaitPhase waits until the release is in a phase, at a step, and sluice has seen it.
func (s Set) WaitPhase(phase canary.Phase, step int) *canary.Release {
	s.t.Helper()
	s.Wait(fmt.Sprintf("the release is %s at step %d", phase, step), func(s *appsv1.StatefulSet) bool {
		r, err := canary.DecodeRelease(s.Annotations)
		return err == nil && r != nil && r.Phase == phase && r.Step == step && r.Since != nil
	})
	return s.Release()
}

// WaitImages waits until exactly these pods are there and ready, by their images in the order of their
// names.
func (s Set) WaitImages(want ...string) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("the pods are %v", want), func(context.Context) error {
		if images := s.Images(); !slices.Equal(images, want) {
			return fmt.Errorf("they are %v", images)
		}
		return nil
	})
}

// WaitCount waits until this many pods of an image are ready.
func (s Set) WaitCount(image string, count int) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("%d pods run %s", count, image), func(context.Context) error {
		images := s.Images()
		found := 0
		for _, i := range images {
			if i == image {
				found++
			}
		}
		if found != count {
			return fmt.Errorf("the pods are %v", images)
		}
		return nil
	})
}

// WaitReleased waits until there is no release.
func (s Set) WaitReleased() *appsv1.StatefulSet {
	s.t.Helper()
	return s.Wait("it has no release", func(s *appsv1.StatefulSet) bool {
		return s.Annotations[canary.ReleaseAnnotation] == "" && s.Labels[canary.ActiveLabel] == ""
	})
}

// WaitStable waits until there is no release and all pods run an image.
func (s Set) WaitStable(image string) {
	s.t.Helper()
	set := s.WaitReleased()
	s.WaitImages(slices.Repeat([]string{image}, int(*set.Spec.Replicas))...)
	require.Equal(s.t, image, s.Image())
}

// Pods returns the pods that are ready and not being deleted, by name.
func (s Set) Pods() map[string]corev1.Pod {
	s.t.Helper()
	list, err := s.Admin.CoreV1().Pods(s.Name).List(s.t.Context(), metav1.ListOptions{LabelSelector: "app=db"})
	require.NoError(s.t, err)
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

// Images returns the images of those pods, in the order of their names.
func (s Set) Images() []string {
	s.t.Helper()
	pods := s.Pods()
	var images []string
	for _, name := range slices.Sorted(maps.Keys(pods)) {
		images = append(images, pods[name].Spec.Containers[0].Image)
	}
	return images
}

// Quiet is Namespace.Quiet for a StatefulSet.
func (s Set) Quiet() {
	s.t.Helper()
	s.quiet(func() {
		s.t.Helper()
		reads := s.Env.Proxy.Reads(s.Name)
		set, err := s.Admin.AppsV1().StatefulSets(s.Name).Patch(s.t.Context(), "db", types.MergePatchType, pokePatch(), metav1.PatchOptions{})
		require.NoError(s.t, err)
		s.looksAt(set, reads)
	})
}
