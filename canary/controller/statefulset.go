package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	kjson "sigs.k8s.io/json"

	"sluice.dev/sluice/canary"
)

// setState adds what only a StatefulSet has.
func (w *workload) setState(state *canary.WorkloadState) error {
	set, err := w.set()
	if err != nil {
		return err
	}
	if rolling := set.Spec.UpdateStrategy.RollingUpdate; rolling != nil && rolling.Partition != nil {
		state.Partition = *rolling.Partition
	}
	state.InOrder = set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement
	return nil
}

func (w *workload) set() (*appsv1.StatefulSet, error) {
	set := &appsv1.StatefulSet{}
	_, err := decodeAround(w.object, set)
	return set, err
}

// observeSet reads the pods of a StatefulSet and which template each was made of.
func (r *reconciler) observeSet(ctx context.Context, s *snapshot) error {
	set, err := s.workload.set()
	if err != nil {
		return err
	}
	revisions, err := r.revisions(ctx, s.workload)
	if err != nil {
		return err
	}
	if set.Status.ObservedGeneration >= set.Generation {
		// Whatever the versions of API server and controller-manager make of its fields.
		revisions[set.Status.UpdateRevision] = canary.Revision{
			Hash: s.observed.Workload.TemplateHash, Digest: s.observed.Workload.TemplateDigest,
		}
	}
	s.observed.Workload.Current = revisions[set.Status.CurrentRevision]
	s.revisionNames = map[canary.Revision]string{}
	for name, revision := range revisions {
		s.revisionNames[revision] = name
	}
	pods := &corev1.PodList{}
	err = r.client.List(ctx, pods, client.InNamespace(s.key.Namespace), client.MatchingLabelsSelector{Selector: s.workload.selector})
	if err != nil {
		return fmt.Errorf("listing its pods: %w", err)
	}
	for _, pod := range pods.Items {
		index, ok := indexOf(&pod, set)
		if !ok {
			continue
		}
		s.pods = append(s.pods, pod)
		s.observed.Pods = append(s.observed.Pods, canary.Pod{
			Name: pod.Name, UID: string(pod.UID), Index: index,
			Template: revisions[pod.Labels[appsv1.StatefulSetRevisionLabel]],
			Ready:    isReady(&pod), Available: isAvailable(&pod, set.Spec.MinReadySeconds, r.now()),
			Terminating: pod.DeletionTimestamp != nil,
		})
	}
	s.observed.PodTrouble, s.observed.PodsFail = setTrouble(s.observed, s.pods)
	if len(s.pods) < int(s.observed.Workload.Replicas) && !s.observed.PodsFail {
		s.observed.PodTrouble, s.observed.PodsFail, err = r.createTrouble(ctx, s)
	}
	return err
}

// revisions returns the templates of the StatefulSet's ControllerRevisions by their names.
func (r *reconciler) revisions(ctx context.Context, w *workload) (map[string]canary.Revision, error) {
	list := &appsv1.ControllerRevisionList{}
	err := r.client.List(ctx, list, client.InNamespace(w.object.GetNamespace()), client.MatchingLabelsSelector{Selector: w.selector})
	if err != nil {
		return nil, fmt.Errorf("listing its controller revisions: %w", err)
	}
	found := map[string]canary.Revision{}
	for i := range list.Items {
		if !metav1.IsControlledBy(&list.Items[i], w.object) {
			continue
		}
		if found[list.Items[i].Name], err = revisionOf(list.Items[i].Data.Raw); err != nil {
			return nil, fmt.Errorf("controller revision %s: %w", list.Items[i].Name, err)
		}
	}
	return found, nil
}

