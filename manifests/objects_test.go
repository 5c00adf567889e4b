package manifests_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"sluice.dev/sluice/manifests"
)

// typed decodes the one object of T's kind and this name as the API server
// with strict field validation would: a field that T does not have is a fault.
func typed[T runtime.Object](t *testing.T, into T, name string) T {
	t.Helper()
	return typedOf(t, objects(t), into, name)
}

// pinTyped is typed of what pin.yaml holds.
func pinTyped[T runtime.Object](t testing.TB, into T, name string) T {
	t.Helper()
	objs, err := manifests.Pin()
	require.NoError(t, err)
	return typedOf(t, objs, into, name)
}

func typedOf[T runtime.Object](t testing.TB, objs []*unstructured.Unstructured, into T, name string) T {
	t.Helper()
	gvks, _, err := scheme.Scheme.ObjectKinds(into)
	require.NoError(t, err)
	for _, obj := range objs {
		if obj.GetKind() == gvks[0].Kind && obj.GetName() == name {
			require.NoError(t, strictly(obj, into))
			return into
		}
	}
	require.Failf(t, "missing manifest", "%s %s", gvks[0].Kind, name)
	return into
}

func objects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	objs, err := manifests.Objects()
	require.NoError(t, err)
	return objs
}

func strictly(obj *unstructured.Unstructured, into runtime.Object) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, into, true)
}

func TestEveryObjectIsOfAKnownKindAndHasNoUnknownField(t *testing.T) {
	for _, obj := range objects(t) {
		into, err := scheme.Scheme.New(obj.GroupVersionKind())
		require.NoError(t, err)
		require.NoError(t, strictly(obj, into), "%s %s", obj.GetKind(), obj.GetName())
	}
}

func TestEveryObjectIsNamedLabelledAndPlaced(t *testing.T) {
	clusterWide := map[string]bool{
		"Namespace": true, "ClusterRole": true, "ClusterRoleBinding": true,
		"MutatingWebhookConfiguration": true, "ValidatingWebhookConfiguration": true,
		"ValidatingAdmissionPolicy": true, "ValidatingAdmissionPolicyBinding": true,
	}
	for _, obj := range objects(t) {
		require.Equal(t, manifests.Name, obj.GetLabels()["app.kubernetes.io/name"], obj.GetKind())
		if clusterWide[obj.GetKind()] {
			require.Empty(t, obj.GetNamespace(), obj.GetKind())
			continue
		}
		require.Equal(t, manifests.Namespace, obj.GetNamespace(), obj.GetKind())
	}
}

func TestWhatIsReferredToComesFirstAndTheWebhooksLast(t *testing.T) {
	var kinds []string
	for _, obj := range objects(t) {
		if len(kinds) == 0 || kinds[len(kinds)-1] != obj.GetKind() {
			kinds = append(kinds, obj.GetKind())
		}
	}
	require.Equal(t, []string{
		"Namespace", "ServiceAccount",
		"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ClusterRole",
		"ResourceQuota", "Service", "NetworkPolicy", "PodDisruptionBudget", "Deployment",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
		"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
	}, kinds)
}
