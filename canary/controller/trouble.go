package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// maxPods bounds the pods that are read to find out what ails a canary.
	maxPods = 50
	// maxTrouble bounds what is said about it, in bytes.
	maxTrouble = 300
)

// podTrouble says why the canary is not available, empty where it is or where nobody knows.
func (r *reconciler) podTrouble(ctx context.Context, s *snapshot) (said string, fails bool, err error) {
	for _, rs := range s.replicaSets {
		if rs.state.ReleaseID != s.release.ID || rs.state.AvailableReplicas >= rs.state.Replicas {
			continue
		}
		pods := &corev1.PodList{}
		err := r.client.List(ctx, pods, client.InNamespace(s.key.Namespace),
			client.MatchingLabels{hashLabel: templateHashLabel(rs)}, client.Limit(maxPods))
		if err != nil {
			return "", false, fmt.Errorf("listing the pods of replica set %s/%s: %w", s.key.Namespace, rs.state.Name, err)
		}
		said, fails := trouble(rs.typed, pods.Items)
		return said, fails, nil
	}
	return "", false, nil
}

// trouble names the worst that is known: pods that cannot be created, then what ails the pods. It fails
// where that is more than a pod that is still starting.
func trouble(rs appsv1.ReplicaSet, pods []corev1.Pod) (said string, fails bool) {
	for _, c := range rs.Status.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			return trim(fmt.Sprintf("replica set %s: %s", rs.Name, because(c.Reason, c.Message)), maxTrouble), true
		}
	}
	return troubleOf(pods)
}

// troubleOf names the first pod that says what ails it, or else the first one that just is not ready.
func troubleOf(pods []corev1.Pod) (said string, fails bool) {
	pods = slices.Clone(pods)
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	if said := first(pods, containerTrouble, podConditionTrouble); said != "" {
		return said, true
	}
	return first(pods, notReady), false
}

// first returns what is said of the first pod of which the first of the questions finds something.
func first(pods []corev1.Pod, ails ...func(*corev1.Pod) string) string {
	for _, what := range ails {
		for i := range pods {
			if said := what(&pods[i]); said != "" && pods[i].DeletionTimestamp == nil {
				return trim(fmt.Sprintf("pod %s %s", pods[i].Name, said), maxTrouble)
			}
		}
	}
	return ""
}

// containerTrouble returns why a container of the pod does not run, init containers first.
func containerTrouble(pod *corev1.Pod) string {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if w := status.State.Waiting; w != nil && !isStarting(w.Reason) {
			if t := status.LastTerminationState.Terminated; t != nil && w.Reason == "CrashLoopBackOff" {
				// Its message counts seconds; what the container ended with says more.
				return fmt.Sprintf("container %s: %s: %s with exit code %d", status.Name, w.Reason, because(t.Reason, t.Message), t.ExitCode)
			}
			return fmt.Sprintf("container %s: %s", status.Name, because(w.Reason, w.Message))
		}
		if t := status.State.Terminated; t != nil && t.ExitCode != 0 {
			return fmt.Sprintf("container %s: %s with exit code %d", status.Name, because(t.Reason, t.Message), t.ExitCode)
		}
	}
	return ""
}

func isStarting(reason string) bool {
	return reason == "" || reason == "ContainerCreating" || reason == "PodInitializing"
}

// podConditionTrouble returns why the pod as a whole does not run.
func podConditionTrouble(pod *corev1.Pod) string {
	if pod.Status.Phase == corev1.PodFailed {
		return because(pod.Status.Reason, pod.Status.Message)
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return because(c.Reason, c.Message)
		}
	}
	return ""
}

// notReady names a pod that is starting or fails its readiness probe.
func notReady(pod *corev1.Pod) string {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if w := status.State.Waiting; w != nil {
			return fmt.Sprintf("container %s: %s", status.Name, because(w.Reason, w.Message))
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status != corev1.ConditionTrue {
			return "is not ready: " + because(c.Reason, c.Message)
		}
	}
	return ""
}

// because joins a reason and a message, either of which may be empty.
func because(reason, message string) string {
	switch {
	case message == "":
		return cmp.Or(reason, "no reason given")
	case reason == "":
		return message
	}
	return reason + ": " + message
}