// revisionOf reads the patch that a ControllerRevision of a StatefulSet is: the template and a
// directive to replace. Source: k8s.io/kubernetes pkg/controller/statefulset, getPatch.
func revisionOf(data []byte) (canary.Revision, error) {
	var patch struct {
		Spec struct {
			Template map[string]any `json:"template"`
		} `json:"spec"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &patch); err != nil {
		return canary.Revision{}, fmt.Errorf("decoding its data: %w", err)
	}
	delete(patch.Spec.Template, "$patch")
	template, err := json.Marshal(patch.Spec.Template)
	if err != nil {
		return canary.Revision{}, fmt.Errorf("encoding its template: %w", err)
	}
	var revision canary.Revision
	if revision.Hash, err = canary.HashTemplate(template); err != nil {
		return canary.Revision{}, err
	}
	revision.Digest, err = canary.TemplateDigest(template)
	return revision, err
}

// indexOf returns a pod's ordinal less the first one; false for pods that are not the set's, or that a
// scale-down is about to take away.
func indexOf(pod *corev1.Pod, set *appsv1.StatefulSet) (int32, bool) {
	text, ok := strings.CutPrefix(pod.Name, set.Name+"-")
	ordinal, err := strconv.ParseInt(text, 10, 32)
	if !ok || err != nil || !metav1.IsControlledBy(pod, set) {
		return 0, false
	}
	start := int32(0)
	if set.Spec.Ordinals != nil {
		start = set.Spec.Ordinals.Start
	}
	index := int32(ordinal) - start
	return index, index >= 0 && index < orOne(set.Spec.Replicas)
}

func isReady(pod *corev1.Pod) bool {
	return readySince(pod) != nil
}

// isAvailable: ready for as long as minReadySeconds asks.
func isAvailable(pod *corev1.Pod, minReadySeconds int32, now time.Time) bool {
	since := readySince(pod)
	return since != nil && (minReadySeconds == 0 || !since.Add(time.Duration(minReadySeconds)*time.Second).After(now))
}

func readySince(pod *corev1.Pod) *metav1.Time {
	for i, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return &pod.Status.Conditions[i].LastTransitionTime
		}
	}
	return nil
}

// setTrouble says why the canary is not available: what ails one of its pods, or else another pod, for
// which the controller waits. Empty where nothing is wrong or nobody knows.
func setTrouble(o canary.Observed, pods []corev1.Pod) (said string, fails bool) {
	var own, others []corev1.Pod
	for i := range pods {
		switch {
		case o.Pods[i].Available || o.Pods[i].Terminating:
		case o.Pods[i].Template == o.Release.Canary:
			own = append(own, pods[i])
		default:
			others = append(others, pods[i])
		}
	}
	if said, fails := troubleOf(own); said != "" || !o.Workload.InOrder {
		return said, fails
	}
	if said, fails = troubleOf(others); said != "" {
		said = "the set waits for " + said
	}
	return said, fails
}

// createTrouble says why a pod that is missing cannot be created, as a quota or pod security can forbid
// it: a StatefulSet's controller tells that in Events alone.
func (r *reconciler) createTrouble(ctx context.Context, s *snapshot) (said string, fails bool, err error) {
	events := &corev1.EventList{}
	err = r.client.List(ctx, events, client.InNamespace(s.key.Namespace), client.MatchingFields{
		"involvedObject.uid": string(s.workload.object.GetUID()), "reason": "FailedCreate",
	})
	if err != nil {
		return "", false, fmt.Errorf("listing the events of its pods that could not be created: %w", err)
	}
	for _, event := range events.Items {
		last := cmp.Or(event.LastTimestamp.Time, event.EventTime.Time)
		if s.release.Since != nil && !last.Before(*s.release.Since) && s.misses(event.Message) {
			return trim(event.Message, maxTrouble), true, nil
		}
	}
	return s.observed.PodTrouble, false, nil
}

// misses tells whether a message names a pod that does not exist.
func (s *snapshot) misses(message string) bool {
	for _, pod := range s.observed.Pods {
		if slices.Contains(strings.Fields(message), pod.Name) {
			return false
		}
	}
	return true
}

func (r *reconciler) deletePod(ctx context.Context, s *snapshot, uid string) error {
	for i := range s.pods {
		if string(s.pods[i].UID) == uid {
			return r.deleteExactly(ctx, &s.pods[i], "pod")
		}
	}
	return fmt.Errorf("this is a bug: a write for a pod with UID %q, which was not observed", uid)
}
