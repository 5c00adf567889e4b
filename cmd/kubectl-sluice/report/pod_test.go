package report

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func waitingFor(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func ended(reason string, code int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code}}
}

var running = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}

func TestPodsReadAsInKubectl(t *testing.T) {
	condition := func(kind corev1.PodConditionType, status corev1.ConditionStatus, reason, message string) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: status, Reason: reason, Message: message}
	}
	initialized := condition(corev1.PodInitialized, corev1.ConditionTrue, "", "")
	ready := condition(corev1.PodReady, corev1.ConditionTrue, "", "")
	unready := condition(corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", "containers with unready status: [app]")
	always := corev1.ContainerRestartPolicyAlways
	yes := true
	tests := map[string]struct {
		pod  corev1.Pod
		want Pod
	}{
		"it runs": {
			corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{initialized, ready},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "app", Ready: true, RestartCount: 2, State: running}}}},
			Pod{Ready: 1, Status: "Running", Restarts: 2, Available: true},
		},
		"it waits for a node": {
			corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
				condition(corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", "0/3 nodes are available:\n3 too full")}}},
			Pod{Status: "Pending", Trouble: "Unschedulable: 0/3 nodes are available: 3 too full"},
		},
		"its image is not there": {
			corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{initialized, unready},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: waitingFor("ImagePullBackOff", "Back-off pulling image")}}}},
			Pod{Status: "ImagePullBackOff", Trouble: "container app: ImagePullBackOff: Back-off pulling image"},
		},
		"it ended": {
			corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{initialized, unready},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "app", RestartCount: 3, State: ended("Error", 137)}}}},
			Pod{Status: "Error", Restarts: 3, Trouble: "container app: Error: exit code 137"},
		},
		"it ended without a reason": {
			corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed, Conditions: []corev1.PodCondition{initialized},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: ended("", 3)}}}},
			Pod{Status: "ExitCode:3", Trouble: "container app: exit code 3"},
		},
		"it was evicted": {
			corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node was low on memory.", Conditions: []corev1.PodCondition{unready}}},
			Pod{Status: "Evicted", Trouble: "Evicted: The node was low on memory."},
		},
		"it runs and is not ready": {
			corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{initialized, unready},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: running}}}},
			Pod{Status: "Running", Trouble: "ContainersNotReady: containers with unready status: [app]"},
		},
		"it is being deleted": {
			corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{}}, Status: corev1.PodStatus{Phase: corev1.PodRunning,
				Conditions: []corev1.PodCondition{initialized, ready}, ContainerStatuses: []corev1.ContainerStatus{{Name: "app", Ready: true, State: running}}}},
			Pod{Ready: 1, Status: "Terminating"},
		},
		"its first init container runs": {
			corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: "one"}, {Name: "two"}}},
				Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{unready},
					InitContainerStatuses: []corev1.ContainerStatus{{Name: "one", RestartCount: 1, State: running}, {Name: "two", State: waitingFor("PodInitializing", "")}},
					ContainerStatuses:     []corev1.ContainerStatus{{Name: "app", State: waitingFor("PodInitializing", "")}}}},
			Pod{Status: "Init:0/2", Restarts: 1, Trouble: "ContainersNotReady: containers with unready status: [app]"},
		},
		"its second init container fails": {
			corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: "one"}, {Name: "two"}}},
				Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{unready},
					InitContainerStatuses: []corev1.ContainerStatus{{Name: "one", State: ended("Completed", 0)}, {Name: "two", RestartCount: 4, State: waitingFor("CrashLoopBackOff", "back-off 40s")}},
					ContainerStatuses:     []corev1.ContainerStatus{{Name: "app", State: waitingFor("PodInitializing", "")}}}},
			Pod{Status: "Init:CrashLoopBackOff", Restarts: 4, Trouble: "container two: CrashLoopBackOff: back-off 40s"},
		},
		"it has a sidecar, and restarts of init containers are forgotten": {
			corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: "one"}, {Name: "proxy", RestartPolicy: &always}}},
				Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{initialized, ready},
					InitContainerStatuses: []corev1.ContainerStatus{{Name: "one", RestartCount: 5, State: ended("Completed", 0)}, {Name: "proxy", Ready: true, RestartCount: 1, Started: &yes, State: running}},
					ContainerStatuses:     []corev1.ContainerStatus{{Name: "app", Ready: true, State: running}}}},
			Pod{Ready: 2, Containers: 1, Status: "Running", Restarts: 1, Available: true},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.pod.Name = "web-1"
			test.pod.Spec.Containers = []corev1.Container{{Name: "app"}}
			test.want.Name, test.want.Containers = "web-1", test.want.Containers+1
			got := podOf(&test.pod)
			got.Created = test.want.Created
			require.Equal(t, test.want, got)
		})
	}
}
