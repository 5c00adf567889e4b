package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"sluice.dev/sluice/canary"
)

// scaleReview is the review of /scale from some replicas to others; the API server leaves 0 out.
func scaleReview(resource string, from, to int) admissionv1.AdmissionReview {
	scale := func(replicas int) runtime.RawExtension {
		spec := `{}`
		if replicas > 0 {
			spec = fmt.Sprintf(`{"replicas":%d}`, replicas)
		}
		return runtime.RawExtension{Raw: fmt.Appendf(nil,
			`{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"web","namespace":"shop"},"spec":%s,"status":{"replicas":4}}`, spec)}
	}
	return admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "1", Kind: metav1.GroupVersionKind{Group: "autoscaling", Version: "v1", Kind: "Scale"},
			Resource: metav1.GroupVersionResource{Group: "apps", Version: "v1", Resource: resource}, SubResource: "scale",
			Name: "web", Namespace: "shop", Operation: admissionv1.Update, OldObject: scale(from), Object: scale(to),
		},
	}
}

// Acceptance, admission 13: N to 0 mid-release through /scale.
func TestScalingToZero(t *testing.T) {
	release := &canary.Release{ID: 4, Phase: canary.Waiting, Step: 1}
	held := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "web", Labels: map[string]string{canary.ActiveLabel: "true"},
		Annotations: map[string]string{canary.ReleaseAnnotation: release.Encode()},
	}}
	plain := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	heldSet := &appsv1.StatefulSet{ObjectMeta: held.ObjectMeta}
	forged := held.DeepCopy()
	forged.Annotations[canary.ReleaseAnnotation] = "{"
	tests := map[string]struct {
		resource    string
		from, to    int
		parent      client.Object
		readFails   bool
		wantMessage string
		wantWarning string
	}{
		"a release refuses it, with the way out": {
			resource: "deployments", from: 4, to: 0, parent: held, wantMessage: canary.ScaleToZeroMessage(canary.Deployment, "shop", "web", release)},
		"without a release it passes":               {resource: "deployments", from: 4, to: 0, parent: plain},
		"a Deployment that is gone is none of ours": {resource: "deployments", from: 4, to: 0},
		"to fewer replicas it passes":               {resource: "deployments", from: 4, to: 1, parent: held},
		"from zero to zero nothing changes":         {resource: "deployments", from: 0, to: 0, parent: held},
		"of a StatefulSet too": {
			resource: "statefulsets", from: 4, to: 0, parent: heldSet, wantMessage: canary.ScaleToZeroMessage(canary.StatefulSet, "shop", "web", release)},
		"DaemonSets have no releases": {resource: "daemonsets", from: 4, to: 0},
		"a failed read blocks nobody": {
			resource: "deployments", from: 4, to: 0, parent: held, readFails: true,
			wantWarning: "sluice could not tell whether shop/web has a release: reading Deployment shop/web: etcd is down"},
		"a state that cannot be read is no release": {
			resource: "deployments", from: 4, to: 0, parent: forged,
			wantWarning: "sluice could not tell whether shop/web has a release: decoding annotation sluice.dev/release: unexpected end of JSON input"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := cluster{}
			if test.parent != nil {
				c.objects = []client.Object{test.parent}
			}
			if test.readFails {
				c.funcs.Get = func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
					return errors.New("etcd is down")
				}
			}
			got := admit(t, c.server(t), ValidateScalePath, scaleReview(test.resource, test.from, test.to))
			require.Equal(t, test.wantMessage == "", got.Allowed)
			require.Equal(t, test.wantMessage, got.Result.Message)
			if test.wantMessage != "" {
				require.EqualValues(t, http.StatusForbidden, got.Result.Code)
			}
			if test.wantWarning != "" {
				require.Equal(t, []string{test.wantWarning}, got.Warnings)
			} else {
				require.Empty(t, got.Warnings)
			}
		})
	}
}

func TestAScaleThatIsNoneIsRefusedClearly(t *testing.T) {
	s := cluster{funcs: interceptor.Funcs{}}.server(t)
	review := scaleReview("deployments", 4, 0)
	review.Request.Object = runtime.RawExtension{}
	body, err := json.Marshal(review)
	require.NoError(t, err)
	got := status(t, post(s, ValidateScalePath, body))
	require.Equal(t, "the request (UPDATE of deployments/scale shop/web) has no object", got.Message)
	require.EqualValues(t, http.StatusBadRequest, got.Code)
}
