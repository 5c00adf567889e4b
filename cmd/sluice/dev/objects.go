package dev

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/manifests"
)

// FieldManager is the manager of what dev installs.
const FieldManager = "sluice-dev"

// Every object that dev made carries this label, so that the next dev may take
// it over and this one takes nothing else out.
const (
	managedByLabel = "app.kubernetes.io/managed-by"
	managedByDev   = "sluice-dev"
)

// parts are the objects that dev installs, by when.
type parts struct {
	namespace *unstructured.Unstructured
	// account: the ServiceAccount, its permissions and the policy.
	account []*unstructured.Unstructured
	// webhooks: the two configurations, pointed at dev.
	webhooks []*unstructured.Unstructured
}

func (p parts) all() []*unstructured.Unstructured {
	all := append([]*unstructured.Unstructured{p.namespace}, p.account...)
	return append(all, p.webhooks...)
}

// objects returns what dev installs into a namespace, labelled as its own.
func objects(base, namespace string) (parts, error) {
	shipped, err := manifests.Objects()
	if err != nil {
		return parts{}, err
	}
	var p parts
	for _, obj := range manifests.ForURL(manifests.WithoutServer(shipped), base) {
		obj.Object, _ = replaced(obj.Object, manifests.Namespace, namespace).(map[string]any)
		label(obj)
		switch {
		case obj.GetKind() == "Namespace":
			p.namespace = obj
		case isConfiguration(obj):
			p.webhooks = append(p.webhooks, obj)
		default:
			p.account = append(p.account, obj)
		}
	}
	if p.namespace == nil || len(p.webhooks) == 0 {
		return parts{}, fmt.Errorf("this is a bug: the manifests lack the Namespace or the webhooks")
	}
	return p, nil
}

// replaced returns the value with every string that is from as to: the namespace
// is named as metadata, as a subject, and in selectors.
func replaced(value any, from, to string) any {
	switch v := value.(type) {
	case string:
		if v == from {
			return to
		}
	case []any:
		for i := range v {
			v[i] = replaced(v[i], from, to)
		}
	case map[string]any:
		for key := range v {
			v[key] = replaced(v[key], from, to)
		}
	}
	return value
}

func isConfiguration(obj *unstructured.Unstructured) bool {
	return strings.HasSuffix(obj.GetKind(), "WebhookConfiguration")
}

func label(obj *unstructured.Unstructured) {
	labels := obj.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[managedByLabel] = managedByDev
	obj.SetLabels(labels)
}

func isDevs(labels map[string]string) bool {
	return labels[managedByLabel] == managedByDev
}

// describe names an object as kubectl does.
func describe(obj *unstructured.Unstructured) string {
	name := strings.ToLower(obj.GetKind()) + "/" + obj.GetName()
	if obj.GetNamespace() != "" {
		return name + " in " + obj.GetNamespace()
	}
	return name
}
