package watch

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
)

// History tells what was stored, one line per version, for whoever reads a failure.
func History(events []Event) string {
	ordered := slices.Clone(events)
	slices.SortStableFunc(ordered, byRevision)
	var b strings.Builder
	for _, e := range ordered {
		fmt.Fprintf(&b, "%8d %s %s\n", e.Revision, e.At.Format("15:04:05.000"), e.describe())
	}
	return b.String()
}

func (e Event) describe() string {
	if e.Mark != nil {
		return fmt.Sprintf("---- the test: %s %s %s", e.Mark.Workload, e.Mark.Fact, e.Mark.Value)
	}
	var what string
	switch {
	case e.Deployment != nil:
		what = describeDeployment(e.Deployment)
	case e.ReplicaSet != nil:
		what = describeReplicaSet(e.ReplicaSet)
	case e.StatefulSet != nil:
		what = describeSet(e.StatefulSet)
	case e.ControllerRevision != nil:
		what = fmt.Sprintf("controllerrevision %s template=%s revision=%d", e.ControllerRevision.Name, revisionKey(e.ControllerRevision), e.ControllerRevision.Revision)
	case e.Slice != nil:
		what = describeSlice(e.Slice)
	default:
		what = describePod(e.Pod)
	}
	switch {
	case e.Deleted:
		what = "deleted: " + what
	case e.object().GetDeletionTimestamp() != nil:
		what = "being deleted: " + what
	}
	return what
}

func describeDeployment(d *appsv1.Deployment) string {
	s := d.Status
	return fmt.Sprintf("deployment %s template=%s gen=%d/%d n=%d paused=%t maxSurge=%s | replicas=%d updated=%d available=%d%s",
		d.Name, templateKey(d.Spec.Template), s.ObservedGeneration, d.Generation, orOne(d.Spec.Replicas), d.Spec.Paused, maxSurge(d),
		s.Replicas, s.UpdatedReplicas, s.AvailableReplicas, describeRelease(d.Annotations))
}

func describeSet(s *appsv1.StatefulSet) string {
	v := setVersion(s)
	return fmt.Sprintf("statefulset %s template=%s gen=%d/%d n=%d partition=%d | replicas=%d ready=%d available=%d updated=%d current=%s update=%s%s",
		s.Name, v.key, s.Status.ObservedGeneration, s.Generation, v.n, v.partition, s.Status.Replicas, s.Status.ReadyReplicas,
		s.Status.AvailableReplicas, s.Status.UpdatedReplicas, s.Status.CurrentRevision, s.Status.UpdateRevision, describeRelease(s.Annotations))
}

func describeRelease(annotations map[string]string) string {
	r, err := canary.DecodeRelease(annotations)
	switch {
	case err != nil:
		return " release unreadable: " + err.Error()
	case r == nil:
		return ""
	}
	return fmt.Sprintf(" release=%d %s%s step=%d surge=%d %q", r.ID, r.Phase, r.Stage, r.Step, r.Surge, r.Reason)
}

func describeReplicaSet(rs *appsv1.ReplicaSet) string {
	owner := "nobody's"
	if ref := metav1.GetControllerOf(rs); ref != nil {
		owner = ref.Kind + "'s"
	} else if len(rs.OwnerReferences) > 0 {
		owner = "referring to " + rs.OwnerReferences[0].Kind
	}
	return fmt.Sprintf("replicaset %s template=%s %s gen=%d/%d n=%d | replicas=%d available=%d labels=%v revision=%s",
		rs.Name, templateKey(rs.Spec.Template), owner, rs.Status.ObservedGeneration, rs.Generation, orOne(rs.Spec.Replicas),
		rs.Status.Replicas, rs.Status.AvailableReplicas, rs.Labels, rs.Annotations["deployment.kubernetes.io/revision"])
}

func describePod(p *corev1.Pod) string {
	image := ""
	if len(p.Spec.Containers) > 0 {
		image = p.Spec.Containers[0].Image
	}
	revision := ""
	if label := p.Labels[appsv1.StatefulSetRevisionLabel]; label != "" {
		revision = " revision=" + label
	}
	return fmt.Sprintf("pod %s image=%s%s phase=%s ready=%t", p.Name, image, revision, p.Status.Phase, ready(p))
}

func describeSlice(s *discoveryv1.EndpointSlice) string {
	return fmt.Sprintf("endpointslice %s of service %s, %d ready of %d", s.Name, serviceOf(s), readyEndpoints(s), len(s.Endpoints))
}
