package watch

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/canary"
)

// version is what the judge needs of one stored version of a workload.
type version struct {
	kind        string
	name        string
	n           int
	key         string // of the template
	annotations map[string]string
	managed     []metav1.ManagedFieldsEntry
	// unavailable is how many pods the native controller may take away at a time.
	unavailable int
	// What sluice sets during a release: of a Deployment, and of a StatefulSet.
	paused    bool
	maxSurge  string
	partition int
}

func deploymentVersion(d *appsv1.Deployment) version {
	return version{
		kind: canary.Deployment, name: d.Name, n: int(orOne(d.Spec.Replicas)), key: templateKey(d.Spec.Template),
		annotations: d.Annotations, managed: d.ManagedFields,
		unavailable: maxUnavailable(d), paused: d.Spec.Paused, maxSurge: maxSurge(d),
	}
}

func setVersion(s *appsv1.StatefulSet) version {
	v := version{
		kind: canary.StatefulSet, name: s.Name, n: int(orOne(s.Spec.Replicas)), key: templateKey(s.Spec.Template),
		annotations: s.Annotations, managed: s.ManagedFields, unavailable: 1,
	}
	rolling := s.Spec.UpdateStrategy.RollingUpdate
	if rolling == nil {
		return v
	}
	if rolling.Partition != nil {
		v.partition = int(*rolling.Partition)
	}
	if rolling.MaxUnavailable != nil {
		v.unavailable = max(1, resolve(*rolling.MaxUnavailable, v.n, false))
	}
	return v
}

func (v version) release() *canary.Release {
	r, err := canary.DecodeRelease(v.annotations)
	if err != nil {
		return nil // History shows it
	}
	return r
}

// steps returns the steps that govern the next change of the workload: its own, else the Namespace's, else
// one of 20 %.
func (v version) steps(defaults string) []canary.Step {
	for _, value := range []string{v.annotations[canary.StepsAnnotation], defaults, "20%"} {
		if steps, err := canary.ParseSteps(value); value != "" && err == nil {
			return steps
		}
	}
	return nil
}

// maxUnavailable resolves the Deployment's own: fractions are rounded down, and where maxSurge is 0
// as well, one pod may be unavailable.
func maxUnavailable(d *appsv1.Deployment) int {
	n, r := int(orOne(d.Spec.Replicas)), d.Spec.Strategy.RollingUpdate
	if r == nil || r.MaxUnavailable == nil || r.MaxSurge == nil {
		return n // Recreate takes every pod away
	}
	surge, unavailable := resolve(*r.MaxSurge, n, true), resolve(*r.MaxUnavailable, n, false)
	if surge == 0 && unavailable == 0 {
		return 1
	}
	return unavailable
}

// maxSurge is empty where the strategy has none.
func maxSurge(d *appsv1.Deployment) string {
	if r := d.Spec.Strategy.RollingUpdate; r != nil && r.MaxSurge != nil {
		return r.MaxSurge.String()
	}
	return ""
}

func orOne(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

func resolve(v intstr.IntOrString, n int, roundUp bool) int {
	resolved, err := intstr.GetScaledValueFromIntOrPercent(&v, n, roundUp)
	if err != nil {
		panic("this is a bug: the API server stored " + v.String() + ": " + err.Error())
	}
	return resolved
}
