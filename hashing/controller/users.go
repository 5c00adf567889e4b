package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

// workload names a Deployment, StatefulSet or DaemonSet.
type workload struct {
	kind string
	types.NamespacedName
}

func (w workload) String() string {
	return strings.ToLower(w.kind) + "/" + w.Name
}

// kinds are the workloads that config is hashed for.
var kinds = map[string]struct {
	object client.Object
	list   func() client.ObjectList
}{
	canary.Deployment:  {&appsv1.Deployment{}, func() client.ObjectList { return &appsv1.DeploymentList{} }},
	canary.StatefulSet: {&appsv1.StatefulSet{}, func() client.ObjectList { return &appsv1.StatefulSetList{} }},
	canary.DaemonSet:   {&appsv1.DaemonSet{}, func() client.ObjectList { return &appsv1.DaemonSetList{} }},
}

// What strip leaves of a workload, in annotations that exist in the cache alone.
const (
	usesAnnotation    = "uses"    // names of the objects, by spaces: "configmap/app secret/db"
	rolloutAnnotation = "rollout" // rolling or failed, absent where the native rollout is complete; idle: see stripped
	rolling           = "rolling"
	failed            = "failed"
	idle              = "idle"
	// postponedAnnotation is there where the status has ConditionConfigPostponed.
	postponedAnnotation = "postponed"
)

// policy are the annotations that strip leaves: another value is a reason to look.
var policy = []string{canary.ConfigAnnotation, canary.ConfigExtraAnnotation, canary.SettleAnnotation}

// strip makes of a workload what the cache keeps of it: less than a kilobyte, whatever its template.
func strip(object any) (any, error) {
	switch w := object.(type) {
	case *appsv1.Deployment:
		postponed := slices.ContainsFunc(w.Status.Conditions, func(c appsv1.DeploymentCondition) bool {
			return c.Type == hashing.ConditionConfigPostponed
		})
		return stripped(w, &w.Spec.Template, deploymentRollout(w), postponed, &appsv1.Deployment{})
	case *appsv1.StatefulSet:
		postponed := slices.ContainsFunc(w.Status.Conditions, func(c appsv1.StatefulSetCondition) bool {
			return c.Type == hashing.ConditionConfigPostponed
		})
		return stripped(w, &w.Spec.Template, statefulSetRollout(w), postponed, &appsv1.StatefulSet{})
	case *appsv1.DaemonSet:
		postponed := slices.ContainsFunc(w.Status.Conditions, func(c appsv1.DaemonSetCondition) bool {
			return c.Type == hashing.ConditionConfigPostponed
		})
		return stripped(w, &w.Spec.Template, daemonSetRollout(w), postponed, &appsv1.DaemonSet{})
	}
	return object, nil // a tombstone
}

func stripped(w client.Object, template *corev1.PodTemplateSpec, rollout string, postponed bool, into client.Object) (client.Object, error) {
	if len(template.Spec.Containers) == 0 {
		return w, nil // no template is without: it is stripped already
	}
	uses, err := usedBy(w, template)
	if err != nil {
		return nil, fmt.Errorf("looking for the config of %s/%s: %w", w.GetNamespace(), w.GetName(), err)
	}
	annotations := map[string]string{}
	for _, key := range policy {
		if value, ok := w.GetAnnotations()[key]; ok {
			annotations[key] = value
		}
	}
	if digest, ok := template.Annotations[hashing.AnnotationConfigHash]; ok {
		annotations[hashing.AnnotationConfigHash] = digest
	}
	if len(uses) > 0 {
		annotations[usesAnnotation] = strings.Join(uses, " ")
	}
	if release, _ := canary.DecodeRelease(w.GetAnnotations()); release != nil && release.Step == 0 {
		rollout = idle // the release waits until its user resumes the workload
	}
	if rollout != "" {
		annotations[rolloutAnnotation] = rollout
	}
	if postponed {
		annotations[postponedAnnotation] = "true"
	}
	if seen := hashing.DecodeSeen(w.GetAnnotations()); seen.Digest != "" {
		annotations[hashing.AnnotationConfigSeen] = trimmed(seen).Encode()
	}
	labels := map[string]string{}
	for _, key := range []string{canary.EnabledLabel, canary.ActiveLabel, canary.PhaseLabel} {
		if value, ok := w.GetLabels()[key]; ok {
			labels[key] = value
		}
	}
	into.SetNamespace(w.GetNamespace())
	into.SetName(w.GetName())
	into.SetUID(w.GetUID())
	into.SetResourceVersion(w.GetResourceVersion())
	into.SetAnnotations(annotations)
	into.SetLabels(labels)
	return into, nil
}

// trimmed keeps which content of which object a workload was last changed for.
func trimmed(seen hashing.Seen) hashing.Seen {
	short := hashing.Seen{Digest: seen.Digest, Of: seen.Of, Template: seen.Template}
	for object := range seen.Changed {
		if short.Changed == nil {
			short.Changed, short.Objects = map[string][]string{}, map[string]map[string]string{}
		}
		short.Changed[object] = nil
		short.Objects[object] = map[string]string{"": seen.Objects[object][""]}
	}
	return short
}

