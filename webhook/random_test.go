package webhook

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/randfill"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

// random makes reviews from a seed.
type random struct {
	*rand.Rand
	filler *randfill.Filler
	hashes []string // of the old and the new template
}

func newRandom(seed int64) *random {
	r := &random{Rand: rand.New(rand.NewSource(seed))}
	r.filler = randfill.NewWithSeed(seed).NilChance(0.4).NumElements(0, 2).MaxDepth(12).Funcs(
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewQuantity(int64(c.Intn(1000)), resource.DecimalSI)
		},
		func(v *intstr.IntOrString, c randfill.Continue) {
			*v = []intstr.IntOrString{intstr.FromInt32(1), intstr.FromString("25%")}[c.Intn(2)]
		},
		func(v *metav1.Time, c randfill.Continue) { *v = metav1.Unix(int64(c.Intn(1<<31)), 0) },
		func(v *metav1.MicroTime, c randfill.Continue) { *v = metav1.MicroTime{} },
		func(v *metav1.FieldsV1, c randfill.Continue) { v.SetRawBytes([]byte(`{"f:spec":{"f:paused":{}}}`)) },
		func(v *runtime.RawExtension, c randfill.Continue) { *v = runtime.RawExtension{} },
		func(v *corev1.ConfigMapKeySelector, c randfill.Continue) { v.Name, v.Key = "web", "LEVEL" },
		func(v *corev1.SecretKeySelector, c randfill.Continue) { v.Name, v.Key = "web", "password" },
		func(v *metav1.LabelSelector, c randfill.Continue) { v.MatchLabels = map[string]string{"app": "web"} },
	)
	return r
}

func (r *random) review(t testing.TB) admissionv1.AdmissionReview {
	kind := pick(r, canary.Deployment, canary.Deployment, canary.StatefulSet, canary.StatefulSet, canary.DaemonSet)
	old, object := r.workload(kind), r.workload(kind)
	for _, o := range []client.Object{old, object} {
		raw, err := json.Marshal(template(o))
		require.NoError(t, err)
		hash, err := canary.HashTemplate(raw)
		require.NoError(t, err)
		r.hashes = append(r.hashes, hash)
	}
	r.drive(old)
	r.drive(object)
	asStored(old)
	notes := false
	switch r.Intn(6) {
	case 5: // what was seen of the config, by whomever
		object = old.DeepCopyObject().(client.Object)
		object.SetAnnotations(with(object.GetAnnotations(), canary.ConfigSeenAnnotation, r.seen()))
		notes = r.Intn(4) > 0
	case 0: // a new template only
		changed := template(object)
		object = old.DeepCopyObject().(client.Object)
		*template(object) = *changed
	case 1: // everything but the template
		template(old).DeepCopyInto(template(object))
	case 2: // sluice's keys and fields only
		object = old.DeepCopyObject().(client.Object)
		r.drive(object)
	case 3: // somebody drives the release that there is
		object = old.DeepCopyObject().(client.Object)
		r.steer(object)
	}
	review := updateReview(t, old, object)
	review.Request.Kind.Kind, review.Request.Resource.Resource = kind, strings.ToLower(kind)+"s"
	review.Request.UserInfo.Username = pick(r, "alice", "bob", "root", DefaultUser)
	if notes {
		review.Request.UserInfo.Username = DefaultUser
	}
	review.Request.Options.Raw = []byte(pick(r, `{}`, `{"fieldManager":"kubectl-rollout"}`, `{"fieldManager":"helm"}`))
	if r.Intn(5) == 0 {
		review.Request.Operation, review.Request.OldObject = admissionv1.Create, runtime.RawExtension{}
	}
	return review
}

// asStored makes an object one that can have been stored: an approval of the present step is stored with
// its annotation or not at all, sluice takes older annotations off when a release starts, and a held
// StatefulSet has the partition of its state.
func asStored(o client.Object) {
	annotations := o.GetAnnotations()
	release, err := canary.DecodeRelease(annotations)
	if err != nil || release == nil {
		return
	}
	if value := annotations[canary.ApproveAnnotation]; value == release.ApproveValue() || value == release.ApproveFullValue() {
		delete(annotations, canary.ApproveAnnotation)
	}
	s, ok := o.(*appsv1.StatefulSet)
	if !ok || !release.Holds() || s.Spec.UpdateStrategy.Type != appsv1.RollingUpdateStatefulSetStrategyType {
		return
	}
	partition := ptr(int32(math.MaxInt32))
	if release.Gate != nil {
		partition = release.Gate
	}
	s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: partition}
}

