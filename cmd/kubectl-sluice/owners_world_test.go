package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/restmapper"
	k8stesting "k8s.io/client-go/testing"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/webhook/ownership"
)

// kinds are those that the API server of these tests knows.
func kinds() (meta.RESTMapper, error) {
	resource := func(name, singular, kind string, namespaced bool, short ...string) metav1.APIResource {
		return metav1.APIResource{Name: name, SingularName: singular, Kind: kind, Namespaced: namespaced, ShortNames: short}
	}
	discovery := &fakediscovery.FakeDiscovery{Fake: &k8stesting.Fake{Resources: []*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{
			resource("configmaps", "configmap", "ConfigMap", true, "cm"), resource("namespaces", "namespace", "Namespace", false, "ns"),
		}},
		{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{resource("deployments", "deployment", "Deployment", true, "deploy")}},
		{GroupVersion: "networking.k8s.io/v1", APIResources: []metav1.APIResource{resource("ingresses", "ingress", "Ingress", true, "ing")}},
		{GroupVersion: "gateway.networking.k8s.io/v1", APIResources: []metav1.APIResource{resource("httproutes", "httproute", "HTTPRoute", true)}},
		{GroupVersion: "example.com/v1", APIResources: []metav1.APIResource{resource("gadgets", "gadget", "Gadget", true)}},
	}}}
	groups, err := restmapper.GetAPIGroupResources(discovery)
	if err != nil {
		return nil, err
	}
	return restmapper.NewShortcutExpander(restmapper.NewDiscoveryRESTMapper(groups), discovery, nil), nil
}

// entry is one of managedFields; its fields are JSON.
func entry(manager string, operation metav1.ManagedFieldsOperationType, subresource string, age time.Duration, fields string) metav1.ManagedFieldsEntry {
	at := metav1.NewTime(now.Add(-age))
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: operation, APIVersion: "apps/v1", Subresource: subresource, Time: &at,
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields),
	}
}

const (
	applied = metav1.ManagedFieldsOperationApply
	updated = metav1.ManagedFieldsOperationUpdate
)

// defaulted is what an Update entry of the Deployment's maker holds, defaults included.
const defaulted = `{"f:metadata":{"f:annotations":{".":{},"f:example.com/team":{}},"f:labels":{".":{},"f:app":{},"f:tier":{}}},
"f:spec":{"f:progressDeadlineSeconds":{},"f:revisionHistoryLimit":{},"f:selector":{},"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{},"f:maxUnavailable":{}},"f:type":{}},
"f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{
"k:{\"name\":\"app\"}":{".":{},"f:args":{},"f:env":{".":{},"k:{\"name\":\"MODE\"}":{".":{},"f:name":{},"f:value":{}},"k:{\"name\":\"PORT\"}":{".":{},"f:name":{},"f:value":{}}},"f:imagePullPolicy":{},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:protocol":{}}},"f:resources":{".":{},"f:limits":{".":{},"f:cpu":{},"f:memory":{}},"f:requests":{".":{},"f:cpu":{},"f:memory":{}}},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}},
"k:{\"name\":\"proxy\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},
"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}}}`

const images = `{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`

// ownedFields are those of a Deployment that Helm made, whose image a pipeline applies and whose replicas an autoscaler sets.
func ownedFields() []metav1.ManagedFieldsEntry {
	return []metav1.ManagedFieldsEntry{
		entry("ci", applied, "", 2*time.Hour, images),
		entry("helm", updated, "", 26*time.Hour, defaulted),
		entry("kubectl-edit", updated, "", 5*time.Minute, `{"f:spec":{"f:template":{"f:spec":{"f:terminationGracePeriodSeconds":{}}}}}`),
		entry("kube-controller-manager", updated, "status", 3*time.Minute, `{"f:metadata":{"f:annotations":{"f:deployment.kubernetes.io/revision":{}}},
"f:status":{"f:availableReplicas":{},"f:conditions":{".":{},"k:{\"type\":\"Available\"}":{".":{},"f:status":{},"f:type":{}}},"f:observedGeneration":{}}}`),
		entry("kube-controller-manager", updated, "scale", time.Minute, `{"f:spec":{"f:replicas":{}}}`),
	}
}

// owned is a cluster with that Deployment, in a Namespace that has opted in.
type owned struct {
	deployment *unstructured.Unstructured
	namespace  *corev1.Namespace
	more       []runtime.Object
}

func newOwned() *owned {
	d := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment"}}
	d.SetNamespace(namespace)
	d.SetName("web")
	d.SetManagedFields(ownedFields())
	return &owned{deployment: d, namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{canary.EnabledLabel: "true"}, Annotations: map[string]string{ownership.ModeAnnotation: "enforce"},
	}}}
}

func (o *owned) session() *session {
	return newSession(append([]runtime.Object{o.deployment, o.namespace}, o.more...)...)
}

// answer makes the API server answer dry runs of applies.
func (s *session) answer(t *testing.T, answers map[string]error) {
	s.client.PrependReactor("patch", "*", func(action k8stesting.Action) (bool, runtime.Object, error) {
		patch, ok := action.(k8stesting.PatchActionImpl)
		require.True(t, ok)
		require.Equal(t, "application/apply-patch+yaml", string(patch.GetPatchType()))
		require.Equal(t, []string{metav1.DryRunAll}, patch.PatchOptions.DryRun, "nothing is written")
		require.Nil(t, patch.PatchOptions.Force)
		var object unstructured.Unstructured
		require.NoError(t, json.Unmarshal(patch.GetPatch(), &object.Object))
		require.Equal(t, patch.GetNamespace(), object.GetNamespace())
		return true, &object, answers[patch.GetName()]
	})
}

// applyConflict is the API server's answer to an apply; pairs are messages and fields.
func applyConflict(pairs ...string) error {
	var causes []metav1.StatusCause
	for i := 0; i < len(pairs); i += 2 {
		causes = append(causes, metav1.StatusCause{Type: metav1.CauseTypeFieldManagerConflict, Message: "conflict with " + pairs[i], Field: pairs[i+1]})
	}
	return apierrors.NewApplyConflict(causes, fmt.Sprintf("Apply failed with %d conflicts", len(causes)))
}

// file writes documents of these kinds and names.
func file(t *testing.T, documents ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "objects.yaml")
	text := ""
	for _, document := range documents {
		text += "---\n" + document + "\n"
	}
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}