// usedBy returns the names of the objects that a workload uses, sorted.
func usedBy(w client.Object, template *corev1.PodTemplateSpec) ([]string, error) {
	raw, err := json.Marshal(template)
	if err != nil {
		return nil, err
	}
	refs, err := hashing.References(raw)
	if err != nil {
		return nil, err
	}
	if extra, err := hashing.ParseExtra(w.GetAnnotations()[canary.ConfigExtraAnnotation]); err == nil {
		refs = hashing.Join(refs, extra)
	}
	names := make([]string, 0, len(refs))
	for _, ref := range refs {
		names = append(names, hashing.ObjectName(ref.Kind, ref.Name))
	}
	return names, nil
}

func deploymentRollout(d *appsv1.Deployment) string {
	s := d.Status
	for _, c := range s.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse && s.ObservedGeneration >= d.Generation {
			return failed
		}
	}
	if d.Spec.Paused {
		return "" // it goes nowhere until its user says so
	}
	return rollout(s.ObservedGeneration >= d.Generation && all(d.Spec.Replicas, s.UpdatedReplicas, s.Replicas, s.AvailableReplicas))
}

func statefulSetRollout(set *appsv1.StatefulSet) string {
	s := set.Status
	strategy := set.Spec.UpdateStrategy
	rolling := strategy.RollingUpdate
	partitioned := rolling != nil && rolling.Partition != nil && *rolling.Partition > 0
	if partitioned || strategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return "" // it goes no further than its user says
	}
	return rollout(s.ObservedGeneration >= set.Generation && s.CurrentRevision == s.UpdateRevision &&
		all(set.Spec.Replicas, s.Replicas, s.AvailableReplicas))
}

func daemonSetRollout(set *appsv1.DaemonSet) string {
	s := set.Status
	if set.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		return "" // it goes no further than its user says
	}
	return rollout(s.ObservedGeneration >= set.Generation && all(&s.DesiredNumberScheduled, s.UpdatedNumberScheduled, s.NumberAvailable))
}

func rollout(complete bool) string {
	if complete {
		return ""
	}
	return rolling
}

func all(want *int32, counts ...int32) bool {
	for _, count := range counts {
		if (want == nil && count != 1) || (want != nil && count != *want) {
			return false
		}
	}
	return true
}

// isLook tells whether a workload changed in a way that may matter.
func isLook(before, after client.Object) bool {
	return !maps.Equal(before.GetAnnotations(), after.GetAnnotations()) || !maps.Equal(before.GetLabels(), after.GetLabels())
}

// users finds workloads by what they use.
type users struct{ cache cache.Cache }

// usesField is the index of the cache over usesAnnotation.
const usesField = "uses"

func indexUsers(ctx context.Context, c cache.Cache) error {
	for kind, k := range kinds {
		err := c.IndexField(ctx, k.object, usesField, func(object client.Object) []string {
			return strings.Fields(object.GetAnnotations()[usesAnnotation])
		})
		if err != nil {
			return fmt.Errorf("indexing %ss by the config that they use: %w", strings.ToLower(kind), err)
		}
	}
	return nil
}

// user is a workload as the cache has it.
type user struct {
	workload
	metav1.Object
}

// of returns the workloads of a namespace that use an object.
func (u users) of(ctx context.Context, namespace, object string) ([]user, error) {
	return u.list(ctx, client.InNamespace(namespace), client.MatchingFields{usesField: object})
}

// list returns the workloads of all kinds that match.
func (u users) list(ctx context.Context, opts ...client.ListOption) ([]user, error) {
	var found []user
	for kind, k := range kinds {
		list := k.list()
		if err := u.cache.List(ctx, list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
			return nil, fmt.Errorf("looking for %ss in the cache: %w", strings.ToLower(kind), err)
		}
		found = append(found, usersOf(kind, list)...)
	}
	return found, nil
}

func usersOf(kind string, list client.ObjectList) []user {
	var found []user
	add := func(object metav1.Object) {
		name := types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
		found = append(found, user{workload{kind, name}, object})
	}
	switch l := list.(type) {
	case *appsv1.DeploymentList:
		for i := range l.Items {
			add(&l.Items[i])
		}
	case *appsv1.StatefulSetList:
		for i := range l.Items {
			add(&l.Items[i])
		}
	case *appsv1.DaemonSetList:
		for i := range l.Items {
			add(&l.Items[i])
		}
	}
	return found
}

// postponed tells whether the status of a workload says that a change is kept from it.
func (u users) postponed(ctx context.Context, w workload) (bool, error) {
	object, _ := kinds[w.kind].object.DeepCopyObject().(client.Object)
	if err := u.cache.Get(ctx, w.NamespacedName, object); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return object.GetAnnotations()[postponedAnnotation] != "", nil
}

// namespace returns the annotations of a Namespace that opted in, nil for any other.
func (u users) namespace(ctx context.Context, name string) (map[string]string, error) {
	var namespace metav1.PartialObjectMetadata
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := u.cache.Get(ctx, types.NamespacedName{Name: name}, &namespace); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("looking for Namespace %s in the cache: %w", name, err)
	}
	if namespace.Annotations == nil {
		return map[string]string{}, nil
	}
	return namespace.Annotations, nil
}