// workload has a random spec, and metadata that is absent, empty or full.
func (r *random) workload(kind string) client.Object {
	o := r.typed(kind)
	o.GetObjectKind().SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind(kind))
	o.SetNamespace("shop")
	o.SetName("web")
	o.SetGeneration(4)
	o.SetResourceVersion("7")
	o.SetLabels(pick(r, nil, map[string]string{}, map[string]string{"app": "web"}, map[string]string{"a/b~c": "\"\\\u2028é"}))
	o.SetAnnotations(pick(r, nil, map[string]string{}, map[string]string{"a~b": "<&>"}))
	if r.Intn(3) == 0 {
		o.SetAnnotations(with(o.GetAnnotations(), canary.ConfigSeenAnnotation, r.seen()))
	}
	template(o).Annotations = pick(r, nil, map[string]string{}, map[string]string{"x": "y"}, map[string]string{hashing.AnnotationConfigHash: "v1:00000000:ff"})
	return o
}

// typed has the spec and status of a kind. What decisions read has values that they tell apart.
func (r *random) typed(kind string) client.Object {
	replicas := pick(r, nil, new(int32), ptr(int32(3)), ptr(int32(10)))
	observed, available := int64(r.Intn(2)*4), int32(r.Intn(3))
	switch kind {
	case canary.Deployment:
		d := &appsv1.Deployment{}
		r.filler.Fill(&d.Spec)
		d.Spec.Replicas, d.Status.ObservedGeneration, d.Status.AvailableReplicas = replicas, observed, available
		d.Spec.Strategy.Type = pick(r, appsv1.RollingUpdateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType, appsv1.RecreateDeploymentStrategyType)
		return d
	case canary.StatefulSet:
		s := &appsv1.StatefulSet{}
		r.filler.Fill(&s.Spec)
		s.Spec.Replicas, s.Status.ObservedGeneration, s.Status.AvailableReplicas = replicas, observed, available
		s.Status.Replicas = available + int32(r.Intn(2))
		s.Spec.PodManagementPolicy = pick(r, appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement)
		s.Spec.UpdateStrategy = r.updateStrategy()
		return s
	default:
		d := &appsv1.DaemonSet{}
		r.filler.Fill(&d.Spec)
		d.Status.ObservedGeneration, d.Status.NumberAvailable = observed, available
		d.Spec.UpdateStrategy.Type = pick(r, appsv1.RollingUpdateDaemonSetStrategyType, appsv1.OnDeleteDaemonSetStrategyType)
		return d
	}
}

// updateStrategy is one that the API server accepts. It fills in what is not set, but not in what was
// stored before it did.
func (r *random) updateStrategy() appsv1.StatefulSetUpdateStrategy {
	if r.Intn(4) == 0 {
		return appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}
	}
	strategy := appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType}
	if r.Intn(4) > 0 {
		strategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{
			Partition:      pick(r, nil, new(int32), ptr(int32(2)), ptr(int32(3)), ptr(int32(math.MaxInt32))),
			MaxUnavailable: pick(r, nil, ptr(intstr.FromInt32(1))),
		}
	}
	return strategy
}

// template returns the pod template of a workload.
func template(o client.Object) *corev1.PodTemplateSpec {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *appsv1.StatefulSet:
		return &o.Spec.Template
	case *appsv1.DaemonSet:
		return &o.Spec.Template
	}
	panic(fmt.Sprintf("this is a bug: %T is no workload", o))
}

