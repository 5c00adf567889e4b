package eject

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// readSet returns a StatefulSet with its pods.
func (e *Ejector) readSet(ctx context.Context, ref workload.Ref) (set, error) {
	object, err := e.get(ctx, ref)
	if err != nil {
		return set{}, err
	}
	var typed appsv1.StatefulSet
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &typed); err != nil {
		return set{}, fmt.Errorf("decoding %s: %w", ref, err)
	}
	s := set{
		mark: markOf(object), replicas: 1, inOrder: typed.Spec.PodManagementPolicy != appsv1.ParallelPodManagement,
		observed: typed.Status.ObservedGeneration >= typed.Generation,
		current:  typed.Status.CurrentRevision, update: typed.Status.UpdateRevision,
	}
	if typed.Spec.Replicas != nil {
		s.replicas = *typed.Spec.Replicas
	}
	if rolling := typed.Spec.UpdateStrategy.RollingUpdate; rolling != nil && rolling.Partition != nil {
		s.partition = *rolling.Partition
	}
	selector, err := metav1.LabelSelectorAsSelector(typed.Spec.Selector)
	if err != nil {
		return set{}, fmt.Errorf("reading the selector of %s: %w", ref, err)
	}
	items, err := e.list(ctx, pods, ref.Namespace, selector)
	if err != nil {
		return set{}, err
	}
	decoded, err := decodeAll[corev1.Pod](items)
	if err != nil {
		return set{}, err
	}
	for i := range decoded {
		if p, ok := podOf(&typed, &decoded[i], e.Clock.Now()); ok {
			s.pods = append(s.pods, p)
		}
	}
	return s, nil
}

// podOf returns false for pods that are not the set's.
func podOf(s *appsv1.StatefulSet, p *corev1.Pod, now time.Time) (pod, bool) {
	text, ok := strings.CutPrefix(p.Name, s.Name+"-")
	ordinal, err := strconv.ParseInt(text, 10, 32)
	if !ok || err != nil || !metav1.IsControlledBy(p, s) {
		return pod{}, false
	}
	found := pod{
		name: p.Name, uid: p.UID, index: int32(ordinal),
		revision: p.Labels[appsv1.StatefulSetRevisionLabel], ending: p.DeletionTimestamp != nil,
	}
	if s.Spec.Ordinals != nil {
		found.index -= s.Spec.Ordinals.Start
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			found.ready = true
			since := c.LastTransitionTime.Add(time.Duration(s.Spec.MinReadySeconds) * time.Second)
			found.available = s.Spec.MinReadySeconds == 0 || !since.After(now)
		}
	}
	return found, true
}
