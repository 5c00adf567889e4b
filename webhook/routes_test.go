package webhook

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	kjson "sigs.k8s.io/json"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

// noReads is a cluster that nobody may ask.
var noReads = cluster{deps: func(d *Deps) { d.Reader = struct{ client.Reader }{} }}

// TestRouteContract posts testdata/routes/<case>/review.json, and compares with response.json and patch.json
// (absent: no patch).
func TestRouteContract(t *testing.T) {
	folders, err := filepath.Glob("testdata/routes/*/review.json")
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	s := noReads.server(t)
	for _, file := range folders {
		folder := filepath.Dir(file)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			review := readReview(t, file)
			got := admit(t, s, MutateRoutesPath, review)
			compare(t, filepath.Join(folder, "response.json"), contract{
				Allowed: got.Allowed, Code: got.Result.Code, Warnings: got.Warnings, AuditAnnotations: got.AuditAnnotations,
			})
			compare(t, filepath.Join(folder, "patch.json"), json.RawMessage(got.Patch))
			dry := true
			review.Request.DryRun = &dry
			require.Equal(t, got, admit(t, s, MutateRoutesPath, review), "a dry-run gets the same answer")
			requireRouted(t, s, review, got)
		})
	}
}

// requireRouted applies the patch as the API server does, and checks that the result is what admission wants, and
// that the same review again gets no patch.
func requireRouted(t require.TestingT, s *Server, review admissionv1.AdmissionReview, response *admissionv1.AdmissionResponse) []byte {
	require.True(t, response.Allowed)
	before := review.Request.Object.Raw
	after := patchedRoute(t, before, response.Patch)
	provider, ok := split.For(schema.GroupKind{Group: review.Request.Kind.Group, Kind: review.Request.Kind.Kind})
	require.True(t, ok)
	var stored *unstructured.Unstructured
	if len(review.Request.OldObject.Raw) > 0 {
		stored = decodedRoute(t, review.Request.OldObject.Raw)
	}
	want, _, err := split.Admitted(provider, stored, decodedRoute(t, before), review.Request.UserInfo.Username == DefaultUser)
	require.NoError(t, err)
	wanted, err := json.Marshal(want.Object)
	require.NoError(t, err)
	require.JSONEq(t, string(wanted), string(after))

	again := review.DeepCopy()
	again.Request.Object.Raw = after
	require.Empty(t, string(admitRoute(t, s, *again).Patch), "a route that is already handled gets no patch")
	return after
}

// Whatever people and sluice write one after the other, each patch applies, and gives what admission wants.
func TestPatchesOfRoutesApply(t *testing.T) {
	s := noReads.server(t)
	route := readReview(t, "testdata/routes/share-of-an-httproute/review.json")
	plain := decodedRoute(t, route.Request.OldObject.Raw)
	delete(plain.Object["metadata"].(map[string]any), "annotations")
	delete(plain.Object["metadata"].(map[string]any), "labels")
	rapid.Check(t, func(t *rapid.T) {
		stored := plain
		for range 6 {
			asked := stored.DeepCopy()
			review := route.DeepCopy()
			review.Request.UserInfo.Username = "helm"
			switch rapid.IntRange(0, 3).Draw(t, "write") {
			case 0:
				asked = plain.DeepCopy()
			case 1:
				metadata := asked.Object["metadata"].(map[string]any)
				metadata[rapid.SampledFrom([]string{"labels", "annotations"}).Draw(t, "field")] = rapid.SampledFrom([]any{
					nil, map[string]any{}, map[string]any{"a": "b"}, map[string]any{split.RecordAnnotation: "{}", split.ActiveLabel: "no"},
				}).Draw(t, "value")
			default:
				review.Request.UserInfo.Username = DefaultUser
				var share *split.Share
				if rapid.Bool().Draw(t, "share") {
					share = &split.Share{Names: split.NamesOf("web"), Weight: int32(rapid.IntRange(0, 100).Draw(t, "weight")), Workload: "Deployment/web"}
				}
				value, err := split.Ask(stored, "web", share)
				require.NoError(t, err)
				asked.SetAnnotations(map[string]string{split.RecordAnnotation: value, "a": "b"})
				if value == "" {
					asked.SetAnnotations(nil)
				}
			}
			review.Request.OldObject.Raw, review.Request.Object.Raw = encodedRoute(t, stored), encodedRoute(t, asked)
			stored = decodedRoute(t, requireRouted(t, s, *review, admitRoute(t, s, *review)))
		}
	})
}

