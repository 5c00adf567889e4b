package builders

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StatefulSetBuilder builds a StatefulSet of one container, "app".
type StatefulSetBuilder struct{ s *appsv1.StatefulSet }

// MakeStatefulSet returns the builder of a StatefulSet of one pod, selected by the label app=<name>.
func MakeStatefulSet(name string) *StatefulSetBuilder {
	labels := map[string]string{"app": name}
	s := &appsv1.StatefulSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
	}
	s.Spec.ServiceName = name
	s.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	s.Spec.Template.Labels = labels
	s.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Image: "example/app:v1"}}
	return (&StatefulSetBuilder{s}).Replicas(1)
}

// Replicas sets the number of pods.
func (b *StatefulSetBuilder) Replicas(n int32) *StatefulSetBuilder {
	b.s.Spec.Replicas = &n
	return b
}

// Image sets the image of the container "app".
func (b *StatefulSetBuilder) Image(image string) *StatefulSetBuilder {
	b.s.Spec.Template.Spec.Containers[0].Image = image
	return b
}

// Partition sets the partition of the rolling update.
func (b *StatefulSetBuilder) Partition(partition int32) *StatefulSetBuilder {
	b.s.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{
		Type:          appsv1.RollingUpdateStatefulSetStrategyType,
		RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: &partition},
	}
	return b
}

// OnDelete sets the update strategy OnDelete.
func (b *StatefulSetBuilder) OnDelete() *StatefulSetBuilder {
	b.s.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}
	return b
}

// Parallel makes pods at once instead of in order.
func (b *StatefulSetBuilder) Parallel() *StatefulSetBuilder {
	b.s.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
	return b
}

// Start sets the first ordinal.
func (b *StatefulSetBuilder) Start(ordinal int32) *StatefulSetBuilder {
	b.s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: ordinal}
	return b
}

// Annotation sets an annotation of the StatefulSet.
func (b *StatefulSetBuilder) Annotation(key, value string) *StatefulSetBuilder {
	metav1.SetMetaDataAnnotation(&b.s.ObjectMeta, key, value)
	return b
}

// Obj returns a copy of the StatefulSet as built so far.
func (b *StatefulSetBuilder) Obj() *appsv1.StatefulSet { return b.s.DeepCopy() }
