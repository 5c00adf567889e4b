// Package builders makes the objects that tests start from. A builder holds what Kubernetes requires
// and nothing else; every method returns the builder, so that a test names only what it is about.
package builders

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// DeploymentBuilder builds a Deployment of one container, "app".
type DeploymentBuilder struct{ d *appsv1.Deployment }

// MakeDeployment returns the builder of a Deployment of one pod, selected by the label app=<name>.
func MakeDeployment(name string) *DeploymentBuilder {
	labels := map[string]string{"app": name}
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
	}
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	d.Spec.Template.Labels = labels
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Image: "example/app:v1"}}
	return (&DeploymentBuilder{d}).Replicas(1)
}

// Replicas sets the number of pods.
func (b *DeploymentBuilder) Replicas(n int32) *DeploymentBuilder {
	b.d.Spec.Replicas = &n
	return b
}

// Image sets the image of the container "app".
func (b *DeploymentBuilder) Image(image string) *DeploymentBuilder {
	b.d.Spec.Template.Spec.Containers[0].Image = image
	return b
}

// Env adds an environment variable to the container "app".
func (b *DeploymentBuilder) Env(name, value string) *DeploymentBuilder {
	c := &b.d.Spec.Template.Spec.Containers[0]
	c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
	return b
}

// EnvFromConfigMap makes the container "app" read every key of a ConfigMap.
func (b *DeploymentBuilder) EnvFromConfigMap(name string) *DeploymentBuilder {
	c := &b.d.Spec.Template.Spec.Containers[0]
	c.EnvFrom = append(c.EnvFrom, corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: name},
	}})
	return b
}

// Template is the pod template, to be changed.
func (b *DeploymentBuilder) Template() *corev1.PodTemplateSpec { return &b.d.Spec.Template }

// Sidecar adds a container.
func (b *DeploymentBuilder) Sidecar(name, image string) *DeploymentBuilder {
	spec := &b.d.Spec.Template.Spec
	spec.Containers = append(spec.Containers, corev1.Container{Name: name, Image: image})
	return b
}

// Annotation sets an annotation of the Deployment.
func (b *DeploymentBuilder) Annotation(key, value string) *DeploymentBuilder {
	metav1.SetMetaDataAnnotation(&b.d.ObjectMeta, key, value)
	return b
}

// Label sets a label of the Deployment.
func (b *DeploymentBuilder) Label(key, value string) *DeploymentBuilder {
	metav1.SetMetaDataLabel(&b.d.ObjectMeta, key, value)
	return b
}

// PodAnnotation sets an annotation of the pod template.
func (b *DeploymentBuilder) PodAnnotation(key, value string) *DeploymentBuilder {
	metav1.SetMetaDataAnnotation(&b.d.Spec.Template.ObjectMeta, key, value)
	return b
}

// RollingUpdate sets maxSurge and maxUnavailable, each a number or a percentage.
func (b *DeploymentBuilder) RollingUpdate(surge, unavailable string) *DeploymentBuilder {
	s, u := intstr.Parse(surge), intstr.Parse(unavailable)
	b.d.Spec.Strategy = appsv1.DeploymentStrategy{
		Type:          appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &s, MaxUnavailable: &u},
	}
	return b
}

// Recreate sets the strategy Recreate.
func (b *DeploymentBuilder) Recreate() *DeploymentBuilder {
	b.d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	return b
}

// Paused sets spec.paused.
func (b *DeploymentBuilder) Paused() *DeploymentBuilder {
	b.d.Spec.Paused = true
	return b
}

// HistoryLimit sets spec.revisionHistoryLimit.
func (b *DeploymentBuilder) HistoryLimit(n int32) *DeploymentBuilder {
	b.d.Spec.RevisionHistoryLimit = &n
	return b
}

// Obj returns a copy of the Deployment as built so far.
func (b *DeploymentBuilder) Obj() *appsv1.Deployment { return b.d.DeepCopy() }
