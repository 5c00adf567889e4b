package controller

import (
	"encoding/json"
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/canary"
)

// revisionAnnotation is the deployment controller's number of a template.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// workload is a Deployment or StatefulSet as it was read. The pod template stays raw, so that fields
// newer than our libraries reach the canary's pods.
type workload struct {
	object   *unstructured.Unstructured
	typed    appsv1.Deployment // without the template; of a StatefulSet, what the two have in common
	template json.RawMessage
	selector labels.Selector
}

func decodeWorkload(object *unstructured.Unstructured) (*workload, error) {
	w := &workload{object: object}
	var err error
	if w.template, err = decodeAround(object, &w.typed); err != nil {
		return nil, err
	}
	w.selector, err = selectorOf(object)
	return w, err
}

func selectorOf(object *unstructured.Unstructured) (labels.Selector, error) {
	raw, _, err := unstructured.NestedMap(object.Object, "spec", "selector")
	if err != nil {
		return nil, fmt.Errorf("reading the selector: %w", err)
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &selector); err != nil {
		return nil, fmt.Errorf("reading the selector: %w", err)
	}
	return metav1.LabelSelectorAsSelector(&selector)
}

// decodeAround decodes everything but spec.template into the typed object and returns the template's
// JSON.
func decodeAround(object *unstructured.Unstructured, typed any) (json.RawMessage, error) {
	spec, _ := object.Object["spec"].(map[string]any)
	template, err := json.Marshal(spec["template"])
	if err != nil {
		return nil, fmt.Errorf("encoding the pod template: %w", err)
	}
	rest := maps.Clone(object.Object)
	spec = maps.Clone(spec)
	delete(spec, "template")
	rest["spec"] = spec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(rest, typed); err != nil {
		return nil, fmt.Errorf("decoding %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return template, nil
}

// state returns what canary.Next needs to know of the workload.
func (w *workload) state() (canary.WorkloadState, error) {
	d := &w.typed
	state := canary.WorkloadState{
		Name:               d.Name,
		Generation:         d.Generation,
		ObservedGeneration: d.Status.ObservedGeneration,
		Replicas:           orOne(d.Spec.Replicas),
		Paused:             d.Spec.Paused,
		RollingUpdate:      d.Spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType,
		MinReadySeconds:    d.Spec.MinReadySeconds,
		Revision:           d.Annotations[revisionAnnotation],
		StatusReplicas:     d.Status.Replicas,
		UpdatedReplicas:    d.Status.UpdatedReplicas,
		AvailableReplicas:  d.Status.AvailableReplicas,
		Conditions:         conditionsOf(d),
	}
	var err error
	if state.TemplateHash, err = canary.HashTemplate(w.template); err != nil {
		return state, err
	}
	if state.TemplateDigest, err = canary.TemplateDigest(w.template); err != nil {
		return state, err
	}
	if w.object.GetKind() == canary.StatefulSet {
		return state, w.setState(&state)
	}
	state.MaxSurge, state.MaxUnavailable, err = resolveRolling(d.Spec.Strategy, state.Replicas)
	return state, err
}

// resolveRolling returns maxSurge and maxUnavailable in pods, as the deployment controller counts them:
// surge is rounded up, unavailable down, and where both come out as 0 one pod may be unavailable.
func resolveRolling(strategy appsv1.DeploymentStrategy, replicas int32) (surge, unavailable int32, err error) {
	if strategy.Type != appsv1.RollingUpdateDeploymentStrategyType {
		return 0, 0, nil
	}
	rolling := appsv1.RollingUpdateDeployment{}
	if strategy.RollingUpdate != nil {
		rolling = *strategy.RollingUpdate
	}
	zero := intstr.FromInt32(0)
	s, err := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(rolling.MaxSurge, zero), int(replicas), true)
	if err != nil {
		return 0, 0, fmt.Errorf("reading maxSurge: %w", err)
	}
	u, err := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(rolling.MaxUnavailable, zero), int(replicas), false)
	if err != nil {
		return 0, 0, fmt.Errorf("reading maxUnavailable: %w", err)
	}
	if s == 0 && u == 0 {
		u = 1
	}
	return int32(s), min(int32(u), replicas), nil
}

func orOne(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}
