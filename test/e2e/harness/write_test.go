package harness

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParsePath(t *testing.T) {
	tests := map[string]struct{ path, wantNamespace, wantResource string }{
		"a namespaced object":       {"/apis/apps/v1/namespaces/shop/deployments/web", "shop", "deployments"},
		"a namespaced collection":   {"/apis/apps/v1/namespaces/shop/replicasets", "shop", "replicasets"},
		"of the core group":         {"/api/v1/namespaces/shop/events", "shop", "events"},
		"a subresource":             {"/api/v1/namespaces/shop/serviceaccounts/sluice/token", "shop", "token"},
		"a Namespace itself":        {"/api/v1/namespaces/shop", "", "namespaces"},
		"an object of no namespace": {"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sluice", "", "mutatingwebhookconfigurations"},
		"a review":                  {"/apis/authorization.k8s.io/v1/subjectaccessreviews", "", "subjectaccessreviews"},
		"no resource at all":        {"/version", "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			namespace, resource := parsePath(test.path)
			require.Equal(t, test.wantNamespace, namespace)
			require.Equal(t, test.wantResource, resource)
		})
	}
}

func TestOnlyState(t *testing.T) {
	tests := map[string]struct {
		method, body string
		want         bool
	}{
		"the state, guarded":         {"PATCH", `{"metadata":{"resourceVersion":"1","annotations":{"sluice.dev/release":"{}"}}}`, true},
		"the end of the state":       {"PATCH", `{"metadata":{"resourceVersion":"1","annotations":{"sluice.dev/release":null}}}`, true},
		"the config that was seen":   {"PATCH", `{"metadata":{"resourceVersion":"1","annotations":{"sluice.dev/config-seen":"{}"}}}`, true},
		"the state, not guarded":     {"PATCH", `{"metadata":{"annotations":{"sluice.dev/release":"{}"}}}`, false},
		"another annotation as well": {"PATCH", `{"metadata":{"resourceVersion":"1","annotations":{"sluice.dev/release":"{}","a":"b"}}}`, false},
		"a field of the spec":        {"PATCH", `{"metadata":{"resourceVersion":"1","annotations":{"sluice.dev/release":"{}"}},"spec":{"paused":false}}`, false},
		"a whole object":             {"PUT", `{"metadata":{"resourceVersion":"1","annotations":{"sluice.dev/release":"{}"}}}`, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, onlyState(Write{Method: test.method, Body: test.body}))
		})
	}
}

func TestWarnings(t *testing.T) {
	r := Result{Stderr: "Warning: sluice: one\nI1121 12:00:00.000000 1 warnings.go:110] \"Warning: sluice: two\"\nlevel=WARN msg=\"sluice: three\"\nError: four\n"}
	require.Equal(t, []string{"sluice: one", "sluice: two", "sluice: three"}, r.Warnings())
}