func TestReviewsOfRoutesThatCannotBeDecided(t *testing.T) {
	const file = "testdata/routes/share-of-an-httproute/review.json"
	tests := map[string]struct {
		change  func(*admissionv1.AdmissionRequest)
		wantErr string
	}{
		"another kind": {
			func(r *admissionv1.AdmissionRequest) { r.Kind.Kind = "GRPCRoute" },
			"the request is for httproutes but its kind is gateway.networking.k8s.io/v1, Kind=GRPCRoute"},
		"another version": {
			func(r *admissionv1.AdmissionRequest) { r.Kind.Version = "v1beta1" },
			"the request is for httproutes but its kind is gateway.networking.k8s.io/v1beta1, Kind=HTTPRoute"},
		"an object of another kind": {
			func(r *admissionv1.AdmissionRequest) { r.Object.Raw = []byte(`{"kind":"Ingress"}`) },
			`the request's object is a "Ingress", not a HTTPRoute`},
		"an object of another namespace": {
			func(r *admissionv1.AdmissionRequest) { r.OldObject.Raw = []byte(`{"kind":"HTTPRoute","metadata":{"namespace":"other"}}`) },
			`the request is for namespace "shop" but its oldObject is in "other"`},
		"no namespace": {
			func(r *admissionv1.AdmissionRequest) { r.Namespace = "" },
			`the request's namespace "" is not a valid name`},
		"no object": {
			func(r *admissionv1.AdmissionRequest) { r.Object.Raw = nil },
			"the request (UPDATE of httproutes shop/web) has no object"},
		"no old object": {
			func(r *admissionv1.AdmissionRequest) { r.OldObject.Raw = nil },
			"the request (UPDATE of httproutes shop/web) has no oldObject"},
		"annotations that are a list": {
			func(r *admissionv1.AdmissionRequest) {
				r.Object.Raw = []byte(`{"kind":"HTTPRoute","metadata":{"namespace":"shop","annotations":[]}}`)
			},
			"the request's HTTPRoute cannot be read: metadata.annotations is not an object"},
	}
	s := noReads.server(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			review := readReview(t, file)
			test.change(review.Request)
			body, err := json.Marshal(review)
			require.NoError(t, err)
			got := status(t, post(s, MutateRoutesPath, body))
			require.Equal(t, test.wantErr, got.Message)
			require.EqualValues(t, http.StatusBadRequest, got.Code)
		})
	}
}

func TestWhatIsNoRouteIsNotSplit(t *testing.T) {
	s := noReads.server(t)
	for name, change := range map[string]func(*admissionv1.AdmissionRequest){
		"its status":     func(r *admissionv1.AdmissionRequest) { r.SubResource = "status" },
		"its deletion":   func(r *admissionv1.AdmissionRequest) { r.Operation = admissionv1.Delete },
		"another kind":   func(r *admissionv1.AdmissionRequest) { r.Resource.Resource = "tcproutes" },
		"another group":  func(r *admissionv1.AdmissionRequest) { r.Resource.Group = "networking.k8s.io" },
		"a core object":  func(r *admissionv1.AdmissionRequest) { r.Resource.Group, r.Resource.Resource = "", "services" },
	} {
		t.Run(name, func(t *testing.T) {
			review := readReview(t, "testdata/routes/share-of-an-httproute/review.json")
			change(review.Request)
			got := admitRoute(t, s, review)
			require.True(t, got.Allowed)
			require.Empty(t, got.Patch)
		})
	}
}

func TestBothPackagesMeanTheSameLabel(t *testing.T) {
	require.Equal(t, canary.ActiveLabel, split.ActiveLabel)
}

func admitRoute(t require.TestingT, s *Server, review admissionv1.AdmissionReview) *admissionv1.AdmissionResponse {
	body, err := json.Marshal(review)
	require.NoError(t, err)
	w := post(s, MutateRoutesPath, body)
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	var got admissionv1.AdmissionReview
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	return got.Response
}

func patchedRoute(t require.TestingT, object, patch []byte) []byte {
	if len(patch) == 0 {
		return object
	}
	operations, err := jsonpatch.DecodePatch(patch)
	require.NoError(t, err)
	patched, err := operations.Apply(object)
	require.NoError(t, err, "patch %s of %s", patch, object)
	return patched
}

func decodedRoute(t require.TestingT, raw []byte) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	require.NoError(t, kjson.UnmarshalCaseSensitivePreserveInts(raw, &u.Object))
	return u
}

func encodedRoute(t require.TestingT, route *unstructured.Unstructured) []byte {
	raw, err := json.Marshal(route.Object)
	require.NoError(t, err)
	return raw
}
