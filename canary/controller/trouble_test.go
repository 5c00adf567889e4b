package controller

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTrouble(t *testing.T) {
	waiting := func(pod, reason, message string) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: pod}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}},
		}}}
	}
	condition := func(pod string, kind corev1.PodConditionType, reason, message string) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: pod}, Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: kind, Status: corev1.ConditionFalse, Reason: reason, Message: message},
		}}}
	}
	failing := func(status corev1.PodStatus) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-abc-x"}, Status: status}
	}
	leaving := waiting("web-abc-a", "CrashLoopBackOff", "")
	leaving.DeletionTimestamp = &metav1.Time{}
	quota := []appsv1.ReplicaSetCondition{{
		Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "exceeded quota: pods",
	}}
	for name, test := range map[string]struct {
		conditions []appsv1.ReplicaSetCondition
		pods       []corev1.Pod
		want       string
		starting   bool // it may still become ready
	}{
		"nothing known": {},
		"a crash loop": {
			pods: []corev1.Pod{waiting("web-abc-x", "CrashLoopBackOff", "back-off 5m0s restarting failed container")},
			want: "pod web-abc-x container c: CrashLoopBackOff: back-off 5m0s restarting failed container",
		},
		"a crash loop whose container said how it ended": {
			pods: []corev1.Pod{failing(corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
				Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 40s"}},
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}},
			}}})},
			want: "pod web-abc-x container c: CrashLoopBackOff: Error with exit code 1",
		},
		"no image, without a message": {
			pods: []corev1.Pod{waiting("web-abc-x", "ErrImagePull", "")},
			want: "pod web-abc-x container c: ErrImagePull",
		},
		"pods that cannot be created come first": {
			conditions: quota,
			pods:       []corev1.Pod{waiting("web-abc-x", "CrashLoopBackOff", "")},
			want:       "replica set web-abc: FailedCreate: exceeded quota: pods",
		},
		"the first pod by name": {
			pods: []corev1.Pod{waiting("web-abc-y", "ErrImagePull", ""), waiting("web-abc-x", "CrashLoopBackOff", "")},
			want: "pod web-abc-x container c: CrashLoopBackOff",
		},
		"a pod that ails before one that is starting": {
			pods: []corev1.Pod{waiting("web-abc-a", "ContainerCreating", ""), waiting("web-abc-x", "CrashLoopBackOff", "")},
			want: "pod web-abc-x container c: CrashLoopBackOff",
		},
		"a pod that is starting": {
			pods: []corev1.Pod{waiting("web-abc-a", "ContainerCreating", "")},
			want: "pod web-abc-a container c: ContainerCreating", starting: true,
		},
		"no node": {
			pods: []corev1.Pod{condition("web-abc-x", corev1.PodScheduled, "Unschedulable", "0/3 nodes are available")},
			want: "pod web-abc-x Unschedulable: 0/3 nodes are available",
		},
		"a readiness probe that fails": {
			pods: []corev1.Pod{condition("web-abc-x", corev1.PodReady, "ContainersNotReady", "containers with unready status: [c]")},
			want: "pod web-abc-x is not ready: ContainersNotReady: containers with unready status: [c]", starting: true,
		},
		"an init container that failed": {
			pods: []corev1.Pod{failing(corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{
				{Name: "migrate", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error"}}},
			}})},
			want: "pod web-abc-x container migrate: Error with exit code 3",
		},
		"an evicted pod": {
			pods: []corev1.Pod{failing(corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on memory"})},
			want: "pod web-abc-x Evicted: low on memory",
		},
		"a pod that is going says nothing": {pods: []corev1.Pod{leaving}},
		"a long message with line breaks": {
			pods: []corev1.Pod{waiting("web-abc-x", "CrashLoopBackOff", "a\n b\t"+strings.Repeat("ü", 300))},
			want: "pod web-abc-x container c: CrashLoopBackOff: a b " + strings.Repeat("ü", 124) + "...",
		},
	} {
		t.Run(name, func(t *testing.T) {
			rs := appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "web-abc"}, Status: appsv1.ReplicaSetStatus{Conditions: test.conditions}}
			got, fails := trouble(rs, test.pods)
			require.Equal(t, test.want, got)
			require.Equal(t, test.want != "" && !test.starting, fails)
			require.LessOrEqual(t, len(got), maxTrouble)
		})
	}
}