// drive sets what people and sluice steer a release with, to right and wrong values.
func (r *random) drive(o client.Object) {
	switch o := o.(type) {
	case *appsv1.Deployment:
		o.Spec.Paused = r.Intn(2) == 0
	case *appsv1.StatefulSet:
		o.Spec.UpdateStrategy = r.updateStrategy()
	}
	release := r.release()
	annotations, labels := o.GetAnnotations(), o.GetLabels()
	for _, annotation := range []struct {
		key    string
		chance int
		values []string
	}{
		{canary.ReleaseAnnotation, 2, []string{release.Encode(), release.Encode(), "{", `{"id":0}`}},
		{canary.ApproveAnnotation, 6, []string{"4/1", "4/2", "4/full", "9/9"}},
		{canary.AbortAnnotation, 6, []string{"4", "9"}},
		{canary.RetryAnnotation, 6, []string{"4", "9"}},
		{canary.StepsAnnotation, 6, []string{"50%", "1%, 100%/3:5m", "no"}},
		{canary.CanaryAnnotation, 12, []string{"enabled", "disabled"}},
		{canary.ConfigAnnotation, 6, []string{"ignore", "hash"}},
	} {
		if r.Intn(annotation.chance) == 0 {
			annotations = with(annotations, annotation.key, pick(r, annotation.values...))
		}
	}
	switch r.Intn(4) {
	case 0: // state and label, as admission sets them
		annotations = with(annotations, canary.ReleaseAnnotation, release.Encode())
		labels = with(labels, canary.ActiveLabel, "true")
	case 1:
		labels = with(labels, canary.ActiveLabel, "true")
	}
	o.SetAnnotations(annotations)
	o.SetLabels(labels)
}

// steer asks for something that fits the release, where there is one.
func (r *random) steer(o client.Object) {
	release, err := canary.DecodeRelease(o.GetAnnotations())
	if err != nil || release == nil {
		return
	}
	asked := pick(r, [2]string{canary.ApproveAnnotation, release.ApproveValue()}, [2]string{canary.ApproveAnnotation, release.ApproveFullValue()},
		[2]string{canary.AbortAnnotation, release.Name()}, [2]string{canary.RetryAnnotation, release.Name()}, [2]string{})
	switch d, isDeployment := o.(*appsv1.Deployment); {
	case asked[0] != "":
		o.GetAnnotations()[asked[0]] = asked[1]
	case isDeployment:
		d.Spec.Paused = !d.Spec.Paused
	}
}

// seen is what somebody saw of the config, of one of the templates or another, now or before.
func (r *random) seen() string {
	digest := func() string { return pick(r, "", infoDigest, "v1:00000000:ff", "v9:later") }
	seen := hashing.Seen{Digest: digest(), Of: digest(), Template: pick(r, append(r.hashes, "", "of another")...), Streak: r.Intn(9)}
	if r.Intn(2) == 0 {
		seen.Changed = map[string][]string{"configmap/web": {"LEVEL"}}
	}
	return pick(r, seen.Encode(), seen.Encode(), seen.Encode(), "{", "null")
}

// infoDigest is the digest of the config of tests under the key of tests, where a template uses all of it.
const infoDigest = "v1:3bc6cb28:6f7b7e5185c85296b28674f812fb8cdd17d94cb00a68ac4df1e2722a4e4279bb"

// release is the state of a release, of either kind of workload, between the two templates or others.
func (r *random) release() *canary.Release {
	hash := func() string { return pick(r, append(r.hashes, "of another")...) }
	release := &canary.Release{
		ID: 4, Step: r.Intn(3), Surge: int32(r.Intn(2)), Settled: r.Intn(2) == 0,
		Phase:    pick(r, canary.Progressing, canary.Waiting, canary.Promoting, canary.Aborted, canary.Reverting),
		Stage:    pick(r, "", "", canary.Adopting, canary.Finishing),
		Sequence: pick(r, "", canary.SequenceM, canary.SequenceC, canary.SequenceP),
		Stable:   canary.Revision{Hash: hash()}, Canary: canary.Revision{Hash: hash(), Digest: pick(r, "", "v1:00000000:ff")},
		Former:       pick(r, nil, nil, &canary.Revision{Hash: hash()}),
		StableConfig: pick(r, "", infoDigest, "v1:00000000:ff"),
		Gate:         pick(r, nil, new(int32), ptr(int32(2))),
		Policy:       canary.Policy{Steps: pick(r, "20%", "20%, 50%")},
		Held:         canary.Held{Paused: r.Intn(2) == 0, Partition: pick(r, int32(0), 2, 20)},
	}
	if release.Surge > 0 {
		release.Held.MaxSurge = json.RawMessage(pick(r, "1", `"25%"`))
	}
	return release
}

// with adds an entry to a map that may be nil.
func with(entries map[string]string, key, value string) map[string]string {
	if entries == nil {
		entries = map[string]string{}
	}
	entries[key] = value
	return entries
}

func pick[T any](r *random, values ...T) T { return values[r.Intn(len(values))] }

func ptr[T any](value T) *T { return &value }
