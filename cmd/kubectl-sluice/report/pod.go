package report

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// podOf returns what `kubectl get pods` shows of a pod, and what ails it.
func podOf(pod *corev1.Pod) Pod {
	p := Pod{
		Name:      pod.Name,
		Status:    statusOf(pod),
		Created:   pod.CreationTimestamp.UTC(),
		Available: isReady(pod) && pod.DeletionTimestamp == nil,
	}
	p.Containers = int32(len(pod.Spec.Containers)) // far below the limit of an int32
	for _, c := range pod.Status.ContainerStatuses {
		p.count(c)
	}
	for i, c := range pod.Status.InitContainerStatuses {
		switch {
		case isSidecar(pod, i):
			p.Containers++
			p.count(c)
		case isInitializing(pod):
			p.Restarts += c.RestartCount
		}
	}
	if !p.Available && pod.DeletionTimestamp == nil {
		p.Trouble = troubleOf(pod)
	}
	return p
}

// count adds a container that runs for the pod's whole life.
func (p *Pod) count(c corev1.ContainerStatus) {
	p.Restarts += c.RestartCount
	if c.Ready {
		p.Ready++
	}
}

func isInitializing(pod *corev1.Pod) bool {
	c := condition(pod, corev1.PodInitialized)
	return c == nil || c.Status != corev1.ConditionTrue
}

func isReady(pod *corev1.Pod) bool {
	c := condition(pod, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

func condition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// statusOf is the column STATUS: what a container waits for or ended with, else the pod's phase. An
// init container that has not ended well counts before the others.
func statusOf(pod *corev1.Pod) string {
	if pod.DeletionTimestamp != nil {
		return "Terminating"
	}
	for i, c := range pod.Status.InitContainerStatuses {
		if t := c.State.Terminated; (t != nil && t.ExitCode == 0) || (isSidecar(pod, i) && hasStarted(c)) {
			continue
		}
		if word := wordOf(c.State); word != "" && word != "PodInitializing" {
			return "Init:" + word
		}
		return fmt.Sprintf("Init:%d/%d", i, len(pod.Spec.InitContainers))
	}
	for _, c := range pod.Status.ContainerStatuses {
		if word := wordOf(c.State); word != "" {
			return word
		}
	}
	if pod.Status.Reason != "" {
		return pod.Status.Reason
	}
	return string(pod.Status.Phase)
}

// isSidecar: the init container keeps running beside the others.
func isSidecar(pod *corev1.Pod, i int) bool {
	if i >= len(pod.Spec.InitContainers) {
		return false
	}
	policy := pod.Spec.InitContainers[i].RestartPolicy
	return policy != nil && *policy == corev1.ContainerRestartPolicyAlways
}

func hasStarted(c corev1.ContainerStatus) bool { return c.Started != nil && *c.Started }

// wordOf says in one word why a container does not run, empty where it does.
func wordOf(state corev1.ContainerState) string {
	switch {
	case state.Waiting != nil:
		return state.Waiting.Reason
	case state.Terminated == nil:
		return ""
	case state.Terminated.Reason != "":
		return state.Terminated.Reason
	case state.Terminated.Signal != 0:
		return fmt.Sprintf("Signal:%d", state.Terminated.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", state.Terminated.ExitCode)
}

// troubleOf is what keeps a pod from being ready, in the words of whoever knows best: a container, the
// scheduler, the readiness condition.
func troubleOf(pod *corev1.Pod) string {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, c := range statuses {
			if w := c.State.Waiting; w != nil && w.Message != "" {
				return sentence("container "+c.Name, w.Reason, w.Message)
			}
			if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
				return sentence("container "+c.Name, t.Reason, t.Message, fmt.Sprintf("exit code %d", t.ExitCode))
			}
		}
	}
	if pod.Status.Phase == corev1.PodFailed && pod.Status.Message != "" {
		return sentence(pod.Status.Reason, pod.Status.Message)
	}
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodReady} {
		if c := condition(pod, kind); c != nil && c.Status != corev1.ConditionTrue {
			return sentence(c.Reason, c.Message)
		}
	}
	return ""
}

// sentence joins what is known to one line.
func sentence(parts ...string) string {
	var known []string
	for _, part := range parts {
		if part = strings.Join(strings.Fields(part), " "); part != "" {
			known = append(known, part)
		}
	}
	return strings.Join(known, ": ")
}
